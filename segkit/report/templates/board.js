// The leaderboard: all runs, of which only the rows in sight are in the document.

const ROW = 28;
const SPARE = 8;
const PRINTED = 40;

function leaderboard(board, study) {
  const scroller = board.querySelector(".tall"), table = board.querySelector("table");
  const controls = { find: make("input", { type: "search", class: "find", placeholder: "umap kmeans" }) };
  const matches = make("span", { class: "matches", role: "status" });
  const rows = make("tbody"), [above, below] = [0, 1].map(() => make("tbody", { "aria-hidden": "true" }));
  const hidden = new Set();
  let order = [], active = 0, printing = false, texts = null;

  const columns = study.columns.map((column) => ({ ...column, values: study.table[column.name], width: 0 }));
  const classOf = (column) => (column.name === "run" ? "id" : column.kind === "number" ? "r" : "l");
  const shownColumns = () => columns.filter((column) => !hidden.has(column.name));

  function prepare() {
    const check = (name, label) => {
      const box = make("input", { type: "checkbox", change: () => change({ only: box.checked ? name : "" }) });
      controls[name] = box;
      return make("label", {}, box, ` ${label}`);
    };
    controls.find.addEventListener("input", () => change({ find: controls.find.value }));
    board.querySelector(".controls").replaceChildren(make("label", {}, "Filter ", controls.find),
      check("eligible", "eligible only"), check("pareto", "Pareto front only"), chooser(), matches);
    board.querySelector(".controls").hidden = false;
    scroller.classList.add("live");
    scroller.classList.toggle("few", study.size <= 10);
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
    const boxes = columns.map((column) => {
      const box = make("input", { type: "checkbox", change: () => {
        if (box.checked) hidden.delete(column.name);
        else hidden.add(column.name);
        heads();
        paint();
      } });
      box.checked = true;
      return make("label", {}, box, " ", named(column.title));
    });
    return make("details", { class: "chooser" }, make("summary", {}, "Columns"), make("div", {}, ...boxes));
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
    const widths = ["2.4rem", ...shownColumns().map((column) => `${column.width}rem`)].map((width) => {
      const col = make("col");
      col.style.width = width;
      return col;
    });
    const cells = shownColumns().map((column) => make("th",
      { scope: "col", class: classOf(column), title: column.hint || null, "data-name": column.name },
      button(make("bdi", {}, column.title), () => change({ sort: nextSort(column) }), { "data-key": column.name })));
    const mark = make("th", { scope: "col", class: "l", title: "Compare this run with the shown one" }, "vs");
    const head = make("thead", {}, make("tr", { "aria-rowindex": 1 }, mark, ...cells));
    const held = table.contains(document.activeElement) && document.activeElement.dataset.key;
    table.replaceChildren(make("colgroup", {}, ...widths), head, above, rows, below);
    if (held) [...head.querySelectorAll("button")].find((each) => each.dataset.key === held)?.focus();
    table.style.width = `${2.4 + shownColumns().reduce((sum, column) => sum + column.width, 0)}rem`;
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
    const flags = state.only && study.table[state.only];
    order = [];
    for (let row = 0; row < study.size; row += 1) {
      if ((!flags || flags[row]) && wanted.every((word) => texts[row].includes(word))) order.push(row);
    }
    const now = sorting();
    if (now) sort(now);
    matches.textContent = order.length === study.size ? `${count(study.size)} ${study.size === 1 ? "run" : "runs"}`
      : `${count(order.length)} of ${count(study.size)} runs`;
    table.setAttribute("aria-rowcount", order.length + 1);
    active = Math.max(0, order.indexOf(study.position.get(state.run)));
  }

  function searchable() {
    const told = columns.filter((column) => column.kind !== "number" || column.texts);
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
    const cell = make("td");
    cell.style.height = `${hiddenRows * ROW}px`;
    body.append(make("tr", {}, cell));
  }

  function rowOf(row, place) {
    const run = study.table.run[row], chosen = run === state.run;
    const box = make("input", { type: "checkbox", tabindex: place === active ? 0 : -1,
      "aria-label": `Compare run ${run} with the shown one`, disabled: chosen });
    box.checked = run === state.compare;
    const cells = shownColumns().map((column) => make("td", { class: classOf(column) },
      column.bar && !absent(column.values[row]) ? scoreBar(column, row) : null, cellText(study, column, row)));
    return make("tr", { "data-run": run, "data-place": place, "aria-rowindex": place + 2,
      tabindex: place === active ? 0 : -1, "aria-selected": String(chosen),
      "data-pareto": Boolean(study.table.pareto?.[row]),
      "data-dim": study.table.eligible && !study.table.eligible[row], "data-embedded": study.embedded.has(run) },
    make("td", {}, box), ...cells);
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
    if (event.target.matches("input")) change({ compare: event.target.checked ? run : null });
    else if (run !== state.run) choose(run);
  }

  function onKey(event) {
    const line = event.target.closest("tr[data-run]");
    if (!line) return;
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -order.length, End: order.length };
    if (event.key in steps) goTo(active + steps[event.key]);
    else if (event.key === "Enter") choose(line.dataset.run);
    else if (event.key === " " && event.target === line && line.dataset.run !== state.run) {
      change({ compare: state.compare === line.dataset.run ? null : line.dataset.run });
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
    const top = active * ROW, room = scroller.clientHeight - table.tHead.offsetHeight - ROW;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room + 4;
  }

  function update(changes) {
    if (["sort", "find", "only"].some((name) => name in changes)) {
      if (controls.find.value !== state.find) controls.find.value = state.find;
      for (const name of ["eligible", "pareto"]) controls[name].checked = state.only === name;
      arrange();
      tellSort();
      scroller.scrollTop = 0;
    }
    if ("run" in changes) active = Math.max(0, order.indexOf(study.position.get(state.run)));
    if (["sort", "find", "only", "run", "compare"].some((name) => name in changes)) paint();
  }

  prepare();
  arrange();
  return { update, reveal, print(on) { printing = on; paint(); } };
}

/** What a cell of the leaderboard shows: a number with its standard deviation where the study has one. */
function cellText(study, column, row) {
  if (column.texts) return column.texts[row];
  const value = study.table[column.name][row];
  if (column.kind === "flag") return value ? "yes" : "";
  if (column.kind !== "number") return value == null ? "" : String(value);
  if (column.unit === "%") return percent(value, column.digits ?? 0);
  const told = column.digits == null ? short(value) : fixed(value, column.digits);
  const spread = study.table[`${column.name}_sd`]?.[row];
  return absent(value) || absent(spread) ? told : `${told} ± ${fixed(spread, column.digits ?? 2)}`;
}

/** A study of nothing but the table that stands in the page: what there is without the blocks. */
function studyOfTable(table) {
  const heads = [...table.tHead.rows[0].cells], lines = [...table.tBodies[0].rows];
  const data = { run: lines.map((line) => line.dataset.run), eligible: lines.map((line) => "eligible" in line.dataset),
    pareto: lines.map((line) => "pareto" in line.dataset) };
  const columns = heads.map((head, i) => {
    const kind = head.classList.contains("r") ? "number" : "text", name = head.textContent.trim();
    const texts = lines.map((line) => line.cells[i].textContent.trim());
    const keys = lines.map((line, row) => line.cells[i].dataset.v ?? texts[row]);
    data[name] = kind === "text" ? texts : keys.map((key) => (key === "" ? null : Number(key)));
    const barred = lines.some((line) => line.cells[i].querySelector("svg"));
    const top = barred && Math.max(...data[name].filter((value) => !absent(value)));
    const bar = barred ? [0, top] : null;
    return { name, title: name, hint: head.title, kind, first: head.dataset.first, texts, bar };
  });
  const meta = { best: null, features: [], planes: [], runs: [], profiles: {}, partitions: [], shown: 0 };
  return { meta, table: data, size: lines.length, columns, parameters: [], embedded: new Map(), featureAt: new Map(),
    position: new Map(data.run.map((run, i) => [run, i])), planes: [], alone: true };
}
