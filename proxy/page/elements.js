// Making and changing elements. Text from the proxy only ever becomes text: nothing here takes markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element with a class and children (elements, or text). */
export function make(tag, className = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Make an SVG element with attributes. */
export function draw(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** Set the text where it differs: a live region speaks, and a selection is lost, only when something changed. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute where it differs. */
export function mark(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Show a row of texts and commands: strings, and {code} for what is to be typed. */
export function sayParts(element, parts) {
  const key = JSON.stringify(parts);
  if (element.dataset.said === key) return;
  element.dataset.said = key;
  element.replaceChildren(...parts.map((part) => (typeof part === "string" ? part : make("code", "", part.code))));
}

/**
 * Keep one child of `parent` for each item, in order, each made once.
 * @param keyOf item -> its key; make: item -> {element, update(item)}.
 */
export class Children {
  constructor(parent, keyOf, makeChild) {
    this.parent = parent;
    this.keyOf = keyOf;
    this.makeChild = makeChild;
    this.known = new Map();
  }

  update(items) {
    const left = new Map(this.known);
    let before = this.parent.firstElementChild;
    for (const item of items) {
      const key = this.keyOf(item);
      let child = this.known.get(key);
      if (!child) {
        child = this.makeChild(item);
        this.known.set(key, child);
      }
      left.delete(key);
      child.update(item);
      if (child.element === before) before = before.nextElementSibling;
      else this.parent.insertBefore(child.element, before);
    }
    for (const [key, child] of left) {
      child.element.remove();
      this.known.delete(key);
    }
  }
}

const SHAPES = {
  info: { outline: ["circle", { cx: 8, cy: 8, r: 3.5 }], sign: "" },
  ok: { outline: ["circle", { cx: 8, cy: 8, r: 7 }], sign: "M4.8 8.3l2.2 2.2 4.2-4.7" },
  warn: { outline: ["path", { d: "M8 1.2L15.2 14.4H.8z", "stroke-linejoin": "round" }], sign: "M8 6v4M8 12v.2" },
  bad: { outline: ["rect", { x: 1, y: 1, width: 14, height: 14, rx: 2.5 }], sign: "M5 5l6 6M11 5l-6 6" },
  off: { outline: ["path", { d: "M8 .8L15.2 8 8 15.2.8 8z", "stroke-linejoin": "round" }], sign: "M5.4 8h5.2" },
};

/** The sign of a level: a circle, a triangle, a square or a rhomb, so that nobody needs to tell colours apart. */
export function sign(level, size = 16) {
  const { outline, sign: line } = SHAPES[level];
  const [tag, attributes] = outline;
  const made = draw(
    "svg",
    { viewBox: "0 0 16 16", width: size, height: size, class: `sign sign-${level}`, "aria-hidden": "true" },
    draw(tag, { ...attributes, class: "sign-outline" }),
    ...(line ? [draw("path", { d: line, class: "sign-line" })] : []),
  );
  return made;
}

/** Put the sign of a level into an element that shows nothing else. */
export function showSign(element, level, size = 16) {
  if (element.dataset.sign === level) return;
  element.dataset.sign = level;
  element.replaceChildren(sign(level, size));
}
