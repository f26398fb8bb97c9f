// A card for each data centre: where it is, its uplinks, its nodes.

import { Children, make, mark, say, showSign } from "./elements.js";
import { nodeEntry } from "./nodes.js";
import { counted, inWords } from "./words.js";
import { isPlaced } from "./projection.js";

const UPLINK_LEVELS = { up: "ok", down: "bad", unused: "off" };
const UPLINK_WORDS = { up: "up", down: "down", unused: "not used" };

export class Sites {
  constructor(parent) {
    this.parent = parent;
    this.cards = new Children(parent, (site) => site.name, siteCard);
  }

  show(view) {
    mark(this.parent, "data-count", view.sites.length);
    this.cards.update(view.sites.map((site) => ({ ...site, here: site.name === view.site })));
  }
}

function siteCard() {
  const signAt = make("span", "site-sign");
  const name = make("h3", "site-name");
  const said = make("p", "site-said");
  const place = make("p", "site-place");
  const uplinks = make("ul", "uplinks");
  const nodes = make("ul", "nodes");
  const none = make("p", "note", "No nodes here.");
  const head = make("div", "site-head", signAt, make("div", "site-names", name, place), said);
  const element = make("article", "card site", head, uplinks, nodes, none);
  const uplinkEntries = new Children(uplinks, (uplink) => uplink.name, uplinkEntry);
  const nodeEntries = new Children(nodes, (node) => node.name, nodeEntry);
  return {
    element,
    update(site) {
      mark(element, "data-level", site.level);
      mark(element, "aria-label", site.name);
      mark(uplinks, "aria-label", `Uplinks of ${site.name}`);
      mark(nodes, "aria-label", `Nodes of ${site.name}`);
      showSign(signAt, site.level, 22);
      say(name, site.name);
      say(place, placeInWords(site));
      say(said, servingInWords(site));
      uplinkEntries.update(site.uplinks);
      uplinks.hidden = site.uplinks.length === 0;
      nodeEntries.update(site.nodes);
      nodes.hidden = site.nodes.length === 0;
      none.hidden = site.nodes.length > 0;
    },
  };
}

function servingInWords(site) {
  if (site.nodes.length === 0) return "";
  const serving = site.nodes.filter((node) => node.serves).length;
  if (serving === site.nodes.length) return ["", "serves", "both serve"][serving] ?? `all ${inWords(serving)} serve`;
  if (serving > 0) return `${serving} of ${site.nodes.length} serve`;
  return site.level === "off" ? "out on purpose" : site.role === "active" ? "down" : "not in service";
}

function placeInWords(site) {
  const parts = [];
  if (site.role !== "active") parts.push("disaster recovery");
  if (site.here) parts.push("this proxy's place");
  if (site.riskZone) parts.push(`risk zone ${site.riskZone}`);
  if (isPlaced(site)) {
    const side = (value, positive, negative) => `${Math.abs(value).toFixed(2)}° ${value < 0 ? negative : positive}`;
    parts.push(`${side(site.latitude, "N", "S")}, ${side(site.longitude, "E", "W")}`);
  }
  return parts.join(" · ") || counted(site.nodes.length, "node");
}

function uplinkEntry() {
  const signAt = make("span", "uplink-sign");
  const name = make("span", "uplink-name");
  const state = make("span", "uplink-state");
  const element = make("li", "uplink", signAt, name, " ", state);
  return {
    element,
    update(uplink) {
      const level = UPLINK_LEVELS[uplink.state] ?? "off";
      mark(element, "data-level", level);
      showSign(signAt, level, 13);
      say(name, uplink.name);
      say(state, UPLINK_WORDS[uplink.state] ?? uplink.state);
    },
  };
}
