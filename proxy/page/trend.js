// A small line of the last minute; a reader who does not see it has the number beside it.

import { draw } from "./elements.js";

const POINTS = 60; // one an answer: about a minute
const WIDTH = 120;
const HEIGHT = 32;

export class Trend {
  constructor() {
    this.values = [];
    this.area = draw("path", { class: "trend-area" });
    this.line = draw("path", { class: "trend-line" });
    this.element = draw(
      "svg",
      { class: "trend", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      this.area,
      this.line,
    );
  }

  add(value) {
    this.values.push(value ?? 0);
    if (this.values.length > POINTS) this.values.shift();
    const most = Math.max(...this.values, 1e-9) * 1.15;
    const step = WIDTH / (POINTS - 1);
    const start = WIDTH - (this.values.length - 1) * step;
    const points = this.values.map((each, index) => {
      const [x, y] = [start + index * step, HEIGHT - 1.5 - (each / most) * (HEIGHT - 3)];
      return `${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    const line = `M${points.join("L")}`;
    this.line.setAttribute("d", this.values.length > 1 ? line : "");
    this.area.setAttribute("d", this.values.length > 1 ? `${line}L${WIDTH} ${HEIGHT}L${start.toFixed(1)} ${HEIGHT}Z` : "");
  }
}
