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

function explorer(study) {
  const root = byId("explorer"), part = (name) => root.querySelector(`.${name}`);
  const show = scatter(part("map-first"), pickSegment), showSecond = scatter(part("map-second"), () => {});
  let allFeatures = false;

  function title() {
    const row = study.position.get(state.run), best = state.run === study.meta.best;
    const tag = best ? make("span", { class: "tag" }, toldAs(study)) : null;
    const heading = make("h3", { tabindex: -1 }, "Run ", make("code", {}, state.run), tag);
    const at = study.embedded.get(state.run);
    const same = study.meta.runs.filter((other) => other.labels === at && other.run !== state.run);
    const more = same.length > 3 ? ` and ${same.length - 3} more` : "";
    const told = `The very same segments as run ${same.slice(0, 3).map((other) => other.run).join(", ")}${more}.`;
    const none = state.unknown ? make("p", { class: "notice" }, state.unknown) : null;
    refill(part("run-head"), none, heading, note(configurationOf(study, row)), same.length ? note(told) : null);
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
    const here = ({ runs }) => (runs.includes(state.run) ? " (clustered here)" : "");
    const options = [["", ownPlane() ? "where the run clustered" : "the first plane"],
      ...study.planes.map((plane) => [plane.name, plane.label + here(plane)])];
    refill(part("plane"), make("h4", {}, "Embedding"), study.planes.length
      ? picker("Plane", options, state.plane, (plane) => change({ plane }), { "data-key": "plane" }) : null);
  }

  function legend(profile) {
    const entry = ({ segment, share }) => {
      const size = make("span", { class: "soft" }, percent(share, 0));
      const told = make("span", {}, swatch(segment), ` ${segmentTitle(segment)} `, size);
      return make("li", {}, button(told, () => pickSegment(segment),
        { "data-key": `l${segment}`, "aria-pressed": segment === state.segment }));
    };
    refill(part("legend"), ...(profile ? segmentsOf(profile) : []).map(entry));
  }

  function maps(passes) {
    const plane = planeNow(), [second] = state.compare;
    const other = state.compare.length === 1 && labelsOf(study, second);
    part("maps").hidden = !plane;
    part("map-second").hidden = part("second-title").hidden = !other;
    root.classList.toggle("comparing", Boolean(other));
    part("plane-note").textContent = "This page holds no embedding.";
    if (!plane) return;
    const away = plane.runs.includes(state.run) ? "" : ": a picture only, the run did not cluster in it.";
    part("plane-note").textContent = visible(plane.label) + away;
    const view = (run, labels, segment) => ({ plane, labels, segment, passes,
      title: `${plane.label}, coloured by the segments of run ${run}` });
    const labels = labelsOf(study, state.run);
    show(view(state.run, labels, labels.includes(state.segment) ? state.segment : null));
    if (!other) return;
    part("second-title").textContent = `The same plane, by the segments of ${second}`;
    showSecond(view(second, other, null));
  }

  function render(changes) {
    const only = (...names) => Object.keys(changes).every((name) => names.includes(name));
    if (only("sort", "find", "only", "x", "y", "zoom", "colour", "lanes")) return;
    const labels = embeddedOrNot() && labelsOf(study, state.run), profile = labels && profileOf(study, state.run);
    const known = profile ? profile.segments.some(({ segment }) => segment === state.segment) : Boolean(labels);
    if (state.segment !== null && !known) {
      const unknown = [state.unknown, noSegment(state.segment, state.run)].filter(Boolean).join(" ");
      announce(unknown);
      Object.assign(state, { segment: null, unknown });
      keepAddress();
    }
    title();
    const passes = labels && matching(study, state.filters);
    const comparing = state.compare.length > 0;
    part("compare-view").hidden = !comparing;
    if (comparing && !only("ranges", "filters", "segment", "feature")) refill(part("compare-view"), ...comparison(study));
    if (!labels) return;
    maps(passes);
    const close = profile && state.segment !== null ? segmentView(study, profile, passes) : [];
    part("segment-view").hidden = !close.length;
    refill(part("segment-view"), ...close);
    if (only("ranges")) return outcome(passes, labels, profile);
    planeChoice();
    legend(profile);
    if (!profile) return;
    profileView(profile);
    if (only("segment", "feature", "plane", "compare", "rows")) return;
    refill(part("filter-view"), ...filtersView(study));
    outcome(passes, labels, profile);
  }

  function profileView(profile, printed = false) {
    refill(part("profile-view"), ...heatMap(profile, allFeatures, () => {
      allFeatures = !allFeatures;
      render({ run: state.run });
    }, printed));
  }

  function print(on) {
    const profile = state.run && labelsOf(study, state.run) && profileOf(study, state.run);
    if (profile) profileView(profile, on);
  }

  function outcome(passes, labels, profile) {
    const told = part("outcome");
    if (told && profile) refill(told, ...filterOutcome(study, passes, labels, profile));
  }

  watchers.push(render, ({ run, segment }) => {
    if (run != null) announce(`Run ${run}. ${configurationOf(study, study.position.get(run))}`);
    else if (segment != null) announce(`${segmentTitle(segment)} is shown below the profile.`);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const chooser = document.querySelector(".chooser[open]");
    if (chooser) chooser.open = false;
    else if (state.segment !== null) change({ segment: null });
    else if (state.compare.length) change({ compare: [] });
  });
  return { render, print };
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

function printing(...views) {
  const set = (on) => {
    views.forEach((view) => view.print(on));
    repaintAll();
  };
  const paper = window.matchMedia("print");
  paper.addEventListener("change", () => set(paper.matches));
  window.addEventListener("beforeprint", () => set(true));
  window.addEventListener("afterprint", () => set(false));
  if (paper.matches) set(true);
}

async function start() {
  themeSwitch();
  document.querySelectorAll(SCROLLS).forEach(stopWhereItScrolls);
  const place = document.querySelector(".leaderboard"), study = place && await openStudy();
  if (!study) return;
  linkSections();
  Object.assign(state, { run: study.meta.best ?? study.meta.runs[0]?.run ?? study.table.run[0] ?? null });
  const read = readAddress(study);
  if (read) restore(read);
  const board = leaderboard(place, study), plot = runsPlot(place.querySelector(".all-runs"), study, board);
  const lanes = runsLanes(place.querySelector(".all-lanes"), study, board), looked = explorer(study), { render } = looked;
  watchers.push(board.update, plot, lanes);
  board.update(state);
  plot(state);
  lanes(state);
  byId("explorer").hidden = !state.run;
  byId("explorer").querySelector(".budget").textContent = study.meta.cut || "";
  byId("explorer").querySelector(".budget").hidden = !study.meta.cut;
  printing(board, looked);
  for (const name of ["resize", "themechange"]) window.addEventListener(name, repaintAll);
  if (!state.run) return;
  board.reveal();
  await openPoints(study);
  render(state);
  linkCards(study);
  window.addEventListener("hashchange", () => {
    const next = readAddress(study);
    if (!next) return;
    restore(next);
    watchers.forEach((watch) => watch(state));
    board.reveal();
  });
  if (read) byId("explorer").scrollIntoView();
  await openValues(study);
  render(state);
  document.documentElement.dataset.ready = "";
}

function restore(found) {
  Object.assign(state, START, found);
  writeAddress();
  if (state.unknown) announce(state.unknown);
}

/** The sections' links go there without taking the place of what the address keeps. */
function linkSections() {
  document.querySelector("nav").addEventListener("click", (event) => {
    const link = event.target.closest("a"), title = link && byId(link.hash.slice(1))?.querySelector("h2");
    if (!title || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    title.tabIndex = -1;
    title.focus({ preventScroll: true });
    title.closest("section").scrollIntoView();
  });
}

start();
