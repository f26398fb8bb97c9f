// The cluster in numbers: how much, how fast, how much waits, how much fails.

import { make, mark, say } from "./elements.js";
import { Trend } from "./trend.js";
import { milliseconds, number } from "./words.js";

export class Figures {
  constructor(list) {
    this.rate = tile(list, "Requests per second");
    this.latency = tile(list, "Median latency");
    this.waiting = tile(list, "In flight");
    this.failing = tile(list, "Errors per second");
  }

  show(view) {
    const served = view.rate === null ? null : Math.max(0, view.rate - view.refusing - view.failing);
    this.rate.show(number(view.rate), `${number(served)} served`, view.rate);
    this.latency.show(milliseconds(view.p50), `p99 ${milliseconds(view.p99)}${view.refusing > 0 ? ", refusals among them" : ""}`, view.p99);
    this.waiting.show(number(view.inFlight), `${number(view.waiting)} waiting`, view.inFlight + view.waiting);
    const { failing, refusing } = view;
    this.failing.show(number(failing + refusing), `${number(refusing)} refused, ${number(failing)} failed`, failing + refusing);
    mark(this.failing.element, "data-level", refusing > 0 ? "bad" : failing > 0 ? "warn" : "ok");
  }
}

function tile(list, label) {
  const value = make("span", "figure-value");
  const note = make("span", "figure-note");
  const trend = new Trend();
  const element = make("div", "card figure", make("dt", "", label), make("dd", "", value, note), trend.element);
  list.append(element);
  return {
    element,
    show(text, more, point) {
      say(value, text);
      say(note, more);
      trend.add(point);
    },
  };
}
