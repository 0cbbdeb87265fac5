// The heat map of a run's profile: segments by size, features by how far they set segments apart.

const WIDEST = 14;
// So many columns fit on paper.
const WIDEST_PRINTED = 20;

/** Segments of a profile, largest first, noise last; `at` is the place in the profile. */
function segmentsOf(profile) {
  return profile.segments.map((segment, at) => ({ ...segment, at }))
    .sort((a, b) => (a.segment < 0) - (b.segment < 0) || b.n - a.n || a.segment - b.segment);
}

function widestFeatures(profile) {
  const clusters = profile.z.filter((_, at) => profile.segments[at].segment >= 0);
  const told = clusters.length ? clusters : profile.z;
  const spread = (values) => (values.length > 1 ? Math.max(...values) - Math.min(...values) : Math.abs(values[0]));
  return profile.features.map((name, i) => ({ name, i, spread: spread(told.map((row) => row[i] ?? 0)) }))
    .sort((a, b) => b.spread - a.spread || a.i - b.i);
}

/** The class of a cell: five steps on each side of the average. */
function heat(z) {
  if (absent(z)) return "z0";
  const step = [0.25, 0.5, 1, 1.5, 2].filter((bound) => Math.abs(z) >= bound).length;
  return step === 0 ? "z0" : `z${z < 0 ? "m" : "p"}${step}`;
}

function heatMap(profile, all, showAll, printed = false) {
  const features = widestFeatures(profile), most = printed ? WIDEST_PRINTED : WIDEST;
  const kept = all && !printed ? features : features.slice(0, most);
  const heads = kept.map(({ name }) => heading(button(named(name, { title: name }), () => pickFeature(name),
    { "data-key": `f${name}`, "aria-pressed": state.feature === name })));
  const coloured = (segment, at) => ({ name, i }) => {
    const z = profile.z[at][i], ones = profile.ones?.[name];
    const told = ones ? `share ${percent(ones.of[at])}` : `median ${short(profile.median[at]?.[i])}`;
    return make("td", { class: `z ${heat(z)}`, "data-segment": segment, "data-feature": name,
      title: `${segmentTitle(segment)}, ${name}: ${deviations(z)} sd, ${told}` }, deviations(z));
  };
  const rows = segmentsOf(profile).map(({ segment, at, n, share }) => {
    const chosen = segment === state.segment;
    const pick = button(segmentTitle(segment), () => pickSegment(segment),
      { class: "pick", "data-key": `s${segment}`, "aria-pressed": chosen });
    return make("tr", { "aria-current": chosen ? "true" : null }, rowHeading(swatch(segment), " ", pick),
      cell("r", count(n)), cell("r", percent(share)), ...kept.map(coloured(segment, at)));
  });
  const click = (event) => {
    const { segment, feature } = event.target.closest("td.z")?.dataset || {};
    if (feature !== undefined) change({ segment: Number(segment), feature });
  };
  const more = all ? `Only the ${WIDEST} widest` : `Show all ${count(features.length)} features`;
  return [
    make("h4", {}, "Profile"),
    make("p", { class: "note" }, "Segment means in standard deviations from everybody's mean.",
      make("span", { class: "help" }, " A segment or a cell opens the drill-down."),
      profile.shownOnly && " Of the customers in this page, whose values are rounded to 255 steps.",
      printed && kept.length < features.length
        && ` The ${kept.length} features of ${count(features.length)} in which segments differ most.`),
    tableOf(["Segment", "Customers", "Share", ...heads], rows, "lrr",
      { label: "Profile heat map", kind: "heat", click }),
    features.length > WIDEST ? button(more, showAll, { "data-key": "more" }) : null,
  ];
}

function pickSegment(segment) {
  change({ segment: segment === state.segment ? null : segment });
}

function pickFeature(feature) {
  change({ feature });
}
