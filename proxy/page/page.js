// The status page of a Redoubt proxy: asks `/status` each second and shows the answer. No framework, no build.

import { Connection } from "./connection.js";
import { EventList } from "./events.js";
import { Figures } from "./figures.js";
import { SiteMap } from "./map.js";
import { read } from "./model.js";
import { Sites } from "./sites.js";
import { Verdict } from "./verdict.js";
import { Workers } from "./workers.js";
import { mark, say } from "./elements.js";
import { counted, duration, timeOfDay } from "./words.js";

const CLOCK_MS = 500; // how often the page says how old its answer is

const at = (id) => document.getElementById(id);
const verdict = new Verdict(document);
const parts = [
  new Figures(at("figures")), new SiteMap(document), new Sites(at("sites")), new EventList(document),
  new Workers(at("workers-section"), at("workers")),
];
let seen = null; // when the last answer came, by the reader's clock
let view = null; // and what it said

const connection = new Connection("status", (found) => {
  const next = read(found);
  if (next === null) return false;
  view = next;
  seen = new Date();
  verdict.show(view);
  for (const part of parts) part.show(view);
  say(at("cluster"), view.cluster);
  say(at("proxy"), `as ${view.proxy || "this proxy"}${view.site ? ` in ${view.site}` : ""} sees it`);
  const about = [view.software, `up for ${duration(view.uptimeS)}`, `${counted(view.clients, "client")} connected`];
  say(at("about"), about.filter(Boolean).join(" · "));
  tick();
  return true;
});

/** Say how old the answer is. */
function tick() {
  const state = connection.paused ? "paused" : connection.lost ? "lost" : view ? "live" : "waiting";
  const silent = connection.silentMs / 1000;
  mark(at("live"), "data-live", state);
  mark(document.documentElement, "data-live", state);
  const since = seen ? timeOfDay(seen) : "";
  const words = {
    waiting: "Connecting", live: `Live, ${since}`, paused: `Paused at ${since}`,
    lost: `No answer from the proxy since ${duration(silent)}`,
  };
  say(at("live-text"), words[state]);
  if (state === "lost") verdict.lost(silent, seen);
}

at("pause").addEventListener("click", () => {
  const pause = !connection.paused;
  mark(at("pause"), "aria-pressed", pause);
  if (pause) connection.pause();
  else connection.resume();
  tick();
});

setInterval(tick, CLOCK_MS);
connection.start();
