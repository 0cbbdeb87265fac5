// All runs across their choices and scores: a line for each run, a lane for each choice and score (parallel
// coordinates, Inselberg 1985). Dragging along a lane keeps the runs that pass there, here and in the leaderboard.

const LANE_SCORES = ["n_clusters", "silhouette_reference", "davies_bouldin_reference", "stability_ari",
  "stability_jaccard_min", "coverage", "truth_ari"];
const MOST_VALUES = 12;
const VALUELESS = -0.09;
// So many lines take long to draw: not for every letter of a filter.
const SLOW = 2_000;

/**
 * The lanes: choices with their values from top to bottom, scores with the better end on top; none if too few. A part
 * of a lane is told by its ends as texts: `between` makes them of two places, `span` reads them again.
 */
function lanesOf(study) {
  return once(study.views, "lanes", () => {
    if (study.size < 3) return [];
    const text = ({ name, kind }) => kind === "text" && !UNCOMPARED.includes(name);
    const scores = LANE_SCORES.map((name) => study.columns.find((column) => column.name === name)).filter(Boolean);
    const lanes = [...study.columns.filter(text).map((column) => choiceLane(study, column)),
      ...scores.map((column) => scoreLane(study, column))].filter(Boolean);
    return lanes.length < 3 ? [] : lanes;
  });
}

// The runs of one value are spread over its part of the lane, the better placed above. Of a choice with many
// parameters, the option alone.
function choiceLane(study, { name, title }) {
  const option = study.parameters.find((parameter) => parameter.name === title.toLowerCase());
  const labels = study.table[name], few = distinct(labels, MOST_VALUES).length > 0;
  const all = few || !option ? labels : option.codes.map((code) => option.values[code]);
  const values = distinct(all, MOST_VALUES), m = values.length;
  if (m < 2) return null;
  const places = new Map(values.map((value, i) => [value, 1 - (i + 0.5) / m]));
  const at = all.map((value, row) => (places.get(value) ?? NaN) + ((0.5 - row / study.size) * 0.7) / m);
  const texts = values.map(String), band = (i) => [1 - (i + 1) / m, 1 - i / m];
  const between = (low, high) => firstAndLast(touched(low, high, m)).map((i) => texts[i]);
  function span(...ends) {
    const [first, last] = ends.map((text) => texts.indexOf(text));
    return first < 0 || last < first ? null : laneSpan(band(last)[0], band(first)[1], (row) => at[row]);
  }
  return { name, title, at, texts, between, span, ticks: texts.map((text, i) => [places.get(values[i]), text]) };
}

/** A part of a lane, and whether a run's place or value is between two ends. */
function laneSpan(low, high, placed, least = low, most = high) {
  return { low, high, keeps: (row) => placed(row) >= least && placed(row) <= most };
}

const firstAndLast = (places) => [places[0], places.at(-1)];

/** Which of so many values a part of a lane means, from the top: whose label or a quarter of whose band is in it. */
function touched(low, high, m) {
  const all = [...new Array(m).keys()], place = (i) => 1 - (i + 0.5) / m;
  const inside = (i) => Math.min(high, place(i) + 0.5 / m) - Math.max(low, place(i) - 0.5 / m);
  const found = all.filter((i) => (low <= place(i) && place(i) <= high) || inside(i) >= 0.25 / m);
  return found.length ? found : [Math.max(0, Math.min(m - 1, Math.floor((1 - (low + high) / 2) * m)))];
}

function scoreLane(study, column) {
  const { name, title, first } = column, values = study.table[name], known = values.filter((value) => !absent(value));
  const [low, high] = [Math.min, Math.max].map((pick) => known.reduce((most, value) => pick(most, value), known[0]));
  if (!(high > low)) return null;
  const wide = name === "n_clusters" && low >= 0 && high > 30, to = (value) => (wide ? Math.log1p(value) : value);
  const back = (value) => (wide ? Math.expm1(value) : value), down = first === "asc" && !UNCOMPARED.includes(name);
  const share = (value) => (to(value) - to(low)) / (to(high) - to(low));
  const at = values.map((value) => (absent(value) ? NaN : down ? 1 - share(value) : share(value)));
  const told = column.unit === "%" ? (value) => percent(value, 0)
    : column.digits === 0 ? (value) => count(Math.round(value)) : (value) => fixed(value, 2);
  const valueAt = (place) => back(to(low) + (to(high) - to(low)) * (down ? 1 - place : place));
  const placeOf = (value) => Math.max(0, Math.min(1, down ? 1 - share(value) : share(value)));
  const ordered = (...numbers) => numbers.sort((a, b) => a - b);
  function between(...places) {
    const [least, most] = ordered(...places.map(valueAt));
    return [outward(least, Math.floor), outward(most, Math.ceil)].map(String);
  }
  function span(...texts) {
    const [least, most] = ordered(...texts.map((text) => (text.trim() ? Number(text) : NaN)));
    if (!(Number.isFinite(least) && Number.isFinite(most))) return null;
    return laneSpan(...ordered(placeOf(least), placeOf(most)), (row) => values[row] ?? NaN, least, most);
  }
  const ticks = [0, 1, 2, 3, 4].map((i) => [i / 4, told(valueAt(i / 4))]);
  return { name, title, at, ticks, between, span, percents: column.unit === "%", ends: [low, high] };
}

/** A number of five significant digits on the one side of a value. */
function outward(value, side) {
  const step = value ? 10 ** (Math.floor(Math.log10(Math.abs(value))) - 4) : 1;
  return Number((side(value / step) * step).toPrecision(5));
}

/**
 * The parts of lanes that runs must pass, as the address tells them: by the lane's name, its `ends` as texts, where it
 * is drawn, and whether it keeps a run. What the study does not know is left out.
 */
function brushes(study, told = state.lanes) {
  const found = new Map();
  for (const each of told ? told.split(";") : []) {
    const [name, ...ends] = each.split(":").map(decoding), lane = lanesOf(study).find((other) => other.name === name);
    const span = ends.length === 2 && lane?.span(...ends);
    if (span) found.set(name, { ends, ...span });
  }
  return found;
}

function decoding(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** How the address tells parts of lanes, [name, {ends}] each. */
function brushesText(kept) {
  return [...kept].map(([name, { ends }]) => [name, ...ends].map(encodeURIComponent).join(":")).join(";");
}

/** Keeps the runs in a part of a lane, or all of them where it has no ends. */
function brush(study, name, ends) {
  const kept = brushes(study);
  kept.delete(name);
  change({ lanes: brushesText([...kept, ...(ends ? [[name, { ends }]] : [])]) });
}

/** Whether a run passes all the parts that were dragged over. */
function passesLanes(study) {
  const kept = [...brushes(study).values()];
  return (row) => kept.every(({ keeps }) => keeps(row));
}

/** Fills `host`; what it returns is called with every change of the state. */
function runsLanes(host, study, board) {
  const lanes = lanesOf(study);
  if (!lanes.length) return () => {};
  const map = make("div", { class: "map" }), under = make("div"), form = laneForm(study, lanes);
  const lists = colourings(study), parts = make("div", { class: "lanes" }, map, form.folding, under);
  const held = kept();
  let rows = [], colour = lists[0], across = [], places = null;
  host.hidden = false;
  host.append(make("summary", {}, "All runs across choices and scores"), parts);
  const face = surface(map, { paint, tell, pick, drag, narrowest: -1 });
  const repaintLater = settled(face.repaint, 200);
  host.addEventListener("toggle", () => { if (host.open) face.repaint(); });

  function update(changes) {
    const filters = ["find", "only", "lanes"];
    if (!["colour", "run", "compare", ...filters].some((name) => name in changes)) return;
    colour = lists.find(({ name }) => name === state.colour) || lists[0];
    if (filters.some((name) => name in changes)) rows = [...study.table.run.keys()].filter(board.keeps);
    const marked = brushes(study);
    form.show();
    const told = `${count(rows.length)} of ${count(study.size)} runs are drawn${marked.size ? ": those that pass " : "."}`
      + (marked.size ? `${marked.size === 1 ? "the marked part of a lane" : "the marked parts of the lanes"}.` : "");
    const clear = button("Clear the marks", () => change({ lanes: "" }), { "data-key": "unmark" });
    const values = new Set(rows.map((row) => colour.codes[row]));
    const entries = [...colour.values.keys(), ELSE].filter((code) => values.has(code))
      .map((code) => make("li", {}, swatch(code), ` ${colour.values[code] ?? colour.rest ?? "no value"}`));
    const titles = lanes.map(({ title }) => visible(title)).join(", ");
    face.canvas.setAttribute("aria-label", `Each run as a line over ${titles}. `
      + `${told} Shown: run ${state.run}. The leaderboard below lists the same runs.`);
    refill(under, make("ul", { class: "legend", "aria-label": `Colours: ${colour.title}` }, ...entries),
      marked.size ? clear : null,
      note(`${told} Scores have their better end on top; the lowest place is that of runs without a value.`),
      make("p", { class: "note help" }, "Drag along a lane to keep the runs that pass there, in the leaderboard too; "
        + "click a line where it meets a lane to see the run, with Shift or Ctrl to compare it."));
    if (!host.open) return;
    if (rows.length > SLOW && filters.some((name) => name in changes)) repaintLater();
    else face.repaint();
  }

  function tell(i) {
    const row = rows[Math.floor(i / lanes.length)], lane = lanes[i % lanes.length];
    const column = study.columns.find(({ name }) => name === lane.name);
    return [`Run ${study.table.run[row]}`, configurationOf(study, row),
      `${lane.title} ${cellText(study, column, row)}`].join("\n");
  }

  function pick(i, event) {
    const run = study.table.run[rows[Math.floor(i / lanes.length)]];
    if (event.shiftKey || event.ctrlKey || event.metaKey) return compareOrNot(run);
    if (run !== state.run) choose(run);
    return board.reveal();
  }

  function drag(reach, [top, bottom], { height }) {
    const middle = (reach[0] + reach[1]) / 2, [head, floor] = ends(height);
    const gaps = across.map((x) => Math.abs(x - middle)), lane = lanes[gaps.indexOf(Math.min(...gaps))];
    const share = (y) => Math.max(0, Math.min(1, (floor - y) / (floor - head)));
    brush(study, lane.name, lane.between(share(bottom), share(top)));
  }

  const ends = (height) => [46, height - 40];

  function paint(pen, { width, height, density, style }) {
    const [head, floor] = ends(height);
    const yOf = (share) => floor - (Number.isNaN(share) ? VALUELESS : share) * (floor - head);
    const left = 26, right = width - 74, step = (right - left) / (lanes.length - 1);
    across = lanes.map((_, i) => left + i * step);
    const line = (pen, i, colour, thick, alpha) => {
      [pen.strokeStyle, pen.lineWidth, pen.globalAlpha] = [colour, thick, alpha];
      pen.beginPath();
      lanes.forEach((_, lane) => pen.lineTo(across[lane], places.y[i * lanes.length + lane]));
      pen.stroke();
    };
    held(pen, density, [rows, colour, style.backgroundColor], (ink) => {
      const alpha = Math.max(0.04, Math.min(0.75, 90 / rows.length));
      places = { x: rows.flatMap(() => across), y: rows.flatMap((row) => lanes.map(({ at }) => yOf(at[row]))) };
      for (let i = rows.length - 1; i >= 0; i -= 1) {
        const code = colour.codes[rows[i]];
        line(ink, i, colourOf(code), 1.2, code < 0 ? alpha * 0.6 : alpha);
      }
    });
    [state.run, ...state.compare].reverse().forEach((run) => {
      const i = rows.indexOf(study.position.get(run));
      if (i < 0) return;
      line(pen, i, style.backgroundColor, 6, 0.9);
      line(pen, i, run === state.run ? style.caretColor : style.color, run === state.run ? 3 : 2, 1);
    });
    pen.globalAlpha = 1;
    axes(pen, style, width, head, floor, step);
    return places;
  }

  function axes(pen, style, width, head, floor, step) {
    const kept = brushes(study), yOf = (share) => floor - share * (floor - head);
    lanes.forEach(({ name, title, ticks }, i) => {
      const x = across[i];
      [pen.fillStyle, pen.globalAlpha] = [style.color, 0.55];
      pen.fillRect(x - 0.5, head - 6, 1, floor - head + 12);
      if (kept.has(name)) {
        const { low, high } = kept.get(name);
        [pen.fillStyle, pen.globalAlpha] = [style.caretColor, 0.35];
        pen.fillRect(x - 7, yOf(high), 14, Math.max(2, yOf(low) - yOf(high)));
      }
      pen.globalAlpha = 1;
      const last = i === lanes.length - 1, room = last ? 70 : step - 12;
      for (const [share, text] of ticks) beside(pen, style, fitted(pen, style, text, 11, room), x + 5, yOf(share), 11);
      beside(pen, style, fitted(pen, style, title, 12, step - 4, 600), Math.max(4, x - 20), i % 2 ? 30 : 14, 12, 600);
    });
  }

  return update;
}

/** What dragging along lanes does, without a pointer: a lane, and which of its values are kept. */
function laneForm(study, lanes) {
  const part = make("div", { class: "bounds" });
  let lane = null, tell = null;
  const show = () => tell(brushes(study).get(lane.name)?.ends);

  function open(name) {
    const keep = (ends) => brush(study, name, ends);
    lane = lanes.find((each) => each.name === name);
    const made = lane.texts ? valueChoice(lane, keep) : boundBoxes(lane, keep);
    tell = made.tell;
    part.replaceChildren(...made.controls);
    show();
  }

  const names = lanes.map(({ name, title }) => [name, title]);
  const which = picker("Lane", names, lanes[0].name, open, { "data-key": "keep-lane" });
  open(lanes[0].name);
  return { folding: folded("Keep runs by value", make("div", { class: "keep" }, which, part)), show };
}

/** A select of a choice's values; several that were dragged over are one more option. */
function valueChoice({ title, texts }, keep) {
  const select = make("select", { "aria-label": `Value of ${title}`, "data-key": "keep-value",
    change: () => keep(select.value === "" ? null : [texts[select.value], texts[select.value]]) });
  const option = (value, text, selected, disabled) => make("option", { value, selected, disabled }, text);
  const tell = (ends = []) => {
    const [first, last] = ends.map((end) => texts.indexOf(end));
    select.replaceChildren(option("", "any", !ends.length), ...texts.map((text, i) => (
      option(i, text, i === first && i === last))));
    if (first < last) select.append(option("", ends.join(" to "), true, true));
  };
  return { controls: [make("label", {}, "Value ", select)], tell };
}

/** Two numbers between which a score is kept; an empty one is no bound. */
function boundBoxes({ title, percents, ends: [low, high] }, keep) {
  const scale = percents ? 100 : 1, plain = (value) => Number(value.toPrecision(12));
  const box = (end, bound) => make("input", { type: "number", step: "any", placeholder: plain(scale * bound),
    change: set, "aria-label": `${title} ${end}${percents ? ", %" : ""}`, "data-key": `keep-${end}` });
  const boxes = [box("from", low), box("to", high)];
  function set() {
    const [from, to] = boxes.map(({ value }) => (value === "" ? null : plain(Number(value) / scale)));
    const none = from === null && to === null;
    keep(none ? null : [from ?? Math.min(low, to), to ?? Math.max(high, from)].map(String));
  }
  const tell = (ends) => boxes.forEach((each, i) => { each.value = ends ? plain(scale * Number(ends[i])) : ""; });
  return { controls: boxes.map((each, i) => make("label", {}, i ? "to " : "from ", each, percents && " %")), tell };
}

function beside(pen, style, text, x, y, size, weight = 400) {
  [pen.lineJoin, pen.lineWidth, pen.strokeStyle, pen.fillStyle] = ["round", 3, style.backgroundColor, style.color];
  [pen.font, pen.textAlign, pen.textBaseline] = [`${weight} ${size}px ${style.fontFamily}`, "left", "middle"];
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
}

/** A text cut to so many pixels before its end, where labels of one option differ. */
function fitted(pen, style, text, size, room, weight = 400) {
  pen.font = `${weight} ${size}px ${style.fontFamily}`;
  const whole = visible(text);
  let told = whole;
  for (let kept = whole.length - 6; kept > 1 && pen.measureText(told).width > room; kept -= 1) {
    told = `${whole.slice(0, kept)}…${whole.slice(-4)}`;
  }
  return told;
}
