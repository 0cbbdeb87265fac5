// All runs across their choices and scores: a line for each run, a lane for each choice and score (parallel
// coordinates, Inselberg 1985). Dragging along a lane keeps the runs that pass there, here and in the leaderboard.

const LANE_SCORES = ["n_clusters", "silhouette_reference", "davies_bouldin_reference", "stability_ari",
  "stability_jaccard_min", "coverage", "truth_ari"];
const MOST_VALUES = 12;
const VALUELESS = -0.09;

/** The lanes: choices with their values from top to bottom, scores with the better end on top. */
function lanesOf(study) {
  return once(study.views, "lanes", () => {
    const text = ({ name, kind }) => kind === "text" && !UNCOMPARED.includes(name);
    const scores = LANE_SCORES.map((name) => study.columns.find((column) => column.name === name)).filter(Boolean);
    return [...study.columns.filter(text).map((column) => choiceLane(study, column)),
      ...scores.map((column) => scoreLane(study, column))].filter(Boolean);
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
  return { name, title, at, ticks: values.map((value) => [places.get(value), String(value)]) };
}

function scoreLane(study, column) {
  const { name, title, first } = column, values = study.table[name], known = values.filter((value) => !absent(value));
  const [low, high] = [Math.min, Math.max].map((pick) => known.reduce((most, value) => pick(most, value), known[0]));
  if (!(high > low)) return null;
  const wide = name === "n_clusters" && low >= 0 && high > 30, to = (value) => (wide ? Math.log1p(value) : value);
  const back = (value) => (wide ? Math.expm1(value) : value), down = first === "asc" && !UNCOMPARED.includes(name);
  const share = (value) => (to(value) - to(low)) / (to(high) - to(low));
  const at = values.map((value) => (absent(value) ? NaN : down ? 1 - share(value) : share(value)));
  const shown = (i) => back(to(low) + (to(high) - to(low)) * (down ? 1 - i / 4 : i / 4));
  const told = column.unit === "%" ? (value) => percent(value, 0)
    : column.digits === 0 ? (value) => count(Math.round(value)) : (value) => fixed(value, 2);
  return { name, title, at, ticks: [0, 1, 2, 3, 4].map((i) => [i / 4, told(shown(i))]), down };
}

/** The parts of lanes that runs must pass, from the address: by the lane's name, [low, high] between 0 and 1. */
function brushes() {
  const told = state.lanes.split(";").map((each) => each.match(/^(.+):([\d.]+):([\d.]+)$/)).filter(Boolean);
  return new Map(told.map(([, name, low, high]) => [name, [Number(low), Number(high)]]));
}

/** Whether a run passes all the parts that were dragged over. */
function passesLanes(study) {
  const kept = brushes(), held = kept.size ? lanesOf(study).filter(({ name }) => kept.has(name)) : [];
  return (row) => held.every(({ name, at }) => at[row] >= kept.get(name)[0] && at[row] <= kept.get(name)[1]);
}

/** Fills `host`; what it returns is called with every change of the state. */
function runsLanes(host, study, board) {
  const lanes = study.size < 3 ? [] : lanesOf(study);
  if (lanes.length < 3) return () => {};
  const map = make("div", { class: "map" }), under = make("div"), lists = colourings(study);
  let rows = [], colour = lists[0], across = [];
  host.hidden = false;
  host.append(make("summary", {}, "All runs across choices and scores"), make("div", { class: "lanes" }, map, under));
  const face = surface(map, { paint, tell, pick, drag, narrowest: -1 });
  host.addEventListener("toggle", () => { if (host.open) face.repaint(); });

  function update(changes) {
    if (!["colour", "run", "compare", "find", "only", "lanes"].some((name) => name in changes)) return;
    colour = lists.find(({ name }) => name === state.colour) || lists[0];
    rows = [...study.table.run.keys()].filter(board.keeps);
    const kept = brushes();
    const told = `${count(rows.length)} of ${count(study.size)} runs are drawn${kept.size ? ": those that pass " : "."}`
      + (kept.size ? `${kept.size === 1 ? "the marked part of a lane" : "the marked parts of the lanes"}.` : "");
    const clear = button("Clear the marks", () => change({ lanes: "" }), { "data-key": "unmark" });
    const values = new Set(rows.map((row) => colour.codes[row]));
    const entries = [...colour.values.keys(), ELSE].filter((code) => values.has(code))
      .map((code) => make("li", {}, swatch(code), ` ${colour.values[code] ?? colour.rest ?? "no value"}`));
    face.canvas.setAttribute("aria-label", `Each run as a line over ${lanes.map(({ title }) => title).join(", ")}. `
      + `${told} Shown: run ${state.run}. The leaderboard below lists the same runs.`);
    refill(under, make("ul", { class: "legend", "aria-label": `Colours: ${colour.title}` }, ...entries),
      kept.size ? clear : null,
      note(`${told} Scores have their better end on top; the lowest place is that of runs without a value.`),
      make("p", { class: "note help" }, "Drag along a lane to keep the runs that pass there, in the leaderboard too; "
        + "click a line where it meets a lane to see the run, with Shift or Ctrl to compare it."));
    if (host.open) face.repaint();
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
    const kept = brushes().set(lane.name, [share(bottom), share(top)]);
    change({ lanes: [...kept].map(([name, [low, high]]) => `${name}:${round(low)}:${round(high)}`).join(";") });
  }

  const round = (value) => Number(value.toFixed(3));
  const ends = (height) => [46, height - 40];

  function paint(pen, { width, height, style }) {
    const [head, floor] = ends(height);
    const yOf = (share) => floor - (Number.isNaN(share) ? VALUELESS : share) * (floor - head);
    const left = 26, right = width - 74, step = (right - left) / (lanes.length - 1);
    across = lanes.map((_, i) => left + i * step);
    const places = { x: [], y: [] };
    for (const row of rows) {
      lanes.forEach(({ at }, i) => {
        places.x.push(across[i]);
        places.y.push(yOf(at[row]));
      });
    }
    const line = (i, tint, thick, alpha) => {
      [pen.strokeStyle, pen.lineWidth, pen.globalAlpha] = [tint, thick, alpha];
      pen.beginPath();
      lanes.forEach((_, lane) => pen.lineTo(across[lane], places.y[i * lanes.length + lane]));
      pen.stroke();
    };
    const alpha = Math.max(0.04, Math.min(0.75, 90 / rows.length));
    for (let i = rows.length - 1; i >= 0; i -= 1) {
      const code = colour.codes[rows[i]];
      line(i, colourOf(code), 1.2, code < 0 ? alpha * 0.6 : alpha);
    }
    [state.run, ...state.compare].reverse().forEach((run) => {
      const i = rows.indexOf(study.position.get(run));
      if (i < 0) return;
      line(i, style.backgroundColor, 6, 0.9);
      line(i, run === state.run ? style.caretColor : style.color, run === state.run ? 3 : 2, 1);
    });
    pen.globalAlpha = 1;
    axes(pen, style, width, head, floor, step);
    return places;
  }

  function axes(pen, style, width, head, floor, step) {
    const kept = brushes(), yOf = (share) => floor - share * (floor - head);
    lanes.forEach(({ name, title, ticks }, i) => {
      const x = across[i];
      [pen.fillStyle, pen.globalAlpha] = [style.color, 0.55];
      pen.fillRect(x - 0.5, head - 6, 1, floor - head + 12);
      if (kept.has(name)) {
        const [low, high] = kept.get(name);
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

function beside(pen, style, text, x, y, size, weight = 400) {
  [pen.lineJoin, pen.lineWidth, pen.strokeStyle, pen.fillStyle] = ["round", 3, style.backgroundColor, style.color];
  [pen.font, pen.textAlign, pen.textBaseline] = [`${weight} ${size}px ${style.fontFamily}`, "left", "middle"];
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
}

/** A text cut to so many pixels before its end, where labels of one option differ. */
function fitted(pen, style, text, size, room, weight = 400) {
  pen.font = `${weight} ${size}px ${style.fontFamily}`;
  let told = text;
  for (let kept = text.length - 6; kept > 1 && pen.measureText(told).width > room; kept -= 1) {
    told = `${text.slice(0, kept)}…${text.slice(-4)}`;
  }
  return told;
}
