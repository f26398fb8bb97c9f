// One node in the card of its data centre: its state in words, its part of the work, and why when it is out.

import { draw, make, mark, say, showSign } from "./elements.js";
import { inSentence, plainReason } from "./problems.js";
import { duration, milliseconds, number, percent } from "./words.js";

const BAR_PX = 100; // the bar's own width, in its own units

const WORDS = {
  up: "serves", down: "down", ejected: "taken out", blocked: "blocked", probing: "on trial", stale: "behind",
  lacking: "lacks keys", sealed: "sealed", locked: "locked", standby: "stands by", fenced: "fenced",
};
const WISHES = { drain: "drained", maintain: "in maintenance" };

/** The state of a node in words. */
export function stateInWords(node) {
  const seen = WORDS[node.state] ?? node.state;
  if (node.administrative === "ready") return seen;
  const wish = WISHES[node.administrative] ?? node.administrative;
  return node.state === "up" ? wish : `${wish}, ${seen}`;
}

/** How far a copy that stands by is behind; empty for other nodes, and where nobody knows. */
function behindInWords(node) {
  if (node.state !== "standby" || node.lagRecords === null || node.lagS === null) return "";
  return `${number(node.lagRecords)} record${node.lagRecords === 1 ? "" : "s"}, ${node.lagS.toFixed(1)} s behind`;
}

/** A node, to be kept by `Children`. */
export function nodeEntry() {
  const signAt = make("span", "node-sign");
  const name = make("h4", "node-name");
  const state = make("span", "node-state");
  const since = make("span", "node-since");
  const reason = make("p", "node-reason");
  const paths = make("p", "node-paths");
  const bar = draw("rect", { x: 0, y: 0, height: 6, width: 0, class: "bar-fill" });
  const figures = make("dl", "node-figures");
  const share = figure(figures, "Share");
  const p50 = figure(figures, "p50");
  const p99 = figure(figures, "p99");
  const inFlight = figure(figures, "In flight");
  const track = draw("rect", { x: 0, y: 0, height: 6, width: BAR_PX, class: "bar-track" });
  const box = { class: "bar", viewBox: `0 0 ${BAR_PX} 6`, preserveAspectRatio: "none", "aria-hidden": "true" };
  const head = make("div", "node-head", signAt, name, make("p", "node-said", state, since));
  const element = make("li", "node", head, reason, draw("svg", box, track, bar), figures, paths);
  return {
    element,
    update(node) {
      mark(element, "data-level", node.level);
      showSign(signAt, node.level, 18);
      say(name, node.name);
      say(state, stateInWords(node));
      say(since, node.sinceS === null ? "" : ` for ${duration(node.sinceS)}`);
      const why = node.storeFault || (node.level === "ok" ? "" : behindInWords(node) || plainReason(node));
      say(reason, why);
      reason.hidden = why === "";
      bar.setAttribute("width", ((node.share ?? 0) * BAR_PX).toFixed(1));
      say(share, percent(node.share));
      say(p50, milliseconds(node.p50));
      say(p99, milliseconds(node.p99));
      say(inFlight, node.window > 0 ? `${number(node.inFlight)} of ${number(node.window)}` : number(node.inFlight));
      const lost = node.paths.length > 1 && node.lostPaths.length > 0 && node.lostPaths.length < node.paths.length;
      say(paths, lost ? node.lostPaths.map(lostInWords).join("; ") : "");
      paths.hidden = !lost;
    },
  };
}

function lostInWords({ uplink, reason }) {
  const why = inSentence(reason);
  return `No answer over ${uplink}${why ? `: ${why}` : ""}`;
}

function figure(list, label) {
  const value = make("dd");
  list.append(make("div", "", make("dt", "", label), value));
  return value;
}
