// Elements and numbers. Text goes into the page as text nodes only.

const NONE = "–";
const COLOURS = ["#3f90da", "#ffa90e", "#bd1f01", "#8a45f5", "#a96b59", "#e76300", "#b9ac70", "#92dadd"];
const NOISE_COLOUR = "#9a9a9a";
// Characters that turn the direction of what follows, the mark that is shown in their place, and the pair among them that
// the report itself sets around names.
const TURNS = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g, TURNED = "\u2423", ISOLATE = "\u2068\u2069";
const visible = (text, kept = "") => String(text).replace(TURNS, (each) => (kept.includes(each) ? each : TURNED));
const READ = ["title", "aria-label", "aria-valuetext", "placeholder"];
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
    else if (typeof value === "boolean" && name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) {
      element.setAttribute(name, READ.includes(name) ? visible(value, ISOLATE) : value);
    }
  }
  element.append(...children.filter((child) => child != null && child !== false)
    .map((child) => (child instanceof Node ? child : visible(child, ISOLATE))));
  return element;
}

function button(label, click, attributes) {
  return make("button", { type: "button", click, ...attributes }, label);
}

const closer = (changes) => button("Close", () => change(changes), { title: "Escape", "data-key": "close" });

/** Replaces what an element holds; the focus stays with the control of the same `data-key`. */
function refill(element, ...children) {
  const held = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  element.replaceChildren(...children.filter((child) => child != null));
  if (held) [...element.querySelectorAll("[data-key]")].find((child) => child.dataset.key === held)?.focus();
}

/** Isolates a name, so that its direction does not turn what stands beside it; a long one is broken between words. */
function named(name, attributes) {
  const parts = visible(name).split("_").flatMap((part, i) => (i ? ["_", make("wbr"), part] : [part]));
  return make("bdi", { class: "named", ...attributes }, ...parts);
}

const formats = new Map();

function formatted(value, options) {
  const format = once(formats, JSON.stringify(options),
    () => new Intl.NumberFormat("en-US", { signDisplay: "negative", ...options }));
  return format.format(value).replace("-", "−");
}

const absent = (value) => value == null || Number.isNaN(value);
const decimals = (digits) => ({ minimumFractionDigits: digits, maximumFractionDigits: digits });
const count = (value) => fixed(value, 0);

function fixed(value, digits) {
  return absent(value) ? NONE : formatted(value, decimals(digits));
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
  if (share > 0 && 100 * share < 10 ** -digits / 2) return `< ${10 ** -digits}%`;
  return absent(share) ? NONE : `${fixed(100 * share, digits)}%`;
}

function deviations(z) {
  return absent(z) ? NONE : formatted(z, { ...decimals(1), signDisplay: "exceptZero" });
}

const segmentTitle = (segment) => (segment < 0 ? "Noise" : `Segment ${segment}`);
const colourOf = (segment) => (segment < 0 ? NOISE_COLOUR : COLOURS[segment % COLOURS.length]);

function icon(kind, ...shapes) {
  return draw("svg", { class: kind, viewBox: "0 0 10 10", "aria-hidden": "true" }, ...shapes);
}

function swatch(segment) {
  return icon("swatch", draw("rect", { width: 10, height: 10, rx: 2, fill: colourOf(segment) }));
}

/** A bar from 0 to 100, coloured as a segment or by the theme. */
function bar(length, segment) {
  const rect = draw("rect", { width: Math.max(0, Math.min(100, length)), height: 4 });
  if (segment !== undefined) rect.setAttribute("fill", colourOf(segment));
  return draw("svg", { class: segment === undefined ? "bar" : "bar tinted", viewBox: "0 0 100 4",
    preserveAspectRatio: "none", "aria-hidden": "true" }, rect);
}

function checkbox(label, checked, change) {
  const box = make("input", { type: "checkbox", checked, change: () => change(box.checked) });
  return make("label", {}, box, " ", label);
}

const note = (text) => make("p", { class: "note" }, text);
const cell = (kind, ...children) => make("td", { class: kind }, ...children);
const heading = (text, align) => make("th", { scope: "col", class: align }, text);
const rowHeading = (...children) => make("th", { scope: "row" }, ...children);
const folded = (title, ...children) => make("details", {}, make("summary", {}, title), ...children);
const barTitle = (...children) => make("div", { class: "bar-title" }, ...children);

// A part that scrolls by itself must be reached by keyboard; one that has nothing to scroll is no stop of the Tab key.
const SCROLLS = ".scroll, .drawing, .command";
const sizes = new ResizeObserver((changes) => changes.forEach(({ target }) => {
  const part = target.closest(SCROLLS);
  if (!part) return;
  const sideways = part.scrollWidth > part.clientWidth;
  part.tabIndex = sideways || part.scrollHeight > part.clientHeight ? 0 : -1;
  part.classList.toggle("more", sideways);
}));

function stopWhereItScrolls(part) {
  for (const each of [part, ...part.children]) sizes.observe(each);
  return part;
}

function scrolling(label, kind, ...children) {
  return stopWhereItScrolls(make("div", { class: `scroll ${kind}`, tabindex: 0, role: "group", "aria-label": label },
    ...children));
}

/**
 * Rows of cells under a head, in a part that scrolls. A cell is a text, an element, or a `td` or `th` itself; a row may
 * be a `tr` itself. `align` has a letter per column, r for numbers.
 */
function tableOf(head, rows, align, { label, kind = "", caption, click } = {}) {
  const whole = (content) => content?.matches?.("td, th, tr");
  const line = (row) => (whole(row) ? row
    : make("tr", {}, ...row.map((content, i) => (whole(content) ? content : cell(align[i], content)))));
  const heads = head.map((content, i) => (whole(content) ? content : heading(content, align[i])));
  return scrolling(label ?? head.join(", "), kind, make("table", { click }, caption && make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows.map(line))));
}

/** A choice among [value, text]; the first one where the value is none of them. */
function picker(label, options, value, pick, attributes) {
  const chosen = options.some(([other]) => other === value) ? value : options[0]?.[0];
  const select = make("select", { change: () => pick(select.value), ...attributes },
    ...options.map(([other, text]) => make("option", { value: other, selected: other === chosen }, text)));
  return label ? make("label", {}, `${label} `, select) : select;
}

/** Calls a function once its callers have been quiet for a while. */
function settled(work, wait) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), wait);
  };
}

const announce = settled((text) => { byId("live").textContent = visible(text, ISOLATE); }, 250);
