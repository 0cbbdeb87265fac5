// Opens the page's data and ties the views together.

function themeSwitch() {
  const root = document.documentElement, wanted = window.matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : wanted.matches);
  const toggle = button("", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    tell();
  });
  const tell = () => {
    toggle.textContent = dark() ? "Light theme" : "Dark theme";
    window.dispatchEvent(new Event("themechange"));
  };
  wanted.addEventListener("change", tell);
  document.querySelector("nav ol").append(make("li", { class: "theme" }, toggle));
  tell();
}

function explorer(study, board) {
  const root = byId("explorer"), part = (name) => root.querySelector(`.${name}`);
  const toSegment = (segment) => pickSegment(segment);
  const first = scatter(part("map-first"), toSegment), second = scatter(part("map-second"), () => {});
  let allFeatures = false;

  function title() {
    const row = study.position.get(state.run), best = state.run === study.meta.best;
    const tag = best ? make("span", { class: "tag" }, "recommended or best placed") : null;
    const heading = make("h3", {}, "Run ", make("code", {}, state.run), tag);
    const at = study.embedded.get(state.run);
    const same = study.meta.runs.filter((other) => other.labels === at && other.run !== state.run);
    const more = same.length > 3 ? ` and ${same.length - 3} more` : "";
    const told = `The very same segments as run ${same.slice(0, 3).map((other) => other.run).join(", ")}${more}.`;
    refill(part("run-head"), heading, note(configurationOf(study, row)), same.length ? note(told) : null);
  }

  function embeddedOrNot() {
    const labels = labelsOf(study, state.run);
    part("run-views").hidden = !labels;
    part("run-missing").hidden = Boolean(labels);
    if (labels) return true;
    const status = study.table.status?.[study.position.get(state.run)] ?? "ok";
    const near = nearestEmbedded(study, state.run), held = count(study.embedded.size);
    const why = status !== "ok" ? `This run did not come through (${status}): it has no segments.`
      : `This run's labels are not in this page, which holds those of ${held} runs. To compute them:`;
    const command = make("pre", { class: "command" }, make("code", {}, root.dataset.command.slice(0, -3) + state.run));
    refill(part("run-missing"), make("p", {}, why), status === "ok" ? command : null,
      near ? button(`Show run ${near}: the same but for the number of clusters`, () => choose(near)) : null);
    return false;
  }

  const ownPlane = () => study.planes.find((plane) => plane.runs.includes(state.run));
  const planeNow = () => study.planes.find((plane) => plane.name === state.plane) || ownPlane() || study.planes[0];

  function planeChoice() {
    const own = ownPlane();
    const option = (value, text) => make("option", { value }, text);
    const here = ({ runs }) => (runs.includes(state.run) ? " (clustered here)" : "");
    const select = make("select", { "data-key": "plane", change: () => change({ plane: select.value }) },
      option("", own ? "where the run clustered" : "the first plane"),
      ...study.planes.map((plane) => option(plane.name, plane.label + here(plane))));
    select.value = state.plane;
    const choice = study.planes.length ? make("label", {}, "Plane ", select) : null;
    refill(part("plane"), make("h4", {}, "Embedding"), choice);
  }

  function legend(profile) {
    const entry = ({ segment, share }) => {
      const size = make("span", { class: "soft" }, percent(share, 0));
      const told = make("span", {}, swatch(segment), ` ${segmentTitle(segment)} `, size);
      return make("li", {}, button(told, () => pickSegment(segment),
        { "data-key": `l${segment}`, "aria-pressed": String(segment === state.segment) }));
    };
    refill(part("legend"), ...(profile ? segmentsOf(profile) : []).map(entry));
  }

  function maps(passes) {
    const plane = planeNow(), other = state.compare && labelsOf(study, state.compare);
    part("maps").hidden = !plane;
    part("map-second").hidden = part("second-title").hidden = !other;
    root.classList.toggle("comparing", Boolean(other));
    part("plane-note").textContent = "This page holds no embedding.";
    if (!plane) return;
    const away = plane.runs.includes(state.run) ? "" : ": a picture only, the run did not cluster in it.";
    part("plane-note").textContent = plane.label + away;
    const view = (run, labels, segment) => ({ plane, labels, segment, passes,
      title: `${plane.label}, coloured by the segments of run ${run}`, tell: (row) => segmentTitle(labels[row]) });
    const labels = labelsOf(study, state.run);
    first.show(view(state.run, labels, labels.includes(state.segment) ? state.segment : null));
    if (other) {
      part("second-title").textContent = `The same plane, by the segments of ${state.compare}`;
      second.show(view(state.compare, other, null));
    }
  }

  function render(changes) {
    const only = (...names) => Object.keys(changes).every((name) => names.includes(name));
    if (only("sort", "find", "only")) return;
    title();
    const labels = embeddedOrNot() && labelsOf(study, state.run), profile = labels && profileOf(study, state.run);
    const passes = labels && matching(study, state.filters);
    part("compare-view").hidden = !state.compare;
    if (state.compare && !only("ranges", "segment", "feature")) refill(part("compare-view"), ...comparison(study));
    if (!labels) return;
    maps(passes);
    if (only("ranges")) return outcome(passes, labels, profile);
    planeChoice();
    legend(profile);
    if (!profile) return;
    refill(part("profile-view"), ...heatMap(profile, allFeatures, () => {
      allFeatures = !allFeatures;
      render({ run: state.run });
    }));
    const close = profile && state.segment !== null ? segmentView(study, profile) : [];
    part("segment-view").hidden = !close.length;
    refill(part("segment-view"), ...close);
    if (only("segment", "feature", "plane", "compare")) return;
    refill(part("filter-view"), ...filtersView(study));
    outcome(passes, labels, profile);
  }

  function outcome(passes, labels, profile) {
    const told = part("outcome");
    if (told && profile) refill(told, ...filterOutcome(study, passes, labels, profile));
  }

  watchers.push(render, board.update, ({ run, segment }) => {
    if (run != null) announce(`Run ${run}. ${configurationOf(study, study.position.get(run))}`);
    else if (segment != null) announce(`${segmentTitle(segment)} is shown below the profile.`);
  });
  for (const name of ["resize", "themechange"]) window.addEventListener(name, () => { first.paint(); second.paint(); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const chooser = document.querySelector(".chooser[open]");
    if (chooser) chooser.open = false;
    else if (state.segment !== null) change({ segment: null });
    else if (state.compare) change({ compare: null });
  });
  return { render, repaint: () => { first.paint(); second.paint(); } };
}

function choose(run) {
  change({ run, segment: null, compare: state.compare === run ? null : state.compare });
}

/** The cards of section 3 open the same segment below. */
function linkCards(study) {
  for (const card of document.querySelectorAll(".card[data-segment]")) {
    card.append(button("Look closer", () => {
      change({ run: study.meta.best, segment: Number(card.dataset.segment) });
      byId("explorer").scrollIntoView();
      byId("explorer").querySelector(".segment-view h4")?.focus();
    }, { class: "closer" }));
  }
}

function printing(board, views) {
  const set = (on) => {
    board.print(on);
    views?.repaint();
  };
  window.matchMedia("print").addEventListener("change", (event) => set(event.matches));
  window.addEventListener("beforeprint", () => set(true));
  window.addEventListener("afterprint", () => set(false));
}

async function start() {
  themeSwitch();
  const place = document.querySelector(".leaderboard");
  if (!place) return;
  const study = (await openStudy()) || studyOfTable(place.querySelector("table"));
  const read = study.alone ? null : readAddress(study);
  Object.assign(state, START, { run: study.meta.best ?? study.meta.runs[0]?.run ?? study.table.run[0] ?? null });
  const board = leaderboard(place, study);
  if (study.alone) {
    watchers.push(board.update);
    return printing(board);
  }
  const views = explorer(study, board);
  byId("explorer").hidden = !state.run;
  byId("explorer").querySelector(".budget").textContent = study.meta.cut || "";
  byId("explorer").querySelector(".budget").hidden = !study.meta.cut;
  printing(board, views);
  if (!state.run) return;
  restore(study, board, read);
  await openPoints(study);
  views.render(state);
  linkCards(study);
  window.addEventListener("hashchange", () => restore(study, board, readAddress(study)));
  if (read) byId("explorer").scrollIntoView();
  await openValues(study);
  views.render(state);
  document.documentElement.dataset.ready = "";
}

function restore(study, board, read) {
  if (!read) return;
  const { unknown, ...found } = read;
  Object.assign(state, START, found, { run: found.run ?? state.run });
  watchers.forEach((watch) => watch(state));
  board.reveal();
  if (unknown) announce(`There is no run ${unknown} in this study.`);
}

start();
