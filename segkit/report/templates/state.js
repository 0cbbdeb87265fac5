// What is looked at, kept in the address after the #: copying the address shares the view.

const MOST_COMPARED = 4;
const FULL = `${MOST_COMPARED} runs are compared with the shown one, and no more fit: remove one first.`;
const TEXTS = ["plane", "feature", "sort", "find", "only", "x", "y", "zoom", "colour", "lanes", "rows"];
const ADDRESSED = ["run", "compare", "segment", ...TEXTS];
const START = { run: null, compare: [], segment: null, filters: [], ...Object.fromEntries(TEXTS.map((t) => [t, ""])) };
const state = { ...START, unknown: "" };
const watchers = [];

function change(changes) {
  Object.assign(state, "run" in changes ? { unknown: "" } : {}, changes);
  keepAddress();
  watchers.forEach((watch) => watch(changes));
}

/** Shows a run; one that was compared with the shown one no longer is. */
function choose(run) {
  change({ run, segment: null, compare: state.compare.filter((other) => other !== run) });
}

/** Shows a compared run and compares the shown one in its place. */
function swapWith(run) {
  change({ run, segment: null, compare: state.compare.map((other) => (other === run ? state.run : other)) });
}

/** Adds a run to those compared with the shown one, or takes it away. */
function compareOrNot(run) {
  const rest = state.compare.filter((other) => other !== run), adds = rest.length === state.compare.length;
  if (run === state.run) return;
  if (adds && rest.length === MOST_COMPARED) announce(FULL);
  change({ compare: adds ? [...rest, run].slice(0, MOST_COMPARED) : rest });
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
  for (const name of ADDRESSED) {
    const text = String(state[name] ?? "");
    if (text) told.set(name, text);
  }
  for (const { feature, low, high } of state.filters) told.append("range", `${low}:${high}:${feature}`);
  return told.toString().replaceAll("%2C", ",");
}

/** The ends of a part of the picture of all runs, across and up; null where the text is none. */
function zoomOf(text) {
  const ends = text.split(",").map((end) => (end.trim() ? Number(end) : NaN));
  return ends.length === 4 && ends[0] < ends[1] && ends[2] < ends[3] ? ends : null;
}

const noRun = (run) => `There is no run ${run} in this study.`;
const noSegment = (segment, run) => `Run ${run} has no segment ${segment} in this page.`;

/** Reads the address; null where it names a section, or nothing. What the study does not know is dropped and told. */
function readAddress(study) {
  if (!location.hash.includes("=")) return null;
  const told = new URLSearchParams(location.hash.slice(1)), text = (name) => told.get(name) || "";
  const names = knownNames(study), plain = (name) => (name === "sort" ? text(name).replace(/^-/, "") : text(name));
  const fits = { zoom: zoomOf, rows: (told) => told === "all", lanes: (told) => brushesText(brushes(study, told)) };
  const held = (name) => ((fits[name] ?? (() => !names[name] || names[name].includes(plain(name))))(text(name))
    ? text(name) : "");
  const known = (run) => study.position.has(run), asked = text("compare").split(",").filter(Boolean);
  const run = known(text("run")) ? text("run") : state.run;
  const others = [...new Set(asked)].filter((other) => known(other) && other !== run);
  const filters = told.getAll("range").map((each) => each.match(/^(\d+):(\d+):([^]*)$/))
    .filter((found) => found && study.featureAt.has(found[3]))
    .map(([, low, high, feature]) => ({ feature, low: Math.min(low, 254), high: Math.min(high, 254) }));
  const nobody = [text("run"), ...asked].find((name) => name && !known(name));
  const ofRun = !text("run") || known(text("run")), numbered = /^-?\d+$/.test(text("segment"));
  const strange = [...new Set(told.keys())].filter((name) => !ADDRESSED.includes(name) && name !== "range");
  const lost = [...strange.map((name) => name.slice(0, LONGEST)), ...TEXTS.filter((name) => text(name) && !held(name)),
    ...(filters.length < told.getAll("range").length ? ["range"] : [])];
  const unknown = [nobody && noRun(nobody), ofRun && !numbered && text("segment") && noSegment(text("segment"), run),
    lost.length && `Left out of the address, because this page cannot read it: ${lost.join(", ")}.`];
  return { ...Object.fromEntries(TEXTS.map((name) => [name, held(name)])), run, filters,
    unknown: unknown.filter(Boolean).join(" "),
    lanes: brushesText(brushes(study, text("lanes"))),
    compare: others.slice(0, MOST_COMPARED), segment: ofRun && numbered ? Number(text("segment")) : null };
}

/** The names that the study knows, by what in the address must be one of them. */
function knownNames(study) {
  const named = (list) => list.map(({ name }) => name), columns = named(study.columns);
  const features = [study.meta, ...Object.values(study.meta.profiles)].flatMap((part) => part.features);
  return { plane: named(study.meta.planes), feature: features.map((each) => each.name ?? each), sort: columns,
    only: ["eligible", "pareto"], x: named(axesOf(study)), y: named(axesOf(study)), colour: named(colourings(study)) };
}
