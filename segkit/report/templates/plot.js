// All runs on two of their columns: what is traded for what, where the shown and the compared runs stand, and between
// what their scores lie.

const MOST_GROUPS = 8;
const ELSE = -1;
const AXES = ["x", "y"];
// Between what a score lies, by how its name begins.
const RANGES = [[/^(silhouette_(reference|native)|stability_ari|truth_ari|dbcv)/, [-1, 1]],
  [/^(stability_jaccard|coverage|smallest_cluster|weight_share|p_adjusted|prediction_strength)/, [0, 1]]];
const FIRST_CHOICES = {
  x: ["stability_ari", "davies_bouldin_reference"], y: ["silhouette_reference"], colour: ["eligible"],
};

/** Fills `host`; what it returns is called with every change of the state. */
function runsPlot(host, study, board) {
  const { run: ids, pareto } = study.table, numbers = axesOf(study);
  const lists = { y: numbers, x: numbers, colour: colourings(study) };
  if (study.size < 3 || !numbers.some(({ name }) => FIRST_CHOICES.y.includes(name))) return () => {};

  const map = make("div", { class: "map" }), side = make("div"), now = {};
  const held = kept();
  let rows = [], away = "", both = [], of = "", scales = null, at = null;
  host.hidden = false;
  host.append(make("summary", {}, "All runs on two scores"), make("div", { class: "plot" }, map, side));
  const valueOf = (axis, row) => now[axis].values[row];
  const face = surface(map, { paint, tell, pick, drag });

  function update(changes) {
    const names = ["x", "y", "zoom", "colour", "run", "compare", "find", "only", "lanes"];
    if (!names.some((name) => name in changes)) return;
    for (const [key, list] of Object.entries(lists)) {
      const wanted = [state[key], ...FIRST_CHOICES[key]].map((name) => list.find((each) => each.name === name));
      now[key] = wanted.find(Boolean) || list[0];
    }
    const ends = zoomOf(state.zoom), zoomed = Boolean(ends);
    now.ends = zoomed ? { x: ends.slice(0, 2), y: ends.slice(2) } : {};
    const within = (value, [low, high]) => value >= low && value <= high;
    // Another run that is shown or compared moves no point.
    if (names.some((name) => name in changes && !["run", "compare"].includes(name))) {
      both = [...ids.keys()].filter((row) => AXES.every((axis) => !absent(valueOf(axis, row))));
      const passing = both.filter(board.keeps);
      rows = passing.filter((row) => !zoomed || AXES.every((axis) => within(valueOf(axis, row), now.ends[axis])));
      away = count(both.length - rows.length);
      of = [passing.length < both.length && "the filter", zoomed && "this part"].filter(Boolean).join(" or ");
    }
    const found = `${count(both.length)} of ${count(study.size)} runs have both values`
      + (of ? `; the ${away} outside ${of} are not drawn.` : ".");
    const whole = button("Show the whole", () => change({ zoom: "" }), { "data-key": "whole" });
    const titles = AXES.map((axis) => visible(now[axis].title)).join(" (across) and ");
    face.canvas.setAttribute("aria-label", `Runs by ${titles} (up). ${found} `
      + `Shown: run ${state.run}. The leaderboard below lists the same runs.`);
    refill(side, ...choices(), zoomed ? whole : null, legend(),
      note(`${found} The Pareto front is that of all scores that choose: a run on it may look beaten here. `
        + "Lines through a shown or compared run: its interval, where there is one."),
      make("p", { class: "note help" },
        "Click a run to see it below; with Shift or Ctrl, to compare it. Drag over a part to look closer."));
    face.repaint();
  }

  function choices() {
    return Object.entries({ y: "Up", x: "Across", colour: "Colour" }).map(([key, label]) => {
      const options = lists[key].map(({ name, title }) => [name, title]), first = FIRST_CHOICES[key][0];
      const pickOne = (name) => change({ zoom: key === "colour" ? state.zoom : "", [key]: name === first ? "" : name });
      return picker(label, options, now[key].name, pickOne, { "data-key": key });
    });
  }

  function legend() {
    const { codes, values, rest = "no value" } = now.colour, sizes = groupSizes(rows.map((row) => codes[row]));
    const front = rows.filter((row) => pareto[row]).length;
    const entry = (mark, text, n) => make("li", {}, mark, ` ${text} `, n && make("span", { class: "soft" }, count(n)));
    const ring = (kind) => icon(`swatch ${kind}`, draw("circle", { cx: 5, cy: 5, r: 4 }));
    return make("ul", { class: "legend", "aria-label": "Colours and marks" },
      ...[...values.keys(), ELSE].filter((code) => sizes.has(code))
        .map((code) => entry(swatch(code), values[code] ?? rest, sizes.get(code))),
      front ? entry(ring("front"), frontOf(study), front) : null,
      study.meta.best ? entry("★", toldAs(study)) : null,
      entry(ring("chosen"), state.compare.length ? "shown (A) and compared" : "shown"));
  }

  function tell(i) {
    const row = rows[i], same = (other) => AXES.every((axis) => valueOf(axis, other) === valueOf(axis, row));
    const values = AXES.map((axis) => `${now[axis].title} ${cellText(study, now[axis], row)}`).join(", ");
    const more = rows.filter(same).length - 1;
    return [`Run ${ids[row]}`, configurationOf(study, row), values, ...(more ? [`and ${count(more)} more here`] : [])]
      .join("\n");
  }

  function pick(i, event) {
    const run = ids[rows[i]];
    if (event.shiftKey || event.ctrlKey || event.metaKey) return compareOrNot(run);
    if (run !== state.run) choose(run);
    return board.reveal();
  }

  function drag(across, up) {
    const ends = [...across.map(scales.x.valueAt), ...up.map(scales.y.valueAt).reverse()];
    change({ zoom: ends.map((value) => Number(value.toPrecision(5))).join() });
  }

  function paint(pen, { width, height, density, style }) {
    const radius = Math.max(2.2, 5.6 - 0.75 * Math.log10(rows.length));
    held(pen, density, [rows, now.colour, style.backgroundColor], (ink) => {
      // Of all runs, so that no point moves when another run is shown; where none is drawn, the axes stay.
      const drawn = (axis) => (rows.length ? rows : both)
        .flatMap((row) => [valueOf(axis, row), ...interval(axis, row)]);
      scales = frame(ink, style, width, height, AXES.map((axis) => [now[axis], drawn(axis), now.ends[axis]]));
      const placed = (axis) => rows.map((row) => scales[axis].placeOf(valueOf(axis, row)));
      at = { x: placed("x"), y: placed("y") };
      const mark = marker(ink, radius, density, false, (code) => [colourOf(code), code < 0 ? 0.6 : 0.8]);
      // The better placed over the others, as the pointer finds them.
      for (let i = rows.length - 1; i >= 0; i -= 1) mark(now.colour.codes[rows[i]], at.x[i], at.y[i]);
      rows.forEach((row, i) => { if (pareto[row]) circle(ink, at.x[i], at.y[i], radius + 2, style.color, 1.2); });
    });
    const placeOf = (run) => rows.indexOf(study.position.get(run)), best = placeOf(study.meta.best), names = new Map();
    if (best >= 0) haloed(pen, style, "★", at.x[best], at.y[best], 19);
    [state.run, ...state.compare].forEach((run, letter) => {
      const i = placeOf(run);
      if (i < 0) return;
      whiskers(pen, rows[i], at.x[i], at.y[i], letter ? style.color : style.caretColor);
      circle(pen, at.x[i], at.y[i], radius + (letter ? 4 : 6), style.caretColor, letter ? 1.5 : 2.5);
      const place = [at.x[i] + radius + 11, at.y[i] - radius - 7].join();
      names.set(place, (names.get(place) || "") + letterOf(letter));
    });
    if (state.compare.length) names.forEach((text, place) => haloed(pen, style, text, ...place.split(",")));
    return at;
  }

  /** Between what the run's scores lie, where the study has an interval; a line ends at the frame. */
  function whiskers(pen, row, x, y, tint) {
    pen.save();
    pen.beginPath();
    pen.rect(...scales.box);
    pen.clip();
    [pen.fillStyle, pen.globalAlpha] = [tint, 0.7];
    const [[left, right], [low, high]] = AXES.map((axis) => interval(axis, row).map(scales[axis].placeOf));
    if (right > left) pen.fillRect(left, y - 0.75, right - left, 1.5);
    if (low > high) pen.fillRect(x - 0.75, high, 1.5, low - high);
    pen.restore();
  }

  const interval = (axis, row) => intervalOf(study, now[axis].name, row);

  return update;
}

function circle(pen, x, y, radius, colour, thick) {
  [pen.strokeStyle, pen.lineWidth] = [colour, thick];
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.stroke();
}

/** What runs may be coloured by, first by whether they are eligible. */
function colourings(study) {
  return once(study.views, "colourings", () => [{ name: "eligible", title: "eligible or not", values: ["eligible"],
    rest: "not eligible", codes: study.table.eligible.map((is) => (is ? 0 : ELSE)) }, ...groupings(study)]);
}

/** What else runs may be coloured by: columns and parameters of two to eight values, coloured in their order. */
function groupings(study) {
  const grouped = (name, title, all) => {
    const values = distinct(all, MOST_GROUPS), codes = new Map(values.map((value, i) => [value, i]));
    return { name, title, codes: all.map((value) => codes.get(value) ?? ELSE),
      values: values.map((value) => (typeof value === "number" ? short(value) : String(value))) };
  };
  const several = ({ values }) => values.length > 1;
  const columns = study.columns.map(({ name, title, values }) => grouped(name, title, values)).filter(several);
  // A choice without parameters is a column of the leaderboard too.
  const titles = study.columns.map(({ title }) => title.toLowerCase());
  const called = ({ name }) => (titles.includes(name) ? `${name} (option)` : name);
  const options = study.parameters
    .map((p) => grouped(`p:${p.name}`, called(p), p.codes.map((code) => p.values[code]))).filter(several);
  return [...columns, ...options.filter((option) => !columns.some((column) => sameGroups(column.codes, option.codes)))];
}

/** Whether two lists of codes group the runs in the same way, whatever the codes. */
function sameGroups(a, b) {
  const pairs = new Set(a.map((code, i) => `${code} ${b[i]}`)), sizes = [a, b].map((codes) => new Set(codes).size);
  return sizes.every((size) => size === pairs.size);
}

/** The different values in their order; none where there are more than so many. */
function distinct(values, most) {
  const found = new Set();
  for (const value of values) {
    if (!absent(value)) found.add(value);
    if (found.size > most) return [];
  }
  return [...found].sort(new Intl.Collator("en", { numeric: true }).compare);
}

/** Draws the axes of two columns, [column, values, ends] each; returns their scales, and the box between them. */
function frame(pen, style, width, height, [across, up]) {
  const top = 34, floor = height - 44, right = width - 16, font = (weight) => `${weight} 12px ${style.fontFamily}`;
  pen.font = font(400);
  const y = scaleOf(...up, floor, top, 55), widths = y.ticks.map(([, text]) => pen.measureText(text).width);
  const left = 18 + Math.max(...widths), x = scaleOf(...across, left, right, 90);
  const write = (text, align, ...place) => {
    pen.textAlign = align;
    pen.fillText(visible(text), ...place);
  };
  [pen.fillStyle, pen.textBaseline, pen.globalAlpha] = [style.color, "middle", 0.75];
  for (const [place, text] of y.ticks) write(text, "right", left - 8, place);
  for (const [place, text] of x.ticks) write(text, "center", place, floor + 13);
  [pen.globalAlpha, pen.font] = [1, font(600)];
  write(`↑ ${axisTitle(up[0])}`, "left", 10, 16);
  write(`${axisTitle(across[0])} →`, "right", right, height - 13);
  pen.fillStyle = style.borderTopColor;
  for (const [place] of y.ticks) pen.fillRect(left, Math.round(place), right - left, 1);
  for (const [place] of x.ticks) pen.fillRect(Math.round(place), top, 1, floor - top);
  return { x, y, box: [left, top, right - left, floor - top] };
}

function axisTitle({ name, title, first }) {
  return UNRANKED.includes(name) || !first ? title : `${title} (${first === "desc" ? "higher" : "lower"} is better)`;
}

/** A column's values between two places: where one is, what is at a place, and round ticks as [place, text]. */
function scaleOf({ name, unit, digits }, values, ends, from, to, apart) {
  const extreme = (pick) => values.reduce((most, value) => pick(most, value), values[0] ?? 0);
  let [low, high] = ends || [extreme(Math.min), extreme(Math.max)];
  if (!(high > low)) [low, high] = [low - 0.5, low + 0.5];
  const [least, most] = RANGES.find(([begins]) => begins.test(name))?.[1] ?? [-Infinity, Infinity];
  if (!ends && values.length) {
    [low, high] = [Math.min(Math.max(low, least), extreme(Math.min)), Math.max(Math.min(high, most), extreme(Math.max))];
  }
  if (!ends) [low, high] = [low - 0.05 * (high - low), high + 0.05 * (high - low)];
  const rough = (high - low) / Math.max(2, Math.abs(to - from) / apart), power = 10 ** Math.floor(Math.log10(rough));
  const fine = power * [1, 2, 5, 10].find((each) => each * power >= rough);
  const step = digits === 0 && unit !== "%" ? Math.max(1, fine) : fine;
  const decimals = Math.max(0, -Math.floor(Math.log10(unit === "%" ? 100 * step : step) + 1e-9));
  const told = unit === "%" ? percent : decimals > 4 || step >= 1e6 ? short : fixed;
  const placeOf = (value) => from + ((to - from) * (value - low)) / (high - low);
  const valueAt = (place) => low + ((high - low) * (place - from)) / (to - from), ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) {
    if (!ends && (i * step > most + 1e-9 || i * step < least - 1e-9)) continue;
    ticks.push([placeOf(i * step), told(i * step || 0, decimals)]);
  }
  return { ticks, placeOf, valueAt };
}
