// Two runs side by side: what differs, their scores, and how their segments overlap.

// Columns that are no score, and text that is no choice.
const UNCOMPARED = ["standing", "n_clusters", "seed", "run", "status", "state"];

const UNKNOWN = "Their agreement is not known here: this page does not hold the labels of both.";

function comparison(study) {
  const runs = [state.run, state.compare], rows = runs.map((run) => study.position.get(run));
  const [a, b] = runs.map((run) => labelsOf(study, run));
  const table = a && b && crossTable(a, b);
  return [
    make("div", { class: "bar-title" },
      make("h4", {}, "Compared: ", make("code", {}, runs[0]), " and ", make("code", {}, runs[1])),
      button("Swap", () => change({ run: runs[1], compare: runs[0], segment: null }), { "data-key": "swap" }),
      button("Close", () => change({ compare: null }), { title: "Escape", "data-key": "close" })),
    make("p", { class: "agreement" }, ...(table ? agreementText(study, table) : [UNKNOWN])),
    make("div", { class: "three" }, parameterTable(study, rows, runs), scoreTable(study, rows, runs),
      table ? overlap(table) : null),
  ];
}

function agreementText(study, table) {
  const value = adjustedRand(table);
  const reading = value >= 0.8 ? "much the same answer" : value >= 0.5 ? "related answers" : "different answers";
  return ["Adjusted Rand index ", make("b", { "data-ari": value }, fixed(value, 3)), `: ${reading}`,
    study.meta.sampled ? `, over the ${count(study.meta.shown)} customers shown.` : ".",
    " Noise counts as a group of its own."];
}

// A parameter that only one of the two has belongs to an option that differs: it is folded away.
function parameterTable(study, rows, runs) {
  const differing = study.parameters.map((p) => [named(p.name), ...rows.map((row) => parameterOf(p, row))])
    .filter(([, a, b]) => written(a) !== written(b));
  const shared = differing.filter(([, a, b]) => a !== null && b !== null);
  const single = differing.filter((line) => !shared.includes(line));
  if (!differing.length) return make("p", { class: "note" }, "No parameter differs.");
  const lines = (some) => some.map(([name, a, b]) => [name, written(a), written(b)]);
  return make("div", {}, tableOf(["What differs", ...runs], lines(shared), "lll"),
    single.length ? make("details", {}, make("summary", {}, `${single.length} parameters that only one of them has`),
      tableOf(["Parameter", ...runs], lines(single), "lll")) : null);
}

function written(value) {
  return value === null ? NONE : typeof value === "object" ? JSON.stringify(value) : String(value);
}

function scoreTable(study, rows, runs) {
  const known = ({ name, kind }) => kind === "number" && rows.some((row) => !absent(study.table[name][row]));
  const told = study.columns.filter(known).map((column) => {
    const better = betterOf(column, rows.map((row) => study.table[column.name][row]));
    const cell = (row, i) => {
      const told = cellText(study, column, row);
      return i === better ? make("b", {}, `${told} ●`) : told;
    };
    return [named(column.title, { title: column.hint }), ...rows.map(cell)];
  });
  return tableOf(["Score", ...runs], told, "lrr", "● marks the better one.");
}

/** Which of two values is the better one: 0, 1, or −1 where neither is. */
function betterOf({ name, first }, [a, b]) {
  if (UNCOMPARED.includes(name) || absent(a) || absent(b) || a === b) return -1;
  return Number(first === "desc" ? b > a : b < a);
}

function overlap({ rows, columns, counts }) {
  const totals = counts.map((row) => Math.max(1, row.reduce((sum, n) => sum + n, 0)));
  const level = (n, i) => (n ? ["z0", "zp1", "zp2", "zp3"][Math.min(3, Math.floor((4 * n) / totals[i]))] : "z0");
  const heads = columns.map((group) => heading(group < 0 ? "Noise" : group, "r"));
  const line = (group, i) => make("tr", {}, make("th", { scope: "row" }, segmentTitle(group)),
    ...counts[i].map((n) => make("td", { class: `z ${level(n, i)}` }, count(n))));
  return scrolling("Cross table of segments", "heat cross", make("table", {},
    make("caption", {}, `Customers by segment of ${state.run} (rows) and of ${state.compare} (columns).`),
    make("thead", {}, make("tr", {}, heading("Segment"), ...heads)), make("tbody", {}, ...rows.map(line))));
}
