// The study as the page holds it: compressed blocks, opened when they are needed.

const LEFT_OUT = -2;
const NOISE = -1;
const MISSING = 255;

async function unpack(name) {
  const block = byId(`data-${name}`);
  if (!block || typeof DecompressionStream === "undefined") return null;
  const text = atob(block.textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function unpackJson(name) {
  const bytes = await unpack(name);
  return bytes && JSON.parse(new TextDecoder().decode(bytes));
}

/** Opens the leaderboard; `openPoints` and `openValues` bring the rest. Null where the page holds no such blocks. */
async function openStudy() {
  const meta = await unpackJson("meta");
  if (meta?.version !== 1) return null;
  const table = await unpackJson("runs");
  return {
    meta, table, size: table.run.length, planes: [], labels: null, values: null,
    columns: meta.columns.map((column) => ({ ...column, values: table[column.name] })),
    parameters: Object.keys(table).filter((name) => name.startsWith("p:"))
      .map((name) => ({ name: name.slice(2), ...table[name] })),
    position: new Map(table.run.map((run, i) => [run, i])),
    embedded: new Map(meta.runs.map((entry) => [entry.run, entry.labels])),
    featureAt: new Map(meta.features.map((feature, i) => [feature.name, i])),
    // Made when they are first asked for.
    partitions: new Map(), profiles: new Map(), agreements: new Map(), histograms: new Map(), views: new Map(),
  };
}

/** What a map has under a key; made first where it is not there. */
function once(map, key, work) {
  if (!map.has(key)) map.set(key, work());
  return map.get(key);
}

async function openPoints(study) {
  const [labels, planes] = await Promise.all([unpack("labels"), unpack("planes")]);
  const m = study.meta.shown;
  study.labels = labels;
  study.planes = !planes ? [] : study.meta.planes.map((plane) => {
    const xy = new Uint16Array(planes.slice(plane.offset, plane.offset + 4 * m));
    return { ...plane, x: xy.subarray(0, m), y: xy.subarray(m) };
  });
}

async function openValues(study) {
  const bytes = study.meta.values ? await unpack("values") : null;
  study.values = bytes && new Uint8Array(bytes);
}

/** A feature's quantile codes, one per customer shown; null where the page holds none. */
function codesOf(study, feature) {
  const at = study.featureAt.get(feature), m = study.meta.shown;
  if (at === undefined || !study.values || !study.meta.features[at].knots) return null;
  return study.values.subarray(at * m, (at + 1) * m);
}

/** How many of all customers shown have each code of a feature. */
function everyone(study, feature) {
  return once(study.histograms, feature, () => momentsOf(codesOf(study, feature), knotsOf(study, feature), () => true));
}

const knotsOf = (study, feature) => study.meta.features[study.featureAt.get(feature)].knots;

/** The run's label of each customer shown (−1 noise, −2 left out), null where the run is not embedded. */
function labelsOf(study, run) {
  const at = study.embedded.get(run);
  return at === undefined || !study.labels ? null
    : once(study.partitions, at, () => decoded(study, study.meta.partitions[at]));
}

function decoded(study, { offset, bytes }) {
  const m = study.meta.shown, top = bytes === 1 ? 255 : 65535;
  const raw = study.labels.slice(offset, offset + bytes * m);
  return Int32Array.from(bytes === 1 ? new Uint8Array(raw) : new Uint16Array(raw),
    (code) => (code === top ? NOISE : code === top - 1 ? LEFT_OUT : code));
}

/** The run's profile: the study's own, a duplicate's, or one made from the customers shown. */
function profileOf(study, run) {
  const { runs, profiles, values } = study.meta;
  const told = runs.find((other) => other.labels === study.embedded.get(run) && profiles[other.run]);
  if (told) return profiles[told.run];
  if (values && !study.values) return null;
  return once(study.profiles, run, () => shownProfile(study, labelsOf(study, run)));
}

/** Sizes from the customers shown; with their values also z, median and quartiles, as good as the codes are. */
function shownProfile(study, labels) {
  const groups = [...groupSizes(labels)].sort((a, b) => a[0] - b[0]);
  const total = groups.reduce((sum, [, n]) => sum + n, 0);
  const features = study.values ? study.meta.features.filter((f) => f.knots).map((f) => f.name) : [];
  const told = features.map((feature) => codesOf(study, feature)).map((codes, i) => {
    const knots = knotsOf(study, features[i]);
    const all = everyone(study, features[i]), sd = Math.sqrt(all.square - all.mean ** 2);
    return groups.map(([group]) => {
      const one = momentsOf(codes, knots, (row) => labels[row] === group);
      return { z: sd > 0 ? (one.mean - all.mean) / sd : 0, quartiles: quartilesOf(one.histogram, knots) };
    });
  });
  const pick = (get) => groups.map((_, g) => told.map((byGroup) => get(byGroup[g])));
  return {
    segments: groups.map(([segment, n]) => ({ segment, n, share: n / total, name: segmentTitle(segment) })),
    features, z: pick((cell) => cell.z), q25: pick((cell) => cell.quartiles[0]),
    median: pick((cell) => cell.quartiles[1]), q75: pick((cell) => cell.quartiles[2]), shownOnly: true,
  };
}

function momentsOf(codes, knots, belongs) {
  const histogram = new Uint32Array(256);
  for (let row = 0; row < codes.length; row += 1) if (belongs(row)) histogram[codes[row]] += 1;
  let n = 0, sum = 0, squares = 0;
  for (let code = 0; code < MISSING; code += 1) {
    n += histogram[code];
    sum += histogram[code] * knots[code];
    squares += histogram[code] * knots[code] ** 2;
  }
  return { n, mean: sum / n, square: squares / n, histogram };
}

/** Lower quartile, median and upper quartile of a histogram over codes, in the feature's own units. */
function quartilesOf(histogram, knots) {
  let total = 0;
  for (let code = 0; code < MISSING; code += 1) total += histogram[code];
  return [0.25, 0.5, 0.75].map((share) => {
    let below = 0;
    for (let code = 0; code < MISSING; code += 1) {
      below += histogram[code];
      if (below > 0 && below >= share * total) return knots[code];
    }
    return NaN;
  });
}

const ENDINGS = ["_sd", "_q05", "_q95", "_low", "_high"];

/** Between what a run's score lies, where the study has an interval; else nothing. */
function intervalOf({ table }, name, row) {
  const held = (ends) => ends.map((end) => table[name + end]?.[row]);
  return [["_q05", "_q95"], ["_low", "_high"]].map(held).find((ends) => !ends.some(absent)) || [];
}

/** What runs may be placed by: the columns of numbers that some run has, and the parameters that are numbers. */
function axesOf(study) {
  return once(study.views, "axes", () => {
    const given = study.parameters.map((parameter) => ({ name: `p:${parameter.name}`, title: parameter.name,
      kind: "number", values: parameter.codes.map((code) => parameter.values[code]) }));
    const numeric = ({ values }) => values.every((value) => value === null || typeof value === "number");
    return [...study.columns.filter(({ kind, values }) => kind === "number" && !values.every(absent)),
      ...given.filter((each) => numeric(each) && new Set(each.values.filter((value) => value !== null)).size > 1)];
  });
}

const parameterOf = (parameter, row) => parameter.values[parameter.codes[row]] ?? null;

/** What the runs are called that none beats in all scores: where some were tested further, among those alone. */
const frontOf = ({ table }) => (table.confirmed?.some(Boolean) ? "Pareto front of the tested runs" : "Pareto front");

/** What the run is that the report tells in depth. */
const toldAs = ({ meta }) => (meta.recommended ? "recommended" : "best placed");

/** What a run was made of, in the order of the pipeline: the text columns of the leaderboard. */
function configurationOf(study, row) {
  return study.columns.filter((column) => column.kind === "text" && !UNCOMPARED.includes(column.name))
    .map((column) => study.table[column.name][row]).filter(Boolean).join(" · ");
}

/** The embedded run whose parameters are all the same but the number of clusters, nearest in it. */
function nearestEmbedded(study, run) {
  const row = study.position.get(run);
  const sized = study.parameters.find((parameter) => parameter.name === "clusterer.n_clusters");
  if (!sized) return null;
  const others = study.parameters.filter((parameter) => parameter !== sized);
  const distance = (other) => Math.abs(parameterOf(sized, study.position.get(other)) - parameterOf(sized, row));
  return [...study.embedded.keys()]
    .filter((other) => others.every(({ codes }) => codes[study.position.get(other)] === codes[row]))
    .sort((a, b) => distance(a) - distance(b))[0] || null;
}
