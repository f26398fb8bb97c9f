// The data centres as places: a drawing true to scale without map tiles, with the uplinks from this proxy's place.
//
// It is drawn anew when the state or the width changed. Whoever does not see it reads the same in the cards.

import { draw, mark, say, sign } from "./elements.js";
import { apart, distanceKm, fit, isPlaced, roundLength } from "./projection.js";
import { list } from "./words.js";

const LEAST_APART_PX = 92; // between two places: room for their names
const MARGINS = { left: 70, right: 70, top: 44, bottom: 58 };
const SIGN_PX = 17;
const LINE_GAP_PX = 9; // between two uplinks of one place
const RADIUS_PX = 13;
const LEAST_FOR_TEXT_PX = 110; // of a line: room for its distance between two names

export class SiteMap {
  constructor(document) {
    this.section = document.getElementById("map-section");
    this.canvas = document.getElementById("map");
    this.note = document.getElementById("map-note");
    this.drawn = "";
    this.view = null;
    new ResizeObserver(() => this.draw()).observe(this.section);
  }

  show(view) {
    this.view = view;
    this.draw();
  }

  draw() {
    if (this.view === null) return;
    const sites = this.view.sites.filter(isPlaced);
    this.section.hidden = sites.length < 2;
    mark(this.section.parentElement, "data-map", sites.length >= 2);
    const width = Math.floor(this.canvas.clientWidth);
    if (sites.length < 2 || width < 100) return;
    const seen = sites.map((site) => [
      site.name, site.level, site.latitude, site.longitude, site.uplinks, site.nodes.map((node) => [node.name, node.level]),
    ]);
    const state = JSON.stringify([width, this.view.site, seen]);
    if (state === this.drawn) return;
    this.drawn = state;
    const height = Math.round(Math.min(Math.max(width * 0.62, 240), 360));
    this.canvas.replaceChildren(drawing(sites, this.view.site, width, height));
    this.say(sites);
  }

  say(sites) {
    const unplaced = this.view.sites.filter((site) => !isPlaced(site)).map((site) => site.name);
    const here = sites.some((site) => site.name === this.view.site);
    const lines = here ? `Lines are the uplinks from ${this.view.site}, where this proxy is: dotted means down, dashed not used.` : "";
    say(this.note, unplaced.length > 0 ? `${lines} Not on it, for want of coordinates: ${list(unplaced)}.` : lines);
  }
}

function drawing(sites, here, width, height) {
  const { at, kmPerPx } = fit(sites, { width, height, ...MARGINS });
  const points = apart(sites.map(at), Math.min(LEAST_APART_PX, (width - MARGINS.left) / 2));
  const label = `Map of ${list(sites.map((site) => site.name))}; the list of data centres has all that it shows`;
  const made = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  made.append(grid(width, height, kmPerPx));
  const home = sites.findIndex((site) => site.name === here);
  if (home >= 0) {
    sites.forEach((site, index) => {
      if (index !== home) made.append(...ways(sites[home], points[home], site, points[index]));
    });
  }
  sites.forEach((site, index) => made.append(place(site, points[index], index === home)));
  return made;
}

/** Faint lines, and a scale. */
function grid(width, height, kmPerPx) {
  const made = draw("g", { class: "map-grid" });
  const lengthKm = roundLength((width / 4) * kmPerPx);
  const step = lengthKm / kmPerPx;
  for (let x = step / 2; x < width; x += step) made.append(draw("path", { d: `M${x.toFixed(1)} 0V${height}` }));
  for (let y = step / 2; y < height; y += step) made.append(draw("path", { d: `M0 ${y.toFixed(1)}H${width}` }));
  const [x, y] = [12, height - 12];
  made.append(draw("path", { class: "map-scale", d: `M${x} ${y - 5}v5h${step.toFixed(1)}v-5` }));
  made.append(draw("text", { class: "map-scale-text", x: x + step / 2, y: y - 6, "text-anchor": "middle" }, `${lengthKm} km`));
  return made;
}

/** The uplinks of a site as lines from this proxy's place, side by side, with the distance. */
function ways(from, [x1, y1], site, [x2, y2]) {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [nx, ny] = [-(y2 - y1) / length, (x2 - x1) / length];
  const uplinks = site.uplinks.length > 0 ? site.uplinks : [{ name: "", state: site.level === "bad" ? "down" : "up" }];
  const lines = uplinks.map((uplink, index) => {
    const bend = (index - (uplinks.length - 1) / 2) * LINE_GAP_PX;
    const [cx, cy] = [(x1 + x2) / 2 + nx * bend * 2, (y1 + y2) / 2 + ny * bend * 2];
    return draw("path", { class: `way way-${uplink.state}`, d: `M${x1} ${y1}Q${cx} ${cy} ${x2} ${y2}` });
  });
  const off = 10 + ((uplinks.length - 1) / 2) * LINE_GAP_PX;
  const side = ny > 0 ? -1 : 1; // above the line
  const [tx, ty] = [(x1 + x2) / 2 + nx * off * side, (y1 + y2) / 2 + ny * off * side];
  const km = `${Math.round(distanceKm(from, site))} km`;
  const anchor = Math.abs(nx) < 0.5 ? "middle" : nx * side > 0 ? "start" : "end";
  const text = draw("text", { class: "map-distance", x: tx.toFixed(1), y: (ty + 4).toFixed(1), "text-anchor": anchor }, km);
  return length < LEAST_FOR_TEXT_PX ? lines : [...lines, text];
}

function place(site, [x, y], home) {
  const made = draw("g", { class: `place place-${site.level}`, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
  if (home) made.append(draw("circle", { class: "place-home", r: RADIUS_PX + 5 }));
  made.append(draw("circle", { class: "place-dot", r: RADIUS_PX }));
  const of = sign(site.level, SIGN_PX);
  of.setAttribute("x", -SIGN_PX / 2);
  of.setAttribute("y", -SIGN_PX / 2);
  made.append(of);
  made.append(draw("text", { class: "place-name", y: -RADIUS_PX - 11, "text-anchor": "middle" }, site.name));
  const step = SIGN_PX + 5;
  site.nodes.forEach((node, index) => {
    const one = sign(node.level, SIGN_PX - 3);
    one.setAttribute("x", (index - (site.nodes.length - 1) / 2) * step - (SIGN_PX - 3) / 2);
    one.setAttribute("y", RADIUS_PX + 10);
    made.append(one);
  });
  return made;
}
