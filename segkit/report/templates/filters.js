// Filters by ranges of features: how many customers match, of which segments, and who they are.

const STEPS = `The page knows each feature by at most ${MISSING} steps: a typed bound moves to the next step inside it.`;
const NO_VALUES = "This page holds no customer's values.";

function addFilter(study, feature) {
  if (!codesOf(study, feature) || state.filters.some((filter) => filter.feature === feature)) return;
  change({ filters: [...state.filters, { feature, low: 0, high: MISSING - 1 }] });
}

function filtersView(study) {
  const title = make("h4", {}, "Filter customers");
  if (!study.meta.values) return [title, note(NO_VALUES)];
  if (!study.values) return [];
  const taken = state.filters.map((filter) => filter.feature);
  const free = study.meta.features.filter(({ name, knots }) => knots && !taken.includes(name));
  const add = picker("", [["", "Add a feature…"], ...free.map(({ name }) => [name, name])], "",
    (name) => addFilter(study, name), { "aria-label": "Add a filter by feature", "data-key": "add-filter" });
  const clear = button("Clear", () => change({ filters: [] }), { "data-key": "clear" });
  return [barTitle(title, free.length ? add : null, taken.length ? clear : null),
    taken.length ? note(STEPS) : null, ...state.filters.map((filter) => filterLine(study, filter)), make("div", { class: "outcome" })];
}

/** A slider with two handles, and the same bounds as numbers to type. */
function filterLine(study, filter) {
  const name = filter.feature, knots = knotsOf(study, name), last = knots.indexOf(knots[MISSING - 1]);
  const ends = { low: ["from", "least"], high: ["to", "most"] }, inputs = {};
  for (const [end, [slider, box]] of Object.entries(ends)) {
    inputs[end] = [
      make("input", { type: "range", min: 0, max: last, "aria-label": `${name}: ${slider}`,
        input: (event) => set(end, Number(event.target.value)) }),
      make("input", { type: "text", inputmode: "decimal", size: 9, "aria-label": `${name}: ${box}`,
        change: (event) => type(end, event.target.value) }),
    ];
  }
  const moved = make("span", { class: "moved soft" });
  const show = () => {
    for (const [end, [slider, box]] of Object.entries(inputs)) {
      box.value = short(knots[filter[end]]);
      slider.value = Math.min(filter[end], last);
      slider.setAttribute("aria-valuetext", box.value);
    }
  };
  function set(end, code) {
    moved.textContent = "";
    if (end === "low" && !Number.isNaN(code)) filter.low = Math.min(code, filter.high);
    if (end === "high" && !Number.isNaN(code)) filter.high = Math.max(code >= last ? MISSING - 1 : code, filter.low);
    show();
    change({ ranges: state.filters });
  }
  function type(end, text) {
    const bound = typed(text), code = codeWithin(knots, bound, end);
    set(end, code);
    const now = inputs[end][1].value, meant = short(bound);
    if (!Number.isNaN(bound) && meant === now) return;
    moved.textContent = Number.isNaN(bound) ? `“${visible(text)}” is no number: ${now} stays.`
      : `${meant} was moved to ${now}.`;
    announce([moved.textContent, matchedNow].join(" "));
  }
  const remove = () => change({ filters: state.filters.filter((other) => other !== filter) });
  show();
  return make("div", { class: "filter-line", role: "group", "aria-label": name }, named(name), inputs.low[1],
    make("span", { class: "two" }, inputs.low[0], inputs.high[0]), inputs.high[1],
    button("Remove", remove, { "aria-label": `Remove the filter by ${name}` }), moved);
}

const typed = (text) => (text.trim() ? Number(text.replace(/[,\s]/g, "").replaceAll("−", "-")) : NaN);

/** The outermost code whose value is still inside the bound; not a number where the bound is none. */
function codeWithin(knots, bound, end) {
  if (Number.isNaN(bound)) return NaN;
  if (end === "high") return Math.max(0, knots.findLastIndex((knot) => knot <= bound));
  const found = knots.findIndex((knot) => knot >= bound);
  return found < 0 ? MISSING - 1 : found;
}

let matchedNow = "";

function filterOutcome(study, passes, labels, profile) {
  matchedNow = "";
  if (!passes) return [];
  const { shown, customers, sampled, ids } = study.meta, sizes = groupSizes(labels);
  const inside = groupSizes(labels.filter((_, row) => passes[row]));
  const total = passes.reduce((sum, each) => sum + each, 0);
  const of = sampled ? `${count(shown)} customers shown (of ${count(customers)})` : `${count(shown)} customers`;
  const told = total ? `${count(total)} of ${of} match (${percent(total / shown)}).` : `No customer matches, of ${of}.`;
  matchedNow = told;
  const rows = segmentsOf(profile).map(({ segment }) => {
    const n = inside.get(segment) || 0, share = n / (total || 1);
    return [make("span", {}, swatch(segment), ` ${segmentTitle(segment)}`), count(n),
      make("span", {}, bar(100 * share, segment), percent(share)), percent(n / sizes.get(segment))];
  });
  const save = button("Download their ids (CSV)", () => download(study, passes), { "data-key": "download" });
  announce(told);
  return [make("p", { class: "matched" }, told, " ", ids && total ? save : null),
    tableOf(["Segment", "Matching", "Share of the matching", "Share of the segment"], rows, "lrrr")];
}

/** A CSV cell; text that a spreadsheet would take for a formula gets a quote in front, numbers never. */
function csvCell(text) {
  const numeric = text.trim() !== "" && Number.isFinite(Number(text));
  const safe = /^[=+\-@\t\r]/.test(text) && !numeric ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

async function download(study, passes) {
  const ids = await unpackJson("ids");
  saveCsv("customers.csv", [["id"], ...ids.filter((_, row) => passes[row]).map((id) => [id])]);
}

/** Hands rows of a table to the browser as a file; nothing is asked of the network. */
function saveCsv(name, rows) {
  const text = rows.map((row) => `${row.map((each) => csvCell(String(each ?? ""))).join()}\r\n`).join("");
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
