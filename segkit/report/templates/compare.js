// Runs side by side: what differs, their scores, and how far their segments agree.

// Columns that are no score, and text that is no choice.
const UNCOMPARED = ["standing", "n_clusters", "seed", "run", "status", "state", "misses", "silhouette_native"];
// Columns of which less or more is not better.
const UNRANKED = [...UNCOMPARED, "seconds", "smallest_cluster"];
const UNKNOWN = "not known here";
const LONGEST = 60;

/** The letters of the shown run and of those compared with it, here and in the picture of all runs. */
const letterOf = (place) => "ABCDE"[place];

function comparison(study) {
  const runs = [state.run, ...state.compare], two = runs.length === 2;
  const title = two ? ["A ", make("code", {}, runs[0]), " and B ", make("code", {}, runs[1])] : [`${runs.length} runs`];
  return [
    barTitle(make("h4", {}, "Compared: ", ...title),
      two ? button("Swap", () => swapWith(runs[1]), { "data-key": "swap" }) : null,
      closer({ compare: [] })),
    two ? make("p", { class: "agreement" }, ...agreementText(study, runs)) : matrix(study, runs),
    make("div", { class: two ? "three" : "three several" },
      make("div", {}, parameterTable(study, runs), two && overlap(study, runs)), scoreTable(study, runs)),
  ];
}

function agreementText(study, runs) {
  const value = agreement(study, ...runs);
  if (value === null) return [`Their agreement is ${UNKNOWN}: this page does not hold the labels of both.`];
  const reading = value === 1 ? "the very same segments" : value >= 0.8 ? "much the same answer" : value >= 0.5 ? "related answers" : "different answers";
  return ["Adjusted Rand index ", make("b", { "data-ari": value }, fixed(value, 3)), `: ${reading}. `, overWhom(study)];
}

function overWhom({ meta }) {
  const shown = meta.sampled ? `Over the ${count(meta.shown)} customers shown. ` : "";
  return `${shown}Noise counts as a group of its own.`;
}

/** How far several runs agree with each other, what they are, and buttons to show or remove them. */
function matrix(study, runs) {
  const agreeing = (a, b) => {
    if (a === b) return cell("z soft", "1");
    const value = agreement(study, a, b);
    if (value === null) return cell("z soft unknown", UNKNOWN);
    const level = Math.max(0, Math.floor(5.999 * value)), title = `${a} and ${b}: ${fixed(value, 3)}`;
    return make("td", { class: `z zm${level}`, title }, fixed(value, 2));
  };
  const does = (text, run, work) => button(text, () => work(run),
    { "data-key": text + run, "aria-label": `${text} run ${run}` });
  const line = (run, i) => [rowHeading(make("b", {}, letterOf(i)), " ", make("code", {}, run)),
    ...runs.map((other) => agreeing(run, other)),
    i ? cell("does", does("Show", run, swapWith), " ", does("Remove", run, compareOrNot)) : cell("soft", "shown"),
    cell("made", configurationOf(study, study.position.get(run)))];
  const head = ["Adjusted Rand index", ...runs.map((_, i) => heading(letterOf(i), "c")), cell(), "Configuration"];
  return tableOf(head, runs.map(line), "", { label: "Agreement of the compared runs", kind: "heat matrix",
    caption: `1: the same segments; 0: as much alike as by chance. ${overWhom(study)}` });
}

const headsOf = (runs) => runs.map((run, i) => `${letterOf(i)} ${run}`);

// A parameter that only some of the runs have differs as well: it is what stands against the others' own.
function parameterTable(study, runs) {
  const several = (values) => new Set(values).size > 1, rows = runs.map((run) => study.position.get(run));
  const told = study.parameters.map((p) => [p, ...rows.map((row) => readable(parameterOf(p, row)))])
    .filter(([, ...values]) => values.some((value) => value !== NONE));
  const differs = ([, ...values]) => several(values), different = told.filter(differs);
  const follows = ([parameter]) => followsFromOption(study, parameter, rows);
  const lines = state.rows ? told : different.filter((line) => !follows(line));
  const behind = state.rows ? [] : different.filter(follows);
  const table = (listed, head) => tableOf([head, ...headsOf(runs)], listed.map((line) => make("tr",
    { class: state.rows && differs(line) && "differs" }, rowHeading(named(line[0].name)),
    ...line.slice(1).map((value) => cell("", written(value))))), "");
  const only = checkbox("Only what differs", !state.rows, (on) => change({ rows: on ? "" : "all" }));
  only.control.dataset.key = "rows";
  const head = state.rows ? "Configuration" : "What differs";
  return make("div", { class: "made" }, only, lines.length ? table(lines, head) : note("No parameter differs."),
    behind.length > 0 && folded(`Parameters that only one option has: ${count(behind.length)}`,
      table(behind, "Of one option")),
    note(state.rows ? "What all runs of the study have in common is under Provenance."
      : told.length > different.length && `${count(told.length - different.length)} more are alike.`));
}

/** Whether a parameter stands in some of the rows only because the option does: the study gave it one value there. */
function followsFromOption(study, parameter, rows) {
  const option = study.parameters.find(({ name }) => name === parameter.name.split(".")[0]);
  if (!option || option === parameter || parameter.values.filter((value) => value !== null).length > 1) return false;
  const optionsOf = (some) => new Set(some.map((row) => parameterOf(option, row)));
  const having = optionsOf(rows.filter((row) => parameterOf(parameter, row) !== null));
  return having.size === 1 && optionsOf(rows).size > 1;
}

/** A parameter's value as it is read: an empty list or none as a dash, what a list or a mapping holds without marks. */
function readable(value) {
  if (value === null || value === "") return NONE;
  const held = typeof value === "string" && /^[[{]/.test(value) ? parsed(value) : value;
  return flat(held);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function flat(value) {
  if (typeof value !== "object") return String(value);
  if (value === null) return NONE;
  const inner = (each) => (each && typeof each === "object" && Object.keys(each).length ? `(${flat(each)})` : flat(each));
  const parts = Array.isArray(value) ? value.map(inner)
    : Object.entries(value).map(([name, each]) => `${name}: ${inner(each)}`);
  return parts.join(", ") || NONE;
}

function written(text) {
  return text.length <= LONGEST ? text : folded(`${text.slice(0, LONGEST - 20)}…`, text);
}

function scoreTable(study, runs) {
  const rows = runs.map((run) => study.position.get(run)), two = runs.length === 2;
  const known = ({ kind, values }) => kind === "number" && rows.some((row) => !absent(values[row]));
  const lines = study.columns.filter(known).map((column) => {
    const own = rows.map((row) => unmarked(study, column, row)), best = bestOf(column, own);
    // What reads the same is not better.
    const texts = own.map((value) => (absent(value) ? null : numberText(column, value)));
    const several = new Set(texts.filter((text) => text !== null)).size > 1, top = texts[own.indexOf(best)];
    const score = (row, i) => make("span", {}, several && best !== undefined && texts[i] === top ? make("b", {}, `${cellText(study, column, row)} ●`)
      : cellText(study, column, row), intervalText(column, intervalOf(study, column.name, row)));
    return [named(column.title, { title: column.hint }), ...rows.map(score), ...(two ? [gapText(column, ...own)] : [])];
  });
  return tableOf(["Score", ...headsOf(runs), ...(two ? ["B − A"] : [])], lines, "lrrrrr",
    { caption: "● marks the best one. Behind a score, softer: its interval, where there is one." });
}

/** How much more the second value is; nothing where they are places, counts or not known. */
function gapText({ name, digits, unit, parts }, a, b) {
  if (parts || absent(a) || absent(b) || UNCOMPARED.includes(name)) return "";
  const gap = unit === "%" ? 100 * (b - a) : b - a;
  const told = formatted(gap, { ...decimals(digits ?? 3), signDisplay: "exceptZero" });
  return unit === "%" ? `${told} points` : told;
}

function intervalText({ digits, unit }, ends) {
  const told = ends.map((end) => (unit === "%" ? percent(end, digits) : fixed(end, digits ?? 3)));
  return ends.length > 0 && make("span", { class: "soft" }, ` ${told.join(" to ")}`);
}

/** The best of several values of a score; undefined where they are no scores, or none is better than another. */
function bestOf({ name, first, bar }, values) {
  const found = values.filter((value) => !absent(value));
  if (!bar || UNRANKED.includes(name) || new Set(found).size < 2) return undefined;
  return first === "desc" ? Math.max(...found) : Math.min(...found);
}

function overlap(study, runs) {
  const labels = runs.map((run) => labelsOf(study, run));
  if (!labels.every(Boolean)) return null;
  const { rows, columns, counts } = crossTable(...labels);
  const level = (n, row) => (n ? Math.min(3, Math.floor((4 * n) / row.reduce((sum, each) => sum + each))) : 0);
  const line = (group, i) => [rowHeading(segmentTitle(group)),
    ...counts[i].map((n) => cell(`z zp${level(n, counts[i])}`, count(n)))];
  return tableOf(["Segment", ...columns.map((group) => (group < 0 ? "Noise" : String(group)))], rows.map(line),
    `l${"r".repeat(columns.length)}`, { label: "Cross table of segments", kind: "heat cross",
      caption: `Customers by segment of A, ${runs[0]} (rows), and of B, ${runs[1]} (columns).` });
}
