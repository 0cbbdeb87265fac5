// One segment close by: its figures beside everybody's, and the distribution of a feature in it.

const BINS = 32;
const LISTED = 40;
let byPercentile = false;

/** The chosen segment close by; with `passes`, of those of its customers whom the filters keep. */
function segmentView(study, profile, passes) {
  const found = segmentsOf(profile).find(({ segment }) => segment === state.segment);
  if (!found) return [];
  const features = profile.features.map((name, i) => ({ name, i, z: profile.z[found.at][i] }))
    .sort((a, b) => Math.abs(b.z ?? 0) - Math.abs(a.z ?? 0)).slice(0, LISTED);
  const chosen = profile.features.includes(state.feature) ? state.feature : features[0]?.name;
  const labels = labelsOf(study, state.run), inside = (row) => labels[row] === found.segment;
  const kept = passes ? (row) => inside(row) && passes[row] === 1 : null;
  const title = segmentTitle(found.segment), told = ` ${title}: ${count(found.n)} customers, ${percent(found.share)}`;
  return [
    barTitle(make("h4", { tabindex: -1 }, swatch(found.segment), told), closer({ segment: null })),
    found.name && found.name !== title ? note(found.name) : null,
    kept ? make("p", { class: "kept" }, keptText(study, labels, kept, inside)) : null,
    make("div", { class: "pair drill" },
      figures(study, profile, features, found.at, chosen, kept),
      make("div", {}, ...distribution(study, chosen, kept || inside))),
  ];
}

function keptText(study, labels, kept, inside) {
  const [n, all] = [kept, inside].map((is) => labels.reduce((sum, _, row) => sum + (is(row) ? 1 : 0), 0));
  return `Of the ${count(n)} of its ${count(all)} customers ${study.meta.sampled ? "shown " : ""}kept by the filters, `
    + "beside the whole segment; the means are the whole segment's.";
}

/**
 * A row per feature: the segment's mean, median and quartiles, where everybody's values are known also those, and first
 * those of the customers whom the filters have `kept`.
 */
function figures(study, profile, features, at, chosen, kept) {
  const what = profile.ones ? "median, quartiles or share" : "median, quartiles";
  const medians = kept ? [`Kept: ${what}`, "Whole segment"] : [what[0].toUpperCase() + what.slice(1)];
  const heads = ["Feature", "Mean, sd", ...medians,
    ...(study.values ? ["Everybody", "Among everybody"] : [])];
  const rows = features.map(({ name, i, z }) => {
    const own = typicalOf(profile, name, at, i), all = profile.ones?.[name]?.all ?? everybody(study, name);
    const now = kept ? typicalWhere(study, profile, name, kept) : own;
    const pick = button(named(name), () => pickFeature(name),
      { class: "pick", "data-key": `k${name}`, "aria-pressed": name === chosen });
    const cells = [cell(`z ${heat(z)}`, deviations(z)), ...(kept ? [now, own] : [own]).map((told) => cell("r",
      ...quartilesText(told)))];
    if (study.values) cells.push(cell("r", ...quartilesText(all)), cell("l", strip(study, name, now)));
    const current = name === chosen ? "true" : null;
    return make("tr", { "aria-current": current }, rowHeading(pick), ...cells);
  });
  return tableOf(heads, rows, kept ? "llrrrl" : "llrrl", { label: "Figures by feature", kind: "kpis" });
}

/** A segment's quartiles, or of a feature that is 0 or 1 its share of ones. */
function typicalOf(profile, feature, at, i) {
  const ones = profile.ones?.[feature];
  return ones ? ones.of[at] : ["q25", "median", "q75"].map((key) => profile[key][at]?.[i]);
}

/** The same of some of the customers shown. */
function typicalWhere(study, profile, feature, belongs) {
  if (!profile.ones?.[feature]) return quartilesWhere(study, feature, belongs);
  const codes = codesOf(study, feature), { n, mean } = codes ? momentsOf(codes, knotsOf(study, feature), belongs) : { n: 0 };
  return n ? mean : null;
}

/** Quartiles, the middle one first; one number is a share. */
function quartilesText(quartiles) {
  if (typeof quartiles === "number") return [make("b", {}, percent(quartiles))];
  if (!quartiles || quartiles.some(absent)) return [NONE];
  const [low, middle, high] = quartiles.map(brief);
  return [make("b", {}, middle), make("span", { class: "soft" }, ` ${low} to ${high}`)];
}

/** Quartiles of some of the customers shown; null where the page holds no values. */
function quartilesWhere(study, feature, belongs) {
  const codes = codesOf(study, feature), knots = codes && knotsOf(study, feature);
  return codes && quartilesOf(momentsOf(codes, knots, belongs).histogram, knots);
}

/** Quartiles of all customers that the study kept; null where the page holds no values. */
function everybody(study, feature) {
  return codesOf(study, feature) && study.meta.features[study.featureAt.get(feature)].quartiles;
}

/** The segment's quartiles as a bar over 0 to 100% of all customers, their middle half marked. */
function strip(study, feature, quartiles) {
  if (!codesOf(study, feature) || !Array.isArray(quartiles) || quartiles.some(absent)) return NONE;
  const knots = knotsOf(study, feature), ranks = ranksOf(study, feature);
  const [low, middle, high] = quartiles.map((value) => 100 * ranks[codeAt(knots, value)]);
  const rect = (x, y, width, height, attributes) => draw("rect", { x, y, width, height, ...attributes });
  return draw("svg", { class: "strip", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img",
    "aria-label": `median at percentile ${Math.round(middle)}` },
  rect(0, 4, 100, 2, { class: "track" }), rect(25, 2, 50, 6, { class: "half" }),
  rect(Math.min(low, 98.5), 2, Math.max(1.5, high - low), 6, { fill: colourOf(state.segment) }),
  rect(Math.min(99, middle), 0, 1, 10, { class: "mid" }));
}

/** The code whose value is nearest. */
function codeAt(knots, value) {
  const above = Math.min(MISSING - 1, Math.max(0, knots.findIndex((knot) => knot >= value)));
  return above > 0 && value - knots[above - 1] < knots[above] - value ? above - 1 : above;
}

/** Share of all customers shown below each code, its own half. */
function ranksOf(study, feature) {
  const { histogram, n } = everyone(study, feature);
  let below = 0;
  return Array.from(histogram.subarray(0, MISSING), (own) => {
    below += own;
    return (below - own / 2) / n;
  });
}

function distribution(study, feature, belongs) {
  const codes = feature === undefined ? null : codesOf(study, feature);
  if (!codes) return [note(study.meta.values && !study.values ? "Opening the values…" : NO_VALUES)];
  const labels = labelsOf(study, state.run), knots = knotsOf(study, feature), ranks = ranksOf(study, feature);
  const inner = knots.filter((_, code) => ranks[code] > 0.01 && ranks[code] < 0.99);
  const ends = byPercentile ? [0, 1] : [inner[0] ?? knots[0], inner.at(-1) ?? knots[MISSING - 1]];
  const shares = (belongs) => {
    const bins = new Array(BINS).fill(0), { histogram, n } = momentsOf(codes, knots, belongs);
    for (let code = 0; code < MISSING; code += 1) {
      const along = ((byPercentile ? ranks[code] : knots[code]) - ends[0]) / (ends[1] - ends[0] || 1);
      bins[Math.max(0, Math.min(BINS - 1, Math.floor(BINS * along)))] += histogram[code] / (n || 1);
    }
    return bins;
  };
  const toggle = button(byPercentile ? "Show by value" : "Show by percentile", () => {
    byPercentile = !byPercentile;
    change({ feature });
  }, { "data-key": "scale" });
  const ticks = byPercentile ? ["0%", "50%", "100%"] : [ends[0], (ends[0] + ends[1]) / 2, ends[1]].map(short);
  return [
    barTitle(make("h5", {}, named(feature, { title: feature })), toggle,
      button("Filter by it", () => addFilter(study, feature), { "data-key": "add" })),
    histogram(shares((row) => labels[row] !== LEFT_OUT), shares(belongs), ticks),
    note(`Share of customers per bin: filled, ${segmentTitle(state.segment)}${
      state.filters.length ? ", those kept by the filters" : ""}; line, everybody. ${byPercentile
      ? "Percentiles of everybody." : "The outermost 1% on each side are in the first and the last bin."}`),
  ];
}

function histogram(all, own, ticks) {
  const width = 480, height = 190, floor = height - 22, step = width / BINS, top = Math.max(...all, ...own) || 1;
  const y = (share) => floor - (share / top) * (floor - 14), fill = colourOf(state.segment);
  const outline = all.map((share, i) => `${i ? "L" : "M"}${i * step},${y(share)}H${(i + 1) * step}`).join("");
  const anchors = ["start", "middle", "end"];
  return draw("svg", { class: "histogram", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Distribution of the chosen feature in ${segmentTitle(state.segment)} and among everybody` },
  ...own.map((share, i) => (
    draw("rect", { x: i * step + 0.5, y: y(share), width: step - 1, height: floor - y(share), fill }))),
  draw("path", { class: "everybody", d: outline }), draw("path", { class: "axis", d: `M0,${floor}H${width}` }),
  draw("text", { x: 0, y: 10 }, percent(top)),
  ...ticks.map((text, i) => draw("text", { x: (i * width) / 2, y: height - 5, "text-anchor": anchors[i] }, text)));
}
