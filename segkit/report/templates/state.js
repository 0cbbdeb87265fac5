// What is looked at, kept in the address after the #: copying the address shares the view.

const START = {
  run: null, compare: null, segment: null, plane: "", feature: null, sort: "", find: "", only: "", filters: [],
};
const state = { ...START };
const watchers = [];

function change(changes) {
  Object.assign(state, changes);
  keepAddress();
  watchers.forEach((watch) => watch(changes));
}

// Browsers refuse an address that changes with every step of a slider: such steps wait for the last one.
let addressed = -Infinity;
const addressLater = settled(writeAddress, 250);

function writeAddress() {
  addressed = performance.now();
  history.replaceState(null, "", `#${address()}`);
}

function keepAddress() {
  if (performance.now() - addressed > 250) writeAddress();
  else addressLater();
}

function address() {
  const told = new URLSearchParams();
  for (const name of ["run", "compare", "segment", "plane", "feature", "sort", "find", "only"]) {
    if (state[name] !== null && state[name] !== "") told.set(name, state[name]);
  }
  for (const { feature, low, high } of state.filters) told.append("range", `${low}:${high}:${feature}`);
  return told.toString();
}

/** Reads the address; null where it names a section, or nothing. Names that the study does not know are dropped. */
function readAddress(study) {
  if (!location.hash.includes("=")) return null;
  const told = new URLSearchParams(location.hash.slice(1)), known = study.position;
  const run = known.has(told.get("run")) ? told.get("run") : null;
  const compare = known.has(told.get("compare")) && told.get("compare") !== run ? told.get("compare") : null;
  const segment = /^-?\d+$/.test(told.get("segment") || "") ? Number(told.get("segment")) : null;
  const plane = study.meta.planes.some((each) => each.name === told.get("plane")) ? told.get("plane") : "";
  const filters = told.getAll("range").map((text) => text.match(/^(\d+):(\d+):([^]*)$/))
    .filter((found) => found && study.featureAt.has(found[3]))
    .map(([, low, high, feature]) => ({ feature, low: Math.min(low, 254), high: Math.min(high, 254) }));
  const only = ["eligible", "pareto"].includes(told.get("only")) ? told.get("only") : "";
  const unknown = ["run", "compare"].map((name) => told.get(name)).find((name) => name && !known.has(name));
  return { run, compare, segment, plane, filters, only, unknown,
    feature: told.get("feature"), sort: told.get("sort") || "", find: told.get("find") || "" };
}
