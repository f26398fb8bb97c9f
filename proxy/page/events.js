// What happened, the newest first, in the proxy's own words.

import { Children, make, mark, say, showSign } from "./elements.js";
import { list, timeOfDay } from "./words.js";

const FEW = 8; // shown until the reader asks for all

const LEVELS = { info: "info", warning: "warn", error: "bad" };
const WORDS = { info: "info", warning: "warning", error: "error" };

export class EventList {
  constructor(document) {
    const at = (id) => document.getElementById(id);
    this.button = at("events-all");
    this.none = at("events-none");
    this.all = false;
    this.events = [];
    this.entries = new Children(at("events"), (event) => `${event.number} ${event.at?.getTime()}`, entry);
    this.button.addEventListener("click", () => {
      this.all = !this.all;
      this.draw();
    });
  }

  show(view) {
    this.events = [...view.events].reverse();
    this.draw();
  }

  draw() {
    const { events, all } = this;
    this.entries.update(all ? events : events.slice(0, FEW));
    this.none.hidden = events.length > 0;
    this.button.hidden = events.length <= FEW;
    mark(this.button, "aria-expanded", all);
    say(this.button, all ? "Show fewer" : `Show all ${events.length}`);
  }
}

function entry() {
  const signAt = make("span", "event-sign");
  const severity = make("span", "unseen");
  const time = make("time", "event-time");
  const what = make("span", "event-what");
  const where = make("span", "event-where");
  const element = make("li", "event", signAt, severity, time, what, " ", where);
  return {
    element,
    update(event) {
      mark(element, "data-level", LEVELS[event.severity]);
      showSign(signAt, LEVELS[event.severity], 15);
      say(severity, `${WORDS[event.severity]}, `);
      say(time, event.at ? timeOfDay(event.at) : "");
      if (event.at) mark(time, "datetime", event.at.toISOString());
      say(what, event.what);
      say(where, list([event.node, event.site].filter((name) => name && !event.what.includes(name))));
    },
  };
}
