// The processes of a proxy that has several: what each of them does.

import { Children, make, mark, say } from "./elements.js";
import { number } from "./words.js";

export class Workers {
  constructor(section, rows) {
    this.section = section;
    this.children = new Children(rows, (worker) => worker.number, row);
  }

  show(view) {
    this.section.hidden = view.workers.length === 0;
    this.children.update(view.workers);
  }
}

function row(worker) {
  const name = make("th", "", String(worker.number));
  mark(name, "scope", "row");
  const cells = Array.from({ length: 5 }, () => make("td"));
  return {
    element: make("tr", "", name, ...cells),
    update(now) {
      const texts = [now.state, number(now.clients), number(now.rate), number(now.inFlight), number(now.restarts)];
      texts.forEach((text, index) => say(cells[index], text));
    },
  };
}
