// The leaderboard: all runs, of which only the rows in sight are in the document.

const ROW = 28;
const SPARE = 8;
const PRINTED = 40;
// What a run is comes before how it did; what only a confirmation knows of its place comes last.
const LEADING = ["standing", "run", "state", "data_label", "features_label", "scaler_label", "projection_label",
  "clusterer_label", "n_clusters"];
const TRAILING = ["rank_low", "rank_high", "screen_rank"];
const ON_PAPER = [...LEADING, "silhouette_reference", "silhouette_excess", "p_adjusted", "stability_ari",
  "stability_ari_refit", "coverage"];

function leaderboard(board, study) {
  const scroller = board.querySelector(".tall"), table = board.querySelector("table");
  const find = make("input", { type: "search", class: "find", placeholder: "umap kmeans",
    input: () => change({ find: find.value }) });
  const flags = { eligible: "eligible only", pareto: `${frontOf(study)} only` };
  const boxes = Object.entries(flags)
    .map(([name, label]) => checkbox(label, false, (on) => change({ only: on ? name : "" })));
  const matches = make("span", { class: "matches", role: "status" }), full = make("span", { class: "matches full" });
  const none = make("p", { class: "note none", hidden: true }, "No run matches. ", button("Clear the filter", () => {
    change({ find: "", only: "", lanes: "" });
    find.focus();
  }, { "data-key": "unfilter" }));
  const rows = make("tbody"), [above, below] = [0, 1].map(() => make("tbody", { "aria-hidden": "true" }));
  const columns = inOrder(study.columns)
    .map((column) => ({ ...column, values: study.table[column.name], shown: true }));
  let order = [], passing = new Uint8Array(0), active = 0, printing = false, texts = null;

  const classOf = (column) => (column.name === "run" ? "id" : column.kind === "number" ? "r" : "l");
  const shownColumns = () => columns.filter(({ name, shown }) => (printing ? ON_PAPER.includes(name) : shown));

  function prepare() {
    const controls = board.querySelector(".controls");
    controls.replaceChildren(make("label", {}, "Filter ", find), ...boxes, chooser(), matches, full);
    controls.hidden = false;
    scroller.append(none);
    scroller.classList.add("live", ...(study.size <= 10 ? ["few"] : []));
    scroller.addEventListener("scroll", () => window.requestAnimationFrame(paint));
    table.setAttribute("role", "grid");
    table.setAttribute("aria-label", "All runs");
    table.addEventListener("keydown", onKey);
    rows.addEventListener("click", onClick);
    new ResizeObserver(paint).observe(scroller);
    measure();
    heads();
  }

  function chooser() {
    const listed = columns.map((column) => checkbox(named(column.title), true, (on) => {
      column.shown = on;
      heads();
      paint();
    }));
    const folding = folded("Columns", make("div", {}, ...listed));
    folding.className = "chooser";
    return folding;
  }

  // Widths come from the longest text, so that columns stand still while rows come and go.
  function measure() {
    for (const column of columns) {
      let longest = 0;
      for (let row = 0; row < study.size; row += 1) longest = Math.max(longest, cellText(study, column, row).length);
      const word = Math.max(...column.title.split(/\s+/).map((part) => part.length));
      column.width = Math.min(Math.max(longest, word * 1.15 + 2), 34) * 0.53 + 1.4 + (column.bar ? 2.7 : 0);
    }
  }

  function heads() {
    const widths = ["2.7rem", ...shownColumns().map((column) => `${column.width}rem`)].map((width) => {
      const col = make("col");
      col.style.width = width;
      return col;
    });
    const cells = shownColumns().map((column) => make("th",
      { scope: "col", class: classOf(column), title: column.hint || null, "data-name": column.name },
      button(make("bdi", {}, column.title), () => change({ sort: nextSort(column) }), { "data-key": column.name })));
    const mark = make("th", { scope: "col", class: "l", title: "Compare with the shown run" }, "vs");
    const head = make("thead", {}, make("tr", { "aria-rowindex": 1 }, mark, ...cells));
    const held = table.contains(document.activeElement) && document.activeElement.dataset.key;
    table.replaceChildren(make("colgroup", {}, ...widths), head, above, rows, below);
    if (held) [...head.querySelectorAll("button")].find((each) => each.dataset.key === held)?.focus();
    table.style.width = `${2.7 + shownColumns().reduce((sum, column) => sum + column.width, 0)}rem`;
    tellSort();
  }

  function sorting() {
    const name = state.sort.replace(/^-/, "");
    const column = columns.find((each) => each.name === name);
    return column ? { column, descending: state.sort.startsWith("-") } : null;
  }

  function nextSort(column) {
    const now = sorting();
    const again = now ? now.column === column : column === columns[0];
    const descending = again ? !now?.descending : column.first === "desc";
    return (descending ? "-" : "") + column.name;
  }

  function tellSort() {
    const now = sorting();
    for (const head of table.tHead.rows[0].cells) {
      const on = head.dataset.name === (now ? now.column : columns[0]).name;
      if (on) head.setAttribute("aria-sort", now?.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  function arrange() {
    const wanted = state.find.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length && !texts) texts = searchable();
    const wished = Object.hasOwn(flags, state.only) && study.table[state.only];
    const passes = passesLanes(study);
    passing = Uint8Array.from(study.table.run, (_, row) => (!wished || wished[row]) && passes(row)
      && wanted.every((word) => texts[row].includes(word)));
    order = [...passing.keys()].filter((row) => passing[row]);
    const now = sorting();
    if (now) sort(now);
    matches.textContent = order.length === study.size ? `${count(study.size)} ${study.size === 1 ? "run" : "runs"}`
      : `${count(order.length)} of ${count(study.size)} runs`;
    none.hidden = order.length > 0 || !study.size;
    table.setAttribute("aria-rowcount", order.length + 1);
    active = Math.max(0, order.indexOf(study.position.get(state.run)));
  }

  function searchable() {
    const told = columns.filter((column) => column.kind !== "number");
    const varying = study.parameters.filter((parameter) => parameter.values.length > 1);
    return study.table.run.map((run, row) => [run, ...told.map((column) => cellText(study, column, row)),
      ...varying.map((p) => `${p.name}=${parameterOf(p, row)}`)].join(" ").toLowerCase());
  }

  function sort({ column, descending }) {
    const sign = descending ? -1 : 1, { values } = column;
    const collator = new Intl.Collator("en", { numeric: true });
    const compare = column.kind === "text" ? (x, y) => collator.compare(x, y) : (x, y) => x - y;
    order.sort((a, b) => {
      const x = values[a], y = values[b];
      if (absent(x) || absent(y)) return absent(x) - absent(y) || a - b;
      return sign * compare(x, y) || a - b;
    });
  }

  function paint() {
    const head = table.tHead.offsetHeight;
    const first = printing ? 0 : Math.max(0, Math.floor(scroller.scrollTop / ROW) - SPARE);
    const last = printing ? Math.min(order.length, PRINTED)
      : Math.min(order.length, Math.ceil((scroller.scrollTop + scroller.clientHeight - head) / ROW) + SPARE);
    const focused = rows.contains(document.activeElement);
    spacer(above, first);
    rows.replaceChildren(...order.slice(first, last).map((row, i) => rowOf(row, first + i)));
    spacer(below, printing ? 0 : order.length - last);
    if (focused) (rows.querySelector("[tabindex='0']") || scroller).focus({ preventScroll: true });
  }

  function spacer(body, hiddenRows) {
    body.replaceChildren();
    if (!hiddenRows) return;
    const room = cell();
    room.style.height = `${hiddenRows * ROW}px`;
    body.append(make("tr", {}, room));
  }

  function rowOf(row, place) {
    const run = study.table.run[row], chosen = run === state.run, letter = [state.run, ...state.compare].indexOf(run);
    const box = make("input", { type: "checkbox", tabindex: place === active ? 0 : -1, disabled: chosen,
      "aria-label": `Compare run ${run} with the shown one`, checked: state.compare.includes(run) });
    const cells = shownColumns().map((column) => cell(classOf(column),
      column.bar && !absent(column.values[row]) ? scoreBar(column, row) : null, cellText(study, column, row)));
    return make("tr", { "data-run": run, "data-place": place, "aria-rowindex": place + 2,
      tabindex: place === active ? 0 : -1, "aria-selected": chosen,
      "data-pareto": Boolean(study.table.pareto?.[row]),
      "data-dim": study.table.eligible && !study.table.eligible[row], "data-embedded": study.embedded.has(run) },
    cell("", box, state.compare.length > 0 && letter >= 0 && ` ${letterOf(letter)}`), ...cells);
  }

  // The interval, where the study has one, is a line over the bar.
  function scoreBar({ name, values, bar: [low, high] }, row) {
    const at = (value) => Math.max(0, Math.min(100, (100 * (value - low)) / (high - low || 1)));
    const drawn = bar(at(values[row]));
    const from = study.table[`${name}_q05`]?.[row], to = study.table[`${name}_q95`]?.[row];
    if (!absent(from) && !absent(to)) {
      const width = Math.max(1, at(to) - at(from));
      drawn.append(draw("rect", { class: "interval", x: at(from), y: 1.4, width, height: 1.2 }));
    }
    return drawn;
  }

  function onClick(event) {
    const line = event.target.closest("tr"), { run } = line.dataset;
    active = Number(line.dataset.place);
    if (event.target.matches("input")) compareOrNot(run);
    else if (run !== state.run || state.unknown) choose(run);
  }

  function onKey(event) {
    const line = event.target.closest("tr[data-run]");
    if (!line) return;
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -order.length, End: order.length };
    if (event.key in steps) goTo(active + steps[event.key]);
    else if (event.key === "Enter") choose(line.dataset.run);
    else if (event.key === " " && event.target === line) compareOrNot(line.dataset.run);
    else return;
    event.preventDefault();
  }

  function goTo(place) {
    active = Math.max(0, Math.min(order.length - 1, place));
    reveal();
    paint();
    rows.querySelector("tr[tabindex='0']")?.focus({ preventScroll: true });
  }

  function reveal() {
    const top = active * ROW, room = scroller.clientHeight - table.tHead.offsetHeight - ROW;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room + 4;
  }

  function update(changes) {
    if (["sort", "find", "only", "lanes"].some((name) => name in changes)) {
      if (find.value !== state.find) find.value = state.find;
      Object.keys(flags).forEach((name, i) => { boxes[i].control.checked = state.only === name; });
      arrange();
      tellSort();
      scroller.scrollTop = 0;
    }
    if ("run" in changes) active = Math.max(0, order.indexOf(study.position.get(state.run)));
    if ("compare" in changes) full.textContent = state.compare.length < MOST_COMPARED ? "" : FULL;
    if (["sort", "find", "only", "lanes", "run", "compare"].some((name) => name in changes)) paint();
  }

  function print(on) {
    printing = on;
    heads();
    paint();
  }

  prepare();
  return { update, reveal, keeps: (row) => passing[row] === 1, print };
}

function inOrder(columns) {
  const placed = [...LEADING, ...TRAILING], called = (name) => columns.find((column) => column.name === name);
  const [first, last] = [LEADING, TRAILING].map((names) => names.map(called).filter(Boolean));
  return [...first, ...columns.filter(({ name }) => !placed.includes(name)), ...last];
}

/** What a cell of the leaderboard shows: a number with its standard deviation where the study has one. */
function cellText(study, column, row) {
  const value = study.table[column.name][row];
  if (column.kind === "flag") return value ? "yes" : "";
  if (column.kind !== "number") return value == null ? "" : String(value);
  if (column.unit === "%") return percent(value, column.digits ?? 0);
  const told = column.digits == null ? short(value) : fixed(value, column.digits);
  const spread = study.table[`${column.name}_sd`]?.[row];
  return absent(value) || absent(spread) ? told : `${told} ± ${fixed(spread, column.digits ?? 2)}`;
}
