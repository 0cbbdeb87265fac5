// The leaderboard: all runs, of which only the rows in sight are in the document.

const LINE = 16;
const SPARE = 8;
const PRINTED = 40;
const MOST_BEST = 3;
// How many characters of a text stand in a line of its column.
const WIDE = 44, WIDEST_TEXT = { misses: 90 };

function leaderboard(board, study) {
  const scroller = board.querySelector(".tall"), table = board.querySelector("table");
  const example = exampleOf(study);
  const find = make("input", { type: "search", class: "find", placeholder: example.slice(0, 2).join(" "),
    title: `Words, and conditions on a column or a parameter: ${example.join(" ")}; k=2..4 is a range`,
    input: () => change({ find: find.value }) });
  const flags = { eligible: "eligible only", pareto: `${frontOf(study)} only` };
  const boxes = Object.entries(flags)
    .map(([name, label]) => checkbox(label, false, (on) => change({ only: on ? name : "" })));
  const matches = make("span", { class: "matches", role: "status" }), full = make("span", { class: "matches full" });
  const lost = make("span", { class: "matches lost", role: "status" });
  const link = button("", toExplorer, { class: "link", "data-key": "below" });
  const none = make("p", { class: "note none", hidden: true }, "No run matches. ", button("Clear the filter", () => {
    change({ find: "", only: "", lanes: "" });
    find.focus();
  }, { "data-key": "unfilter" }));
  const rows = make("tbody"), [above, below] = [0, 1].map(() => make("tbody", { "aria-hidden": "true" }));
  const paperNote = board.querySelector(".on-paper");
  const columns = study.columns.map((column) => ({ ...column, shown: true }));
  let rowHeight = 0, order = [], passing = new Uint8Array(0), active = 0, printing = false, headAt = "";

  const classOf = (column) => (column.name === "run" ? "id" : column.kind === "number" ? "r" : "l");
  const shownColumns = () => columns.filter(({ paper, shown }) => (printing ? paper : shown));

  function prepare() {
    const controls = board.querySelector(".controls");
    controls.replaceChildren(make("label", {}, "Filter ", find), ...boxes, chooser(),
      make("span", {}, matches, " ", lost, " ", full),
      button("Save these runs (CSV)", saveRuns, { "data-key": "csv" }), link);
    byId("explorer").querySelector(".example").textContent = example.join(" ");
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

  // Widths come from the longest text, so that columns stand still while rows come and go; all rows have the lines that
  // the longest takes. Of numbers, some rows tell how long they are.
  function measure() {
    const step = Math.ceil(study.size / 300), some = [...study.table.run.keys()].filter((row) => row % step === 0);
    let lines = 1;
    for (const column of columns) {
      const told = column.kind === "text" ? [...new Set(column.values)].map((text) => text ?? "")
        : some.map((row) => cellText(study, column, row));
      const longest = told.reduce((most, text) => Math.max(most, text.length), 0);
      const word = Math.max(...column.title.split(/\s+/).map((part) => part.length));
      const most = WIDEST_TEXT[column.name] ?? WIDE;
      column.width = Math.min(Math.max(longest, word * 1.15 + 2), most) * 0.48 + (column.bar ? 2.1 : 1.3);
      if (longest > most) lines = Math.min(6, told.reduce((top, text) => Math.max(top, linesOf(text, most)), lines));
    }
    rowHeight = 12 + LINE * lines;
    scroller.style.setProperty("--row", `${rowHeight}px`);
  }

  function heads() {
    const widths = ["2.7rem", ...shownColumns().map((column) => `${column.width}rem`)].map((width) => {
      const col = make("col");
      col.style.width = width;
      return col;
    });
    const listed = shownColumns(), stop = listed.some(({ name }) => name === headAt) ? headAt : listed[0]?.name;
    const cells = listed.map((column) => make("th",
      { scope: "col", class: classOf(column), title: column.hint || null, "data-name": column.name },
      button(make("bdi", {}, column.title), () => change({ sort: nextSort(column) }),
        { "data-key": column.name, tabindex: column.name === stop ? 0 : -1 }),
      lessIsBetter(column) && make("small", {}, "lower is better")));
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
    const found = search(study, state.find);
    const wished = Object.hasOwn(flags, state.only) && study.table[state.only];
    const passes = passesLanes(study);
    passing = Uint8Array.from(study.table.run, (_, row) => (!wished || wished[row]) && passes(row)
      && found.passes(row));
    lost.textContent = visible(found.problems.join(" "));
    order = [...passing.keys()].filter((row) => passing[row]);
    const now = sorting(), eligible = order.filter((row) => study.table.eligible[row]);
    if (now) sort(now);
    // A best that many runs share tells them not apart.
    for (const column of columns.filter(({ bar }) => bar)) {
      const values = eligible.map((row) => unmarked(study, column, row)), best = bestOf(column, values);
      column.best = values.filter((value) => value === best).length <= MOST_BEST ? best : undefined;
    }
    matches.textContent = order.length === study.size ? `${count(study.size)} ${study.size === 1 ? "run" : "runs"}`
      : `${count(order.length)} of ${count(study.size)} runs`;
    none.hidden = order.length > 0 || !study.size;
    table.setAttribute("aria-rowcount", order.length + 1);
    active = Math.max(0, order.indexOf(study.position.get(state.run)));
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
    const first = printing ? 0 : Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - SPARE);
    const last = printing ? Math.min(order.length, PRINTED)
      : Math.min(order.length, Math.ceil((scroller.scrollTop + scroller.clientHeight - head) / rowHeight) + SPARE);
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
    room.style.height = `${hiddenRows * rowHeight}px`;
    body.append(make("tr", {}, room));
  }

  function rowOf(row, place) {
    const run = study.table.run[row], chosen = run === state.run, letter = [state.run, ...state.compare].indexOf(run);
    const box = make("input", { type: "checkbox", tabindex: place === active ? 0 : -1, disabled: chosen,
      "aria-label": `Compare run ${run} with the shown one`, checked: state.compare.includes(run) });
    const best = (column) => (column.bar && study.table.eligible[row] && column.best !== undefined
      && unmarked(study, column, row) === column.best ? " best" : "");
    const cells = shownColumns().map((column) => cell(classOf(column) + best(column),
      column.kind === "text" ? make("div", {}, cellText(study, column, row)) : cellText(study, column, row),
      column.bar && !absent(unmarked(study, column, row)) && scoreBar(column, row)));
    return make("tr", { "data-run": run, "data-place": place, "aria-rowindex": place + 2,
      tabindex: place === active ? 0 : -1, "aria-selected": chosen,
      "data-pareto": Boolean(study.table.pareto?.[row]),
      "data-dim": study.table.eligible && !study.table.eligible[row], "data-embedded": study.embedded.has(run) },
    cell("", box, state.compare.length > 0 && letter >= 0 && ` ${letterOf(letter)}`), ...cells);
  }

  // The interval, where the study has one, is a line over the bar, which is hollow where a shorter one is better.
  function scoreBar(column, row) {
    const [low, high] = column.bar;
    const at = (value) => Math.max(0, Math.min(100, (100 * (value - low)) / (high - low || 1)));
    const drawn = bar(at(column.values[row])), [from, to] = intervalOf(study, column.name, row).map(at);
    if (lessIsBetter(column)) drawn.classList.add("less");
    if (from !== undefined) {
      drawn.append(draw("rect", { class: "interval", x: from, y: 1.4, width: Math.max(1, to - from), height: 1.2 }));
    }
    return drawn;
  }

  /** The runs that pass the filter, in their order, with the columns that are shown: numbers as they are. */
  function saveRuns() {
    const names = shownColumns().flatMap(({ name, parts = [] }) => [name, ...parts,
      ...ENDINGS.map((ending) => name + ending)]).filter((name) => study.table[name]);
    const held = [...new Set(["run", ...names])];
    saveCsv("selected_runs.csv", [held, ...order.map((row) => held.map((name) => study.table[name][row]))]);
  }

  function onClick(event) {
    const line = event.target.closest("tr"), { run } = line.dataset;
    active = Number(line.dataset.place);
    if (event.target.matches("input")) compareOrNot(run);
    else if (run !== state.run || state.unknown) choose(run);
  }

  function onKey(event) {
    const line = event.target.closest("tr[data-run]");
    if (event.target.closest("thead")) return alongHead(event);
    if (!line) return;
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -order.length, End: order.length };
    if (event.key in steps) goTo(active + steps[event.key]);
    else if (event.key === "Enter") choose(line.dataset.run);
    else if (event.key === " " && event.target === line) compareOrNot(line.dataset.run);
    else return;
    event.preventDefault();
  }

  /** The heads are one stop of the Tab key: with so many of them the rows would be far away. */
  function alongHead(event) {
    const buttons = [...table.tHead.querySelectorAll("button")], at = buttons.indexOf(event.target);
    const places = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 };
    if (event.key === "ArrowDown") goTo(active);
    else if (event.key in places) {
      const next = buttons[Math.max(0, Math.min(buttons.length - 1, places[event.key]))];
      buttons.forEach((each) => { each.tabIndex = each === next ? 0 : -1; });
      headAt = next.dataset.key;
      next.focus();
    } else return;
    event.preventDefault();
  }

  function goTo(place) {
    active = Math.max(0, Math.min(order.length - 1, place));
    reveal();
    paint();
    rows.querySelector("tr[tabindex='0']")?.focus({ preventScroll: true });
  }

  function reveal() {
    const top = active * rowHeight, room = scroller.clientHeight - table.tHead.offsetHeight - rowHeight;
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
    if ("run" in changes) link.textContent = `Run ${state.run} is below`;
    if ("run" in changes) active = Math.max(0, order.indexOf(study.position.get(state.run)));
    if ("compare" in changes) full.textContent = state.compare.length < MOST_COMPARED ? "" : FULL;
    if (["sort", "find", "only", "lanes", "run", "compare"].some((name) => name in changes)) paint();
  }

  function toExplorer() {
    byId("explorer").scrollIntoView();
    byId("explorer").querySelector("h3").focus({ preventScroll: true });
  }

  function print(on) {
    printing = on;
    heads();
    paint();
    paperNote.textContent = on ? leftOut() : "";
  }

  /** What of the runs and columns is not on paper. */
  function leftOut() {
    const rows = Math.min(order.length, PRINTED), listed = shownColumns().length, all = study.size;
    const filtered = order.length < all ? ` that pass the filter, of ${count(all)}` : "";
    const runs = rows < order.length ? `The first ${count(rows)} of ${count(order.length)} runs${filtered}`
      : filtered ? `The ${count(rows)} runs${filtered}` : "All runs";
    if (rows === all && listed === columns.length) return "";
    return `${runs} and ${listed} of ${columns.length} columns; all are in runs.csv.`;
  }

  prepare();
  return { update, reveal, keeps: (row) => passing[row] === 1, print };
}

/** How many lines a text takes that is broken between words, and within those that are longer than a line. */
function linesOf(text, most) {
  let lines = 1, used = 0;
  for (const { length } of text.split(" ")) {
    if (used && used + 1 + length > most) [lines, used] = [lines + 1, 0];
    const end = used + (used ? 1 : 0) + length;
    [lines, used] = [lines + Math.ceil(end / most) - 1, end > most ? end % most : end];
  }
  return lines;
}

/** A run's value in a column; nothing where a mark says that it is another thing than the others' values. */
const unmarked = ({ table }, { name, values }, row) => (table[`${name}_mark`]?.[row] ? null : values[row]);

const lessIsBetter = ({ bar, first }) => Boolean(bar) && first === "asc";

function numberText({ unit, digits }, value) {
  if (unit === "%") return percent(value, digits ?? 0);
  return digits == null ? short(value) : fixed(value, digits);
}

/** What a cell of the leaderboard shows: a number with its standard deviation and mark where the study has them. */
function cellText(study, column, row) {
  const value = column.values[row];
  if (column.kind === "flag") return value ? "yes" : "";
  if (column.kind !== "number") return value == null ? "" : String(value);
  if (absent(value)) return NONE;
  if (column.parts) return column.parts.map((name) => count(study.table[name][row])).join(column.joint);
  const told = numberText(column, value);
  if (column.unit === "%") return told;
  const [spread, mark] = ["sd", "mark"].map((name) => study.table[`${column.name}_${name}`]?.[row]);
  return told + (absent(spread) ? "" : ` ± ${fixed(spread, column.digits ?? 2)}`) + (mark ?? "");
}
