// Elements and numbers. Text goes into the page as text nodes only.

const NONE = "–";
const COLOURS = ["#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#92dadd"];
const NOISE_COLOUR = "#9a9a9a";
const byId = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

function button(label, click, attributes) {
  return make("button", { type: "button", click, ...attributes }, label);
}

/** Replaces what an element holds; the focus stays with the control of the same `data-key`. */
function refill(element, ...children) {
  const held = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  element.replaceChildren(...children.filter((child) => child != null));
  if (held) [...element.querySelectorAll("[data-key]")].find((child) => child.dataset.key === held)?.focus();
}

/** Isolates a name, so that its direction does not turn what stands beside it; a long one is cut before its end. */
function named(name, attributes) {
  if (name.length <= 18) return make("bdi", attributes, name);
  const parts = [make("span", {}, name.slice(0, -8)), make("span", {}, name.slice(-8))];
  return make("bdi", { class: "long", title: name, ...attributes }, ...parts);
}

const formats = new Map();

function formatted(value, options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat("en-US", options));
  return formats.get(key).format(value).replace("-", "−");
}

const absent = (value) => value == null || Number.isNaN(value);
const count = (value) => (absent(value) ? NONE : formatted(value, { maximumFractionDigits: 0 }));

function fixed(value, digits) {
  return absent(value) ? NONE : formatted(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function short(value) {
  if (absent(value)) return NONE;
  const size = Math.abs(value);
  if (size && (size < 0.001 || size >= 1e6)) return value.toExponential(2).replaceAll("-", "−");
  return formatted(value, size >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 });
}

function brief(value) {
  const plain = Math.abs(value) >= 0.001 && Math.abs(value) < 1000;
  return plain ? formatted(value, { maximumSignificantDigits: 3 }) : short(value);
}

function percent(share, digits = 1) {
  return absent(share) ? NONE : `${fixed(100 * share, digits)}%`;
}

function deviations(z) {
  return absent(z) ? NONE : `${z > 0 ? "+" : ""}${fixed(z, 1)}`;
}

const segmentTitle = (segment) => (segment < 0 ? "Noise" : `Segment ${segment}`);
const colourOf = (segment) => (segment < 0 ? NOISE_COLOUR : COLOURS[segment % COLOURS.length]);

function swatch(segment) {
  return draw("svg", { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" },
    draw("rect", { width: 10, height: 10, rx: 2, fill: colourOf(segment) }));
}

/** A bar from 0 to 100, coloured as a segment or by the theme. */
function bar(length, segment) {
  const rect = draw("rect", { width: Math.max(0, Math.min(100, length)), height: 4 });
  if (segment !== undefined) rect.setAttribute("fill", colourOf(segment));
  return draw("svg", { class: segment === undefined ? "bar" : "bar tinted", viewBox: "0 0 100 4",
    preserveAspectRatio: "none", "aria-hidden": "true" }, rect);
}

const note = (text) => make("p", { class: "note" }, text);
const heading = (text, align) => make("th", { scope: "col", class: align }, text);

/** A part that scrolls by itself, which the keyboard must reach. */
function scrolling(label, kind, ...children) {
  return make("div", { class: `scroll ${kind}`, tabindex: 0, role: "group", "aria-label": label }, ...children);
}

/** Rows of cells (text, or an element) under a head; `align` has a letter per column, r for numbers. */
function tableOf(head, rows, align, caption) {
  const cells = (row) => row.map((content, i) => make("td", { class: align[i] }, content));
  return scrolling(head.join(", "), "", make("table", {}, caption ? make("caption", {}, caption) : null,
    make("thead", {}, make("tr", {}, ...head.map((text, i) => heading(text, align[i])))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row))))));
}

/** Calls a function once its callers have been quiet for a while. */
function settled(work, wait) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), wait);
  };
}

const announce = settled((text) => { byId("live").textContent = text; }, 250);
