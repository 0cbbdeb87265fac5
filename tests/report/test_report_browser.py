"""The page in a real browser: what is linked, what the keyboard reaches, what leaves it, and who can read it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

HOSTILE = "<script>alert(1)</script>|`x`[a](http://evil.example)$\\frac{$ \"'=cmd()${x}{{7*7}}<b>"
LONG = "a name of eighty characters that a table in a warehouse really has, with a unit [EUR]"
ARABIC = "متوسط الرصيد"
COLUMNS = (HOSTILE, "AGE", "=cmd()|' /C calc'!A0", LONG[:80], ARABIC, "${x}")
IDS = (HOSTILE, "=cmd()|'x'!A0", 'said "so", twice', "@sum(A1)", "-5", "+tel", "[a](http://evil.example)", "plain")
EMBEDDED = 8
OTHERS = 400
# Three times what the page needs on the machine it was made on: a slow computer must not fail the test.
FIRST_PAINT, SWITCH, SORT = 3000, 300, 600


class Page:
    """A page in the browser."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver, self.path = driver, path

    def visit(self, address: str = "", width: int = 1400, height: int = 1000, dark: bool = False) -> None:
        self.media(dark=dark)
        size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get("about:blank")
        self.driver.get_log("performance"), self.driver.get_log("browser")
        self.driver.get(self.path.as_uri() + address)
        self.wait("'ready' in document.documentElement.dataset")

    def media(self, name: str = "screen", dark: bool = False) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": name, "features": [scheme]})

    def wait(self, condition: str, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not self.js(f"return Boolean({condition})"):
            assert time.monotonic() < end, condition
            time.sleep(0.03)

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def later(self, code: str, *arguments: Any) -> Any:
        """Run code that answers by ``done``."""
        return self.driver.execute_async_script(f"const done = arguments[arguments.length - 1]; {code}", *arguments)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return self.js("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.trim())", selector)

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        # To whatever has the focus: a row may be drawn anew in between.
        for key in keys:
            ActionChains(self.driver, duration=0).send_keys(key).perform()

    def click(self, selector: str) -> None:
        self.js("document.querySelector(arguments[0]).click()", selector)

    def put(self, selector: str, value: str, event: str = "change", place: int = 0) -> None:
        code = "const [selector, value, event, place] = arguments, box = document.querySelectorAll(selector)[place];"
        self.js(f"{code} box.value = value; box.dispatchEvent(new Event(event))", selector, value, event, place)

    def choose(self, run: str) -> None:
        self.click(f"tr[data-run='{run}']")

    @property
    def run(self) -> str:
        return self.texts(".run-head h3 code")[0]

    @property
    def address(self) -> str:
        """The part after the #, once it has settled."""
        time.sleep(0.3)
        return self.js("return location.hash")

    def cells(self, selector: str) -> list[list[str]]:
        code = (
            "return [...document.querySelectorAll(arguments[0])].map(r => [...r.cells].map(c => c.textContent.trim()))"
        )
        return self.js(code, f"{selector} tbody:not([aria-hidden]) tr")

    def assert_quiet(self) -> None:
        """Nothing was asked of the network, and nothing was said on the console."""
        told = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in told if m["method"] == "Network.requestWillBeSent"]
        assert {url.split("#")[0] for url in asked if not url.startswith(("data:", "blob:"))} <= {self.path.as_uri()}
        assert self.driver.get_log("browser") == []


def page_of(folder: Path) -> Path:
    """Write the page without its figures, which another test looks at."""
    from segkit.report.gather import gather
    from segkit.report.payload import payload
    from segkit.report.render import html
    from segkit.report.sections import sections

    summary = gather(folder)
    told = sections(summary)
    for section in told:
        section.blocks[:] = [block for block in section.blocks if block.kind != "plot"]
    path = folder / "report.html"
    path.write_text(html(summary, told, {}, payload(summary)[0]), encoding="utf-8")
    return path


def filled(study: Any) -> list[str]:
    """Runs of two to eight segments, a noisy one, failed ones and many of which only scores are known."""
    X, n = study.scaled, len(study.ids)
    study.frame["AGE"] = np.arange(n) % 60 + 18.0
    runs = []
    for place, k in enumerate([*range(2, EMBEDDED + 1), 3], start=1):
        labels = KMeans(k, n_init=1, random_state=k).fit_predict(X)
        labels = np.where(np.arange(n) % 7 == 0, -1, labels) if place == EMBEDDED else labels
        projection = HOSTILE if place == 2 else "pca"
        runs.append(
            study.add(
                labels,
                projection=projection,
                rank=place,
                silhouette_reference=0.5 - place / 100,
                stability_ari=0.9 - place / 50,
                stability_ari_q05=0.8 - place / 50,
                stability_ari_q95=0.95 - place / 50,
                **{"clusterer.n_clusters": k, "clusterer.init": "random" if place == EMBEDDED else "k-means++"},
            )
        )
    rng = np.random.default_rng(5)
    for i in range(OTHERS):
        extra = {
            "clusterer.n_clusters": 20 + i,
            "clusterer.init": "k-means++",
            "silhouette_reference": rng.uniform(0, 0.4),
        }
        study.add(projection="pca", stability_ari=0.3, rank=EMBEDDED + i + 1, **extra)
    study.add(status="failed", reason="MemoryError: no room", projection="pca")
    study.recommend(runs[0])
    study.profiled = runs[0]
    study.planes = {
        "pca-1": ("all > pca", X[:, :2], [run for i, run in enumerate(runs) if i != 1]),
        HOSTILE: (HOSTILE, X[:, 2:4], [runs[1]]),
    }
    return runs


@pytest.fixture(scope="module")
def study(new_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str], Path]:
    study = new_study(n=350, columns=COLUMNS)
    study.ids[: len(IDS)] = ""
    study.ids = np.array([*IDS, *study.ids[len(IDS) :]], dtype=object)
    runs = filled(study)
    folder = study.write(tmp_path_factory.mktemp("browser") / "study")
    study.frame.assign(id=study.ids)[["id", *study.frame.columns]].to_parquet(folder / "customers.parquet", index=False)
    return study, runs, page_of(folder)


@pytest.fixture
def page(browser: Any, study: tuple[Any, list[str], Path]) -> Page:
    return Page(browser, study[2])


@pytest.fixture(scope="module")
def confirmed(browser: Any, new_planted: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(browser, page_of(new_planted().write(tmp_path_factory.mktemp("confirmed") / "study")))


def partition(study: Any, run: str) -> np.ndarray:
    return study.partitions[run]


def test_a_chosen_run_is_shown_in_every_view_and_nothing_leaves_the_page(page, study):
    table, runs, _ = study
    page.visit()
    assert page.run == runs[0]
    for run in (runs[3], runs[7]):
        page.choose(run)
        sizes = pd.Series(partition(table, run)).value_counts()
        assert page.run == run
        assert f"run={run}" in page.address
        assert page.one(f"tr[data-run='{run}']").get_attribute("aria-selected") == "true"
        assert run in page.one(".map-first canvas").get_attribute("aria-label")
        told = {row[0].strip(): int(row[1]) for row in page.cells(".profile-view")}
        assert told == {"Noise" if s < 0 else f"Segment {s}": n for s, n in sizes.items()}
        assert len(page.texts(".legend button")) == len(sizes)
    page.click(".legend button")
    page.click("[data-key=add]")
    page.click("[data-key=scale]")
    page.click("nav button")
    page.assert_quiet()


def test_the_canvas_names_the_segment_under_the_pointer_and_is_sharp(page, study):
    page.visit()
    canvas = page.one(".map-first canvas")
    assert page.js("return arguments[0].width", canvas) == 2 * int(canvas.get_attribute("clientWidth"))
    found = set()
    for step in range(30, 100, 4):
        x, y = (canvas.size[side] * step / 130 for side in ("width", "height"))
        told = page.js(
            "const [canvas, x, y] = arguments, box = canvas.getBoundingClientRect();"
            "canvas.dispatchEvent(new MouseEvent('mousemove', { clientX: box.left + x, clientY: box.top + y }));"
            "const tip = canvas.nextElementSibling; return tip.classList.contains('on') ? tip.textContent : ''",
            canvas, x, y,
        )  # fmt: skip
        found.add(told)
    assert found - {""}
    assert found <= {"", "Segment 0", "Segment 1"}


def test_a_run_without_labels_tells_how_to_get_them_and_what_is_near(page, study):
    table, runs, _ = study
    other = next(row["run"] for row in table.rows if row.get("clusterer.n_clusters") == 20)
    page.visit(f"#run={other}&segment=1")
    assert page.texts(".run-head .notice") == [f"Run {other} has no segment 1 in this page."]
    assert "not in this page" in page.one(".run-missing").text
    assert page.texts(".run-missing code")[0].endswith(f" {other}")
    page.click(".run-missing button")
    assert page.run == runs[6]


def test_an_address_brings_everything_back(page, study):
    _, runs, _ = study
    page.visit(f"#run={runs[4]}&segment=2&compare={runs[1]}&plane=pca-1&sort=-silhouette_reference&range=5:40:AGE")
    assert page.run == runs[4]
    assert "Segment 2" in page.texts(".segment-view h4")[0]
    assert runs[1] in page.texts(".compare-view h4")[0]
    assert page.one(".plane select").get_attribute("value") == "pca-1"
    assert page.one("th[data-name=silhouette_reference]").get_attribute("aria-sort") == "descending"
    assert page.texts(".filter-line bdi") == ["AGE"]
    kept = page.address
    time.sleep(0.3)
    page.choose(runs[0])
    page.js("location.hash = arguments[0]", kept)
    page.wait(f"document.querySelector('.run-head code').textContent === '{runs[4]}'")
    page.js("location.hash = 'trust'")
    assert page.run == runs[4]
    page.assert_quiet()


def test_what_an_address_names_in_vain_is_told_and_dropped(page, study):
    _, runs, _ = study
    texts = "plane=none&range=x&sort=none&compare=<script>&feature=none&colour=none&x=y"
    page.visit(f"#run=nonsense&segment=99&{texts}&stray=1")
    assert page.run == runs[0]
    page.wait("document.querySelector('#live').textContent.includes('no run nonsense')")
    assert page.address == f"#run={runs[0]}"
    assert page.one(".run-head .notice").is_displayed()
    assert page.texts(".run-head .notice") == [
        "There is no run nonsense in this study. Left out of the address, because this page cannot read it: "
        "stray, plane, feature, sort, x, colour, range."
    ]
    page.choose(runs[0])
    assert page.texts(".run-head .notice") == []
    page.visit("#run=nonsense&feature=AGE&colour=p:clusterer.init&sort=-stability_ari&only=eligible")
    page.choose(runs[3])
    assert page.texts(".run-head .notice") == []
    known = f"#run={runs[3]}&feature=AGE&sort=-stability_ari&only=eligible&colour=p%3Aclusterer.init"
    assert page.address == known
    page.assert_quiet()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("segment=99", "Run {run} has no segment 99 in this page."),
        ("segment=-1", "Run {run} has no segment -1 in this page."),
        ("segment=first", "Run {run} has no segment first in this page."),
        ("zoom=0.1,0.5,nonsense,2", "Left out of the address, because this page cannot read it: zoom."),
        ("zoom=0.5,0.1,0,1", "Left out of the address, because this page cannot read it: zoom."),
        ("zoom=0.1,0.5,0,1&segment=2", None),
    ],
)
def test_a_segment_or_a_part_of_a_picture_that_is_not_there_is_told_and_dropped(page, study, asked, told):
    run = study[1][3]
    page.visit(f"#run={run}&{asked}")
    assert page.texts(".run-head .notice") == ([told.format(run=run)] if told else [])
    kept = dict(each.split("=") for each in page.address.removeprefix("#").split("&"))
    assert set(kept) == ({"run"} if told else {"run", "zoom", "segment"})
    if told:
        page.wait("document.querySelector('#live').textContent !== ''")
        assert page.texts("#live") == page.texts(".run-head .notice")
    page.assert_quiet()


@pytest.mark.parametrize("kind", ["screened", "confirmed", "alone"])
def test_the_script_draws_the_words_of_the_table_without_it(page, confirmed, browser, new_planted, tmp_path, kind):
    from segkit.report.gather import gather
    from segkit.report.leaderboard import leaderboard

    shown = page if kind == "screened" else confirmed
    if kind == "alone":
        planted = new_planted()
        best = next(row for row in planted.rows if row["n_clusters"] == 5)
        best |= {"silhouette_null_mean": 0.0, "silhouette_excess": 0.4, "seconds": 12.5, "smallest_cluster": 0.0004}
        for row in planted.nulls:
            row["silhouette"] = np.nan if row["run"] == best["run"] else row["silhouette"]
        planted.rows[-1] |= {"rank": None, "dbcv_reference": -0.5, "prediction_strength_sd": 0.02}
        planted.rows[-1] |= {"prediction_strength": 0.8, "smallest_cluster": 0.001}
        shown = Page(browser, page_of(planted.write(tmp_path / "study")))
    board = leaderboard(gather(shown.path.parent))
    shown.visit()
    drawn = shown.cells(".runs")
    assert shown.texts(".runs th bdi") == [column.title for column in board.columns]
    for row, (_, _, _, cells) in list(zip(drawn, board.rows, strict=False))[:20]:
        assert row[1:] == [cell.shown.strip() for cell in cells]
    text = " ".join(" ".join(row) for row in drawn)
    pairs = (
        "return [...document.querySelectorAll(`.columns dt`)].map((e) => [e.textContent, e.nextSibling.textContent])"
    )
    told = shown.js(pairs)
    assert [tuple(each) for each in told] == [(column.title, column.hint) for column in board.columns if column.hint]
    lower = [title for title, hint in told if "lower is better" in hint]
    assert lower == ([] if kind == "screened" else ["Davies-Bouldin"])
    if kind == "alone":
        assert "best" not in shown.js(
            "return document.querySelector('tr[data-run]').cells[document.querySelector("
            "'th[data-name=silhouette_excess]').cellIndex].className"
        )
        at = "document.querySelector('th[data-name=dbcv_reference]').cellIndex"
        row = "return document.querySelectorAll('tr[data-run]')[4]"
        width = shown.js(f"{row}.cells[{at}].querySelector('rect').width.baseVal.value")
        assert width == 25
        for told in ("0.400 ‡", "smallest segment", "12.5", "< 0.1%", "0.80 ± 0.02", "−0.50"):
            assert told in text, told


def test_configurations_are_whole_in_rows_of_one_height(browser, new_study, tmp_path):
    study = new_study(n=120, columns=("a_feature_with_a_name_that_goes_on_for_a_while_[EUR]", "b"))
    for i in range(60):
        study.add(study.truth % 3, rank=i + 1, silhouette_reference=0.5 - i / 200, stability_ari=0.9, **{
            "davies_bouldin_reference": 1.0 + i,
            "scaler": f"quantile_to_a_normal_distribution_of_many_customers_{i % 3}",
            "clusterer.n_clusters": i, "clusterer.metric": "a distance between rows that has a name"[: 20 + i % 20],
        })  # fmt: skip
    study.recommend(study.rows[0]["run"])
    study.profiled = study.rows[0]["run"]
    page = Page(browser, page_of(study.write(tmp_path / "study")))
    for width in (1300, 400):
        page.visit(f"#run={study.rows[0]['run']}&segment=1", width=width)
        cut = (
            "return [...document.querySelectorAll(arguments[0])].filter((each) => each.scrollHeight > each.clientHeight"
        )
        cut += " + 1 || each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent)"
        for part in (".runs tr[data-run] td > div", ".kpis th button", ".profile-view thead button"):
            assert page.texts(part)
            assert page.js(cut, part) == [], part
        heights = "return [...new Set([...document.querySelectorAll('tr[data-run]')].map((row) => row.offsetHeight))]"
        assert len(page.js(heights)) == 1
        page.js("document.querySelector('.tall').scrollTop = 1e6")
        page.wait("document.querySelector('tr[data-place=\"59\"]')")
    fewest, most = (page.js(
        "return document.querySelector(`tr[data-place='${arguments[0]}'] .less rect`)?.getAttribute('width')", place
    ) for place in ("59", "55"))  # fmt: skip
    assert (float(fewest), float(most)) == pytest.approx((100, 98.3), abs=2)
    assert page.texts("th[data-name=davies_bouldin_reference] small") == ["lower is better"]
    assert page.js("return document.querySelectorAll('th small').length") == 1


SAVED = (
    "URL.createObjectURL = (blob) => { blob.text().then(done); return '#'; };"
    "document.querySelector('[data-key=csv]').click()"
)


def test_the_filtered_runs_are_saved_in_their_order(page, study):
    table, runs, _ = study
    page.visit(f"#run={runs[0]}&find=n_clusters<300&sort=-n_clusters")
    wanted = page.texts("tr[data-run] .id")
    found = pd.read_csv(pd.io.common.StringIO(page.later(SAVED)), dtype={"run": str})
    total = int(page.texts(".matches")[0].split()[0])
    assert found["run"].tolist()[: len(wanted)] == wanted
    assert len(found) == total > len(runs)
    known = pd.DataFrame(table.rows).set_index("run")
    for name in ("silhouette_reference", "stability_ari", "stability_ari_q05"):
        np.testing.assert_allclose(found[name], known.loc[found["run"], name], rtol=1e-5)
    page.js("document.querySelectorAll('.chooser input')[0].click()")
    assert "standing" not in page.later(SAVED).splitlines()[0].split(",")
    page.assert_quiet()


def test_the_best_of_the_eligible_runs_in_the_list_is_marked(browser, new_study, tmp_path):
    study = new_study(n=60)
    values = [(0.9, 0.5, None), (0.8, 0.7, 1), (0.5, 0.9, 2), (0.4, 0.6, 3), (0.3, 0.9, 4)]
    runs = [
        study.add(study.truth % 2, silhouette_reference=a, davies_bouldin_reference=b, rank=rank, stability_ari=0.8,
                  scaler="none" if a == 0.8 else "power")
        for a, b, rank in values
    ]  # fmt: skip
    study.recommend(runs[1])
    page = Page(browser, page_of(study.write(tmp_path / "study")))
    best = "const heads = document.querySelectorAll('.runs th'), named = (cell) => heads[cell.cellIndex].dataset.name;"
    best += "return [...document.querySelectorAll('tr:has(.best)')]"
    best += ".map((row) => [row.dataset.run, ...[...row.querySelectorAll('.best')].map(named)])"
    page.visit()
    scores = ["silhouette_reference", "davies_bouldin_reference"]
    assert page.js("return document.querySelectorAll('.best').length") == 2
    assert {run: set(names) & set(scores) for run, *names in page.js(best)} == {
        runs[1]: {scores[0]},
        runs[3]: {scores[1]},
    }
    page.put(".find", "power", "input")
    assert {run: set(names) & set(scores) for run, *names in page.js(best)} == {
        runs[2]: {scores[0]},
        runs[3]: {scores[1]},
    }


def test_runs_stand_at_the_values_of_a_parameter(page, study):
    _, runs, _ = study
    page.visit(f"#run={runs[0]}&x=p:clusterer.n_clusters")
    assert page.one(".plot [data-key=x]").get_attribute("value") == "p:clusterer.n_clusters"
    assert "x=p%3Aclusterer.n_clusters" in page.address
    page.visit(f"#run={runs[0]}&x=p:clusterer.n_clusters&find=kmeans&zoom=1,9,0,1")
    found = [page.js(POINT_AT, runs[i]) for i in (4, 5, 6)]
    assert (found[1][0] - found[0][0]) / (found[2][0] - found[0][0]) == pytest.approx(1 / 2, abs=0.01)
    assert "clusterer.n_clusters 7," in found[1][2]
    assert "p:clusterer.init" not in page.js(
        "return [...document.querySelector('[data-key=x]').options].map(o => o.value)"
    )
    page.assert_quiet()


def test_saved_runs_are_safe_to_open_in_a_spreadsheet(browser, new_study, tmp_path):
    study = new_study(n=60)
    names = ["=cmd()|' /C calc'!A0", "+1+1", "@sum(A1)", "-2+3", "\ttab", 'a "quote", a comma', "-5", "plain"]
    for i, name in enumerate(names):
        study.add(study.truth % 2, scaler=name, rank=i + 1, silhouette_reference=-0.5, stability_ari=0.5)
    study.recommend(study.rows[0]["run"])
    page = Page(browser, page_of(study.write(tmp_path / "study")))
    page.visit()
    found = pd.read_csv(pd.io.common.StringIO(page.later(SAVED)), dtype=str, keep_default_na=False)
    assert found["scaler_label"].tolist() == [
        f"'{name}" if name[0] in "=+@\t" or name == "-2+3" else name for name in names
    ]
    assert set(found["silhouette_reference"]) == {"-0.5"}


def test_alike_choices_of_compared_runs_are_one_click_away(page, study):
    _, runs, _ = study
    page.visit(f"#run={runs[2]}&compare={runs[3]}")
    assert [row[0] for row in page.cells(".made > .scroll")] == ["clusterer.n_clusters"]
    page.click("[data-key=rows]")
    told = {row[0]: row[1:] for row in page.cells(".made > .scroll")}
    assert told == {
        "clusterer.n_clusters": ["4", "5"],
        "clusterer.init": ["k-means++"] * 2,
        "projection": ["pca"] * 2,
    }
    assert page.texts(".made tr.differs th") == ["clusterer.n_clusters"]
    assert "rows=all" in page.address
    page.click("[data-key=rows]")
    assert len(page.cells(".made > .scroll")) == 1
    assert page.js("return document.activeElement.dataset.key") in (None, "rows")


def test_figures_of_a_segment_are_of_those_whom_the_filters_keep(page, study):
    table, runs, _ = study
    labels, age = partition(table, runs[3]), table.frame["AGE"]
    page.visit(f"#run={runs[3]}&segment=1&feature=AGE")
    plain = {row[0]: row[1:] for row in page.cells(".kpis")}
    assert not page.texts(".kept")
    page.click("[data-key=add]")
    page.put(".filter-line input[type=text]", "31", place=0)
    kept = (labels == 1) & (age >= 31).to_numpy()
    assert page.texts(".kept")[0].startswith(f"Of the {kept.sum()} of its {(labels == 1).sum()} customers kept")
    told = {row[0]: row[1:] for row in page.cells(".kpis")}
    low, middle, high = np.quantile(age[kept], [0.25, 0.5, 0.75], method="inverted_cdf")
    assert told["AGE"][1] == f"{middle:g} {low:g} to {high:g}"
    assert told["AGE"][2] == plain["AGE"][1] != told["AGE"][1]
    page.put(".filter-line input[type=text]", "31", place=1)
    page.put(".filter-line input[type=text]", "47", place=1)
    page.click("[data-key=clear]")
    assert not page.texts(".kept")
    assert {row[0]: row[1:] for row in page.cells(".kpis")} == plain
    page.assert_quiet()


def test_everybodys_quartiles_are_exact(page, study):
    table, runs, _ = study
    page.visit(f"#run={runs[3]}&segment=1")
    told = {row[0]: row[3].replace("−", "-") for row in page.cells(".kpis")}
    for name, values in table.frame.items():
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        found = [float(part) for part in told[name.strip()].replace(" to ", " ").split()]
        np.testing.assert_allclose(found, [middle, low, high], rtol=0.006)
        assert found == [float(f"{value:.3g}") for value in (middle, low, high)]


def test_a_link_to_a_section_keeps_the_address(page, study):
    page.visit(f"#run={study[1][3]}")
    page.click("nav a[href='#choices']")
    assert page.address == f"#run={study[1][3]}"
    assert page.js("return document.activeElement.closest('section').id") == "choices"
    assert abs(page.js("return document.querySelector('#choices').getBoundingClientRect().top")) < 400
    assert page.run == study[1][3]


def test_the_keyboard_reaches_all_of_it(page, study):
    from selenium.webdriver.common.keys import Keys

    _, runs, _ = study
    page.visit()
    page.js("document.querySelector('tr[data-run][tabindex=\"0\"]').focus()")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    assert page.run == runs[2]
    page.press(Keys.ARROW_DOWN, Keys.SPACE)
    assert runs[3] in page.texts(".compare-view h4")[0]
    page.press(Keys.END)
    focused = int(page.js("return document.activeElement.dataset.place"))
    assert focused == len(study[0].rows) - 1
    page.press(Keys.HOME)
    assert page.js("return document.activeElement.dataset.run") == runs[0]
    page.js("document.querySelector('.profile-view .pick').focus()")
    page.press(Keys.ENTER)
    assert page.texts(".segment-view h4")
    assert page.js("return document.activeElement.className") == "pick"
    page.press(Keys.ESCAPE)
    assert not page.one(".segment-view").is_displayed()
    assert page.one(".compare-view").is_displayed()
    page.press(Keys.ESCAPE)
    assert not page.one(".compare-view").is_displayed()
    reached = set()
    page.js("document.querySelector('.find').focus()")
    for _ in range(40):
        page.press(Keys.TAB)
        reached.add(page.js("return document.activeElement.closest('[class]')?.className || ''"))
    assert {"runs", "legend", "pick"} & reached


def test_two_runs_are_compared_as_their_labels_say(page, study):
    table, runs, _ = study
    page.visit(f"#run={runs[2]}&compare={runs[7]}")
    a, b = (partition(table, runs[i]) for i in (2, 7))
    shown = float(page.one("[data-ari]").get_attribute("data-ari"))
    assert shown == pytest.approx(adjusted_rand_score(a, b), abs=1e-9)
    crossed = pd.crosstab(a, b)[[0, 1, 2, -1]].to_numpy()
    told = [[int(cell) for cell in row[1:]] for row in page.cells(".cross")]
    assert told == crossed.tolist()
    differing = {row[0]: row[1:] for row in page.cells(".made > .scroll")}
    assert differing == {"clusterer.n_clusters": ["4", "3"], "clusterer.init": ["k-means++", "random"]}
    scores = {row[0]: row[1:] for row in page.cells(".three > .scroll")}
    assert scores["Silhouette"] == ["0.470 ●", "0.420", "−0.050"]
    assert scores["Stability"] == ["0.84 ● 0.74 to 0.89", "0.74 0.64 to 0.79", "−0.10"]
    assert scores["k"] == ["4", "3", ""]
    assert page.one(".map-second canvas").is_displayed()


def test_several_runs_agree_as_their_labels_say(page, study):
    table, runs, _ = study
    unknown = next(row["run"] for row in table.rows if row.get("clusterer.n_clusters") == 20)
    compared = [runs[2], runs[7], runs[4], unknown]
    page.visit(f"#run={compared[0]}&compare={','.join(compared[1:])}")
    told = [row[1:5] for row in page.cells(".matrix")]
    for i, a in enumerate(compared):
        for j, b in enumerate(compared):
            if unknown in (a, b) and i != j:
                assert told[i][j] == "not known here"
            else:
                known = 1.0 if i == j else adjusted_rand_score(partition(table, a), partition(table, b))
                assert float(told[i][j]) == pytest.approx(known, abs=6e-3)
    differing = {row[0]: row[1:] for row in page.cells(".made > .scroll")}
    assert differing["clusterer.n_clusters"] == ["4", "3", "6", "20"]
    assert differing["clusterer.init"] == ["k-means++", "random", "k-means++", "k-means++"]
    scores = {row[0]: row[1:] for row in page.cells(".three > .scroll")}
    assert scores["Silhouette"][:3] == ["0.470 ●", "0.420", "0.450"]
    assert not page.js("return document.querySelector('.cross')")
    assert not page.one(".map-second").is_displayed()
    page.click(f"[data-key='Show{runs[4]}']")
    assert page.run == runs[4]
    assert f"compare={runs[7]},{runs[2]},{unknown}" in page.address
    page.click(f"[data-key='Remove{unknown}']")
    assert unknown not in page.address
    for i, full in ((0, False), (5, True), (6, True)):
        page.click(f"tr[data-run='{runs[i]}'] input")
        assert ("no more fit" in page.one(".full").text) == full
    assert not page.js("return document.querySelector(arguments[0]).checked", f"tr[data-run='{runs[6]}'] input")
    page.visit(page.address)
    assert [row[0].split()[1] for row in page.cells(".matrix")] == [runs[i] for i in (4, 7, 2, 0, 5)]
    page.click("[data-key=close]")
    assert not page.one(".compare-view").is_displayed()
    page.assert_quiet()


# Where the pointer finds a run, in a part of the picture where few are.
POINT_AT = """
const [run] = arguments, map = document.querySelector('.all-runs .map'), canvas = map.querySelector('canvas');
const box = canvas.getBoundingClientRect(), [tip, ring] = map.querySelectorAll('.tip');
for (let y = 0; y < box.height; y += 4) for (let x = box.width / 2; x < box.width; x += 4) {
  canvas.dispatchEvent(new MouseEvent('mousemove', { clientX: box.left + x, clientY: box.top + y }));
  if (tip.textContent.startsWith(`Run ${run}\n`)) {
    return [parseFloat(ring.style.left), parseFloat(ring.style.top), tip.textContent];
  }
}
"""
CLICK_AT = """
const [x, y, keys] = arguments, canvas = document.querySelector('.all-runs canvas');
const box = canvas.getBoundingClientRect();
canvas.dispatchEvent(new MouseEvent('click', { clientX: box.left + x, clientY: box.top + y, ...keys }));
"""
DRAG = """
const [x0, y0, x1, y1] = arguments, canvas = document.querySelector('.all-runs canvas');
const box = canvas.getBoundingClientRect();
const at = (x, y) => ({ clientX: box.left + x, clientY: box.top + y, bubbles: true });
canvas.dispatchEvent(new MouseEvent('mousedown', at(x0, y0)));
canvas.dispatchEvent(new MouseEvent('mousemove', at(x1, y1)));
canvas.dispatchEvent(new MouseEvent('mouseup', at(x1, y1)));
canvas.dispatchEvent(new MouseEvent('click', at(x1, y1)));
"""


def test_a_point_stands_at_its_scores_and_is_clicked_like_a_row(page, study):
    table, runs, _ = study
    rows = {row["run"]: row for row in table.rows}
    page.visit(f"#run={runs[0]}")
    chosen = [runs[i] for i in (1, 3, 7)]
    found = np.array([page.js(POINT_AT, run)[:2] for run in chosen])
    for axis, score in enumerate(("stability_ari", "silhouette_reference")):
        way, values = found[:, axis], np.array([rows[run][score] for run in chosen])
        assert (way[1] - way[0]) / (way[2] - way[0]) == pytest.approx(
            np.diff(values)[0] / (values[2] - values[0]), abs=0.01
        )
    assert found[0, 0] > found[2, 0]
    assert found[0, 1] < found[2, 1]
    told = page.js(POINT_AT, chosen[1])[2]
    assert "kmeans" in told
    assert "Stability 0.82, Silhouette 0.460" in told
    page.js(CLICK_AT, *found[1], {})
    assert page.run == chosen[1]
    page.js(CLICK_AT, *found[0], {"shiftKey": True})
    page.js(CLICK_AT, *found[2], {"ctrlKey": True})
    assert f"compare={chosen[0]},{chosen[2]}" in page.address
    assert page.run == chosen[1]
    page.js(CLICK_AT, *found[0], {"shiftKey": True})
    assert f"compare={chosen[2]}" in page.address
    page.assert_quiet()


def test_the_picture_of_all_runs_follows_the_filter_and_the_address(page, study):
    table, runs, _ = study
    scored = sum("silhouette_reference" in row for row in table.rows)
    canvas = "return document.querySelector('.all-runs canvas').getAttribute('aria-label')"
    page.visit()
    assert f"{scored} of {len(table.rows)} runs have both values" in page.js(canvas)
    page.put("[data-key=colour]", "p:clusterer.init")
    assert page.texts(".all-runs .legend li")[:2] == [f"k-means++ {scored - 1}", "random 1"]
    page.put("[data-key=x]", "n_clusters")
    page.put(".find", "init=random", "input")
    assert page.texts(".all-runs .legend li")[0] == "random 1"
    assert f"the {len(runs) - 1} outside the filter are not drawn" in page.js(canvas)
    page.visit(page.address)
    assert page.one("[data-key=x]").get_attribute("value") == "n_clusters"
    assert page.texts(".all-runs .legend li")[0] == "random 1"


def test_a_part_of_the_picture_is_looked_at_closely(page, study):
    _, runs, _ = study
    page.visit(f"#run={runs[0]}")
    first, second, last = np.array([page.js(POINT_AT, runs[i])[:2] for i in (1, 2, 5)])
    away = 8 * np.sign(first - last)
    page.js(DRAG, *first + away, *last - away)
    assert page.texts(".all-runs .legend li")[0] == "eligible 5"
    assert page.run == runs[0]
    closer = np.array([page.js(POINT_AT, runs[i])[:2] for i in (1, 2)])
    assert closer[0, 0] - closer[1, 0] > 2 * (first - second)[0]
    page.visit(page.address)
    assert page.texts(".all-runs .legend li")[0] == "eligible 5"
    page.click("[data-key=whole]")
    assert "zoom" not in page.address
    assert page.texts(".all-runs .legend li")[0] == f"eligible {len(runs) + OTHERS}"


# What was drawn right of the frame, at the height of the shown run.
BESIDE = """
const [y] = arguments, canvas = document.querySelector('.all-runs canvas'), pen = canvas.getContext('2d');
return Math.max(...pen.getImageData(canvas.width - 28, 2 * y - 4, 24, 8).data);
"""


def test_the_intervals_of_a_shown_run_are_inside_the_frame(page, study):
    runs, rows = study[1], {row["run"]: row for row in study[0].rows}
    page.visit(f"#run={runs[0]}")
    (high, _, _), (low, _, _) = (page.js(POINT_AT, runs[i]) for i in (0, 7))
    values = [rows[runs[0]]["stability_ari"], rows[runs[7]]["stability_ari"]]
    end = high + (rows[runs[0]]["stability_ari_q95"] - values[0]) * (high - low) / (values[0] - values[1])
    width = page.js("return document.querySelector('.all-runs canvas').clientWidth")
    assert high < end < width - 16
    page.visit(f"#run={runs[0]}&zoom=0.7,0.9,0.4,0.6")
    x, y, _ = page.js(POINT_AT, runs[0])
    assert page.js(BESIDE.replace("canvas.width - 28", str(2 * int(x + 20))), int(y)) > 0
    assert page.js(BESIDE, int(y)) == 0


def test_runs_are_coloured_by_each_grouping_once(browser, new_study, tmp_path):
    study = new_study(n=60)
    for place, size in enumerate([2, 3, 5], start=1):
        for scaler in ("power", "standard"):
            extra = {"projection.n_components": size, "silhouette_reference": 0.5 - place / 10, "scaler": scaler}
            study.add(np.arange(60) % 3, projection="pca", **extra)
    study.add(np.arange(60) % 3, silhouette_reference=0.1)
    study.recommend(None)
    page = Page(browser, page_of(study.write(tmp_path)))
    page.visit()
    told = [text.lower() for text in page.texts("[data-key=colour] option")]
    assert {"projection", "projection (option)", "scaler"} <= set(told)
    assert len({text.removesuffix(" (option)") for text in told}) == len(told) - 1
    assert "scaler (option)" not in told


def test_a_confirmed_study_says_whose_front_it_shows(confirmed):
    confirmed.visit()
    assert "Pareto front of the tested runs only" in confirmed.texts(".controls label")
    assert any(text.startswith("Pareto front of the tested runs") for text in confirmed.texts(".all-runs .legend li"))


def test_a_deviation_that_rounds_to_zero_has_no_sign(confirmed):
    confirmed.visit()
    found = set()
    for run in confirmed.texts("tr[data-run] td.id"):
        confirmed.choose(run)
        found |= set(confirmed.texts(".profile-view td.z"))
    assert "0.0" in found
    assert not {"+0.0", "−0.0"} & found


@pytest.mark.parametrize(
    ("written", "passes"),
    [
        ("clusterer.n_clusters=7", lambda row: row.get("clusterer.n_clusters") == 7),
        ("n_clusters>=400", lambda row: row.get("clusterer.n_clusters", 0) >= 400),
        ("silhouette>0.46", lambda row: row.get("silhouette_reference", 0) > 0.46),
        ("ref.silhouette>0.46 stability<0.8", lambda row: row.get("stability_ari", 1) < 0.8 and row["rank"] < 4),
        ("coverage>=99.9% kmeans", lambda row: row.get("noise_fraction", 1) < 0.001 and row["clusterer"] == "kmeans"),
        ("run<5", lambda row: "run<5" in row["run"]),
        ("n_clusters >= 400", lambda row: row.get("clusterer.n_clusters", 0) >= 400),
        ("k = 3 .. 5 kmeans", lambda row: 3 <= row.get("clusterer.n_clusters", 0) <= 5),
        ("coverage>99.9", lambda row: row.get("noise_fraction", 1) < 0.001),
        ("place<=4", lambda row: row["rank"] <= 4),
        ("n_clust=7", lambda row: row.get("clusterer.n_clusters") == 7),
        ("reference>0.46", lambda row: row.get("silhouette_reference", 0) > 0.46),
        ("clusterer.n_clusters=7 kmeans", lambda row: row.get("clusterer.n_clusters") == 7),
        ("k != 7 place<=300", lambda row: row.get("n_clusters") != 7 and row["rank"] <= 300),
        ("k == 7", lambda row: row.get("clusterer.n_clusters") == 7),
        ("k=5..3", lambda row: 3 <= row.get("n_clusters", 0) <= 5),
        ("silhouette≥0.46", lambda row: row.get("silhouette_reference", 0) >= 0.46),
        ("coverage>1", lambda row: row.get("noise_fraction", 1) < 0.99),
    ],
)
def test_the_filter_takes_conditions(page, study, written, passes):
    rows = [row for row in study[0].rows if row["status"] == "ok" and passes(row)]
    page.visit()
    page.put(".find", written, "input")
    assert page.texts(".matches")[0] == f"{len(rows)} of {len(study[0].rows)} runs"
    assert set(page.texts("tr[data-run] .id")) <= {row["run"] for row in rows}
    page.assert_quiet()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("nosuch=3", "No column or parameter is called nosuch."),
        ("silhouete > 0.2 kmeans", "No column or parameter is called silhouete."),
        ("n_clusters<many", "many is no number."),
        ("k=2..many", "many is no number."),
        ("run<5", "run has no numbers: only = fits it."),
        ("k=", "A value is missing after k=."),
    ],
)
def test_a_condition_that_none_can_pass_is_told(page, study, written, told):
    page.visit()
    page.put(".find", written, "input")
    assert page.texts(".matches")[0] == f"0 of {len(study[0].rows)} runs"
    assert page.texts(".controls .lost[role=status]") == [told]
    page.put(".find", "kmeans", "input")
    assert page.texts(".controls .lost") == [""]
    page.assert_quiet()


def test_the_example_of_a_filter_passes_the_best_run(page, confirmed, study):
    for shown, clusterer, k in ((page, "kmeans", 2), (confirmed, "kmeans", 5)):
        shown.visit()
        best = shown.run
        (example,) = shown.texts(".example")
        assert example.startswith(f"{clusterer} k={k} silhouette>0.")
        assert example in shown.one(".find").get_attribute("title")
        assert shown.one(".find").get_attribute("placeholder") == f"{clusterer} k={k}"
        shown.put(".find", example, "input")
        assert best in shown.texts("tr[data-run] .id")


# What is written on the picture of all runs when it is drawn anew.
WRITTEN = (
    "const written = [], pen = CanvasRenderingContext2D.prototype, first = pen.fillText;"
    "pen.fillText = function (text, ...place) {"
    " if (this.canvas.closest?.('.all-runs') || !this.canvas.isConnected) written.push(String(text));"
    " return first.call(this, text, ...place); };"
    "document.querySelector('nav button').click(); pen.fillText = first; return written"
)


def test_where_no_run_matches_the_axes_stay(page):
    page.visit()
    ticks = [text for text in page.js(WRITTEN) if text != "★"]
    page.put(".find", "nothing of the kind", "input")
    assert page.js(WRITTEN) == ticks


def test_a_link_beside_the_filter_goes_to_the_chosen_run(page, study):
    run = study[1][3]
    page.visit(height=900)
    page.js("document.querySelector('.leaderboard').scrollIntoView()")
    before = page.js("return window.scrollY")
    page.choose(run)
    assert page.js("return window.scrollY") == before
    link = page.one(".controls [data-key=below]")
    assert link.text == f"Run {run} is below"
    link.click()
    assert page.js("return document.activeElement.textContent") == f"Run {run}"
    top = page.js("return document.activeElement.getBoundingClientRect().top")
    assert 0 < top < 500


def test_a_part_is_a_stop_of_the_tab_key_only_while_it_scrolls(page, study):
    page.visit(f"#run={study[1][0]}&compare={study[1][3]}")
    parts = """const parts = [...document.querySelectorAll('.scroll, .drawing, .command')]
        .filter((part) => part.getClientRects().length && !part.closest('details:not([open])'));
        return parts.map((part) => [part.tabIndex === 0, part.classList.contains('more'),
        part.scrollWidth > part.clientWidth, part.scrollHeight > part.clientHeight])"""
    scrolling = {}
    for width in (1400, 400):
        page.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 1000, "deviceScaleFactor": 2, "mobile": False},
        )
        page.wait(f"window.innerWidth === {width}")
        page.later("requestAnimationFrame(() => setTimeout(done, 50))")
        found = page.js(parts)
        scrolling[width] = [wide or high for *_, wide, high in found]
        assert [(stop, more) for stop, more, *_ in found] == [(wide or high, wide) for *_, wide, high in found]
    assert 0 < sum(scrolling[1400]) < sum(scrolling[400])
    page.assert_quiet()


def test_where_no_run_matches_it_is_said_and_undone(page, study):
    page.visit(f"#run={study[1][0]}&only=eligible&lanes=stability_ari:0.8:0.9")
    assert not page.one(".none").is_displayed()
    page.put(".find", "nothing of the kind", "input")
    assert page.one(".none").is_displayed()
    page.click("[data-key=unfilter]")
    assert not page.one(".none").is_displayed()
    assert page.address == f"#run={study[1][0]}"
    assert page.texts(".matches")[0] == f"{len(study[0].rows)} runs"
    assert page.js("return document.activeElement.className") == "find"


# Where the pointer finds a run on a lane.
LANE_AT = """
const [run, lane] = arguments, map = document.querySelector('.all-lanes .map'), canvas = map.querySelector('canvas');
const box = canvas.getBoundingClientRect(), [tip, ring] = map.querySelectorAll('.tip');
for (let x = 20; x < box.width; x += 6) for (let y = 40; y < box.height; y += 6) {
  canvas.dispatchEvent(new MouseEvent('mousemove', { clientX: box.left + x, clientY: box.top + y }));
  if (tip.textContent.startsWith(`Run ${run}\n`) && tip.textContent.includes(`\n${lane} `)) {
    return [parseFloat(ring.style.left), parseFloat(ring.style.top)];
  }
}
"""
OPEN_LANES = "document.querySelector('.all-lanes').open = true"


def test_runs_are_kept_that_pass_where_a_lane_is_dragged_over(page, study):
    table, runs, _ = study
    rows = {row["run"]: row for row in table.rows}
    page.visit(f"#run={runs[0]}")
    page.js(OPEN_LANES)
    page.wait("document.querySelector('.all-lanes canvas').width > 300")
    canvas = "return document.querySelector('.all-lanes canvas').getAttribute('aria-label')"
    assert "Silhouette, Stability, Coverage" in page.js(canvas)
    assert f"{len(table.rows)} of {len(table.rows)} runs are drawn" in page.js(canvas)
    x, y = page.js(LANE_AT, runs[2], "Silhouette")
    above = page.js(LANE_AT, runs[0], "Silhouette")[1]
    assert above < y
    drag = DRAG.replace(".all-runs", ".all-lanes")
    page.js(drag, x, 30, x + 1, y + 3)
    least = rows[runs[2]]["silhouette_reference"]
    wanted = [run for run, row in rows.items() if row.get("silhouette_reference", -1) >= least]
    assert 1 < len(wanted) < len(rows)
    assert page.one(".matches").text == f"{len(wanted)} of {len(rows)} runs"
    assert f"{len(wanted)} of {len(rows)} runs are drawn: those that pass the marked part" in page.js(canvas)
    x, y = page.js(LANE_AT, runs[0], "Stability")
    page.js(drag, x, y - 3, x, y + 3)
    both = page.one(".matches").text
    page.visit(page.address)
    assert page.one(".matches").text == both
    page.js(OPEN_LANES)
    page.click("[data-key=unmark]")
    assert page.one(".matches").text == f"{len(rows)} runs"
    assert "lanes" not in page.address
    page.js(CLICK_AT.replace(".all-runs", ".all-lanes"), *page.js(LANE_AT, runs[3], "Silhouette"), {})
    assert page.run == runs[3]
    page.assert_quiet()


def kept(page: Page) -> int:
    return int(page.texts(".matches")[0].split()[0])


def test_a_lane_of_a_choice_keeps_whole_values_and_the_address_names_them(page, study):
    table, runs, _ = study
    total, drag = len(table.rows), DRAG.replace(".all-runs", ".all-lanes")
    page.visit(f"#run={runs[0]}")
    page.js(OPEN_LANES)
    page.wait("document.querySelector('.all-lanes canvas').width > 300")
    x, y = page.js(LANE_AT, runs[1], "Projection")
    page.js(drag, x, y + 140, x, y + 155)
    assert kept(page) == total - 1
    page.js(drag, x, 30, x, 380)
    assert kept(page) == total
    page.js(drag, x, y - 5, x, y + 5)
    assert kept(page) == 1
    page.visit(page.address)
    assert kept(page) == 1
    page.visit(
        "#lanes=projection_label:none:none;nothing:1:2;coverage:x:1;stability_ari:0.805:0.845;silhouette:%25E0:1"
    )
    assert kept(page) == 2
    assert page.address == f"#run={runs[0]}&lanes=stability_ari%3A0.805%3A0.845"


def test_runs_are_kept_by_value_with_the_keyboard(page, study):
    from selenium.webdriver.common.keys import Keys

    table, runs, _ = study
    page.visit(f"#run={runs[0]}")
    page.js(OPEN_LANES)
    page.js("document.querySelector('.lanes summary').focus()")
    page.press(Keys.ENTER, Keys.TAB)
    page.put("[data-key=keep-lane]", "silhouette_reference")
    page.press(Keys.TAB, *"0.455", Keys.ENTER)
    assert page.js("return document.activeElement.ariaLabel") == "Silhouette from"
    assert kept(page) == sum(row.get("silhouette_reference", 0) >= 0.455 for row in table.rows) == 4
    page.press(Keys.TAB, *"0.475", Keys.TAB)
    assert kept(page) == 2
    assert page.address == f"#run={runs[0]}&lanes=silhouette_reference%3A0.455%3A0.475"
    page.put("[data-key=keep-lane]", "coverage")
    page.put("[data-key=keep-to]", "90")
    assert kept(page) == 0
    page.put("[data-key=keep-to]", "")
    page.put("[data-key=keep-lane]", "silhouette_reference")
    assert page.one("[data-key=keep-from]").get_attribute("value") == "0.455"
    page.click("[data-key=unmark]")
    assert page.one("[data-key=keep-from]").get_attribute("value") == ""
    page.put("[data-key=keep-lane]", "projection_label")
    page.put("[data-key=keep-value]", str(page.texts("[data-key=keep-value] option").index(HOSTILE) - 1))
    assert kept(page) == 1
    page.put("[data-key=keep-value]", "")
    assert kept(page) == len(table.rows)
    page.assert_quiet()


def test_filters_count_the_customers_that_pandas_counts(page, study):
    table, runs, _ = study
    labels = partition(table, runs[3])
    page.visit(f"#run={runs[3]}&range=0:254:AGE")
    bounds = ".filter-line input[type=text]"
    page.put(bounds, "30.5", place=0)
    page.put(bounds, "47", place=1)
    kept = table.frame["AGE"].between(30.5, 47).to_numpy()
    assert page.texts(".matched")[0].startswith(f"{kept.sum()} of {len(labels)} customers match")
    expected = pd.Series(labels[kept]).value_counts()
    told = {row[0]: int(row[1]) for row in page.cells(".outcome")}
    assert told == {f"Segment {s}": int(expected.get(s, 0)) for s in range(5)}
    page.put("[data-key=add-filter]", HOSTILE)
    values = table.frame[HOSTILE]
    page.put(bounds, str(float(values.median())), place=2)
    # Of more than 255 different values the page knows 255: a step on either side may be off.
    exact = (kept & (values >= values.median())).sum()
    assert int(page.texts(".matched")[0].split()[0]) == pytest.approx(exact, abs=3)


def test_downloaded_ids_are_safe_to_open_in_a_spreadsheet(page, study):
    page.visit(f"#run={study[1][0]}&range=0:254:AGE")
    text = page.later(
        "URL.createObjectURL = (blob) => { blob.text().then(done); return '#'; };"
        "document.querySelector('[data-key=download]').click()"
    )
    found = pd.read_csv(pd.io.common.StringIO(text), dtype=str)["id"]
    guarded = {f"'{name}" if name[0] in "=+@" else name for name in IDS}
    assert guarded <= set(found)
    assert len(found) == len(study[0].ids)
    page.assert_quiet()


def test_hostile_names_are_literal_and_inert(page, study):
    _, runs, path = study
    page.visit(f"#run={runs[1]}&segment=0&compare={runs[0]}&range=0:254:{'%24%7Bx%7D'}")
    assert HOSTILE in page.texts(".profile-view th bdi")
    assert {HOSTILE, ARABIC, "${x}", "=cmd()|' /C calc'!A0"} <= set(page.texts(".kpis th bdi"))
    assert HOSTILE in " ".join(page.texts("tr[data-run] td"))
    assert HOSTILE in page.texts(".plane option")[2]
    assert page.js("return document.scripts.length") == path.read_text(encoding="utf-8").count("<script")
    assert page.js("return document.querySelectorAll('.explorer b b, .runs b').length") == 0
    page.assert_quiet()


def test_all_runs_are_there_but_only_those_in_sight_are_drawn_and_sorting_is_quick(page, study):
    total = len(study[0].rows)
    page.visit()
    assert int(page.one(".runs").get_attribute("aria-rowcount")) == total + 1
    assert len(page.texts("tr[data-run]")) < 60
    assert page.js("return performance.getEntriesByName('first-contentful-paint')[0].startTime") < FIRST_PAINT
    timed = "const from = performance.now(); document.querySelectorAll(arguments[0])[arguments[1]].click(); "
    timed += "requestAnimationFrame(() => setTimeout(() => done(performance.now() - from)))"
    assert min(page.later(timed, "tr[data-run]", i) for i in (3, 4, 5)) < SWITCH
    assert min(page.later(timed, "th[data-name=silhouette_reference] button", 0) for _ in range(2)) < SORT
    silhouettes = sorted(row["silhouette_reference"] for row in study[0].rows if row.get("silhouette_reference"))
    column = page.js("return document.querySelector('th[data-name=silhouette_reference]').cellIndex")
    assert float(page.cells(".runs")[0][column]) == pytest.approx(silhouettes[0], abs=6e-4)
    page.put(".find", "KMEANS n_clusters=419", "input")
    assert page.texts(".matches")[0] == f"1 of {total} runs"
    page.put(".find", "", "input")
    page.js("document.querySelector('.tall').scrollTop = 1e6")
    page.wait(f"document.querySelector('tr[data-place=\"{total - 1}\"]')")


@pytest.mark.parametrize("dark", [False, True])
def test_no_serious_accessibility_violation(page, study, axe, dark):
    runs = study[1]
    for compared in ([runs[7]], [runs[7], runs[4], study[0].rows[20]["run"]]):
        page.visit(f"#run={runs[2]}&segment=1&compare={','.join(compared)}&range=5:40:AGE", dark=dark)
        page.js(f"{OPEN_LANES}; document.querySelector('.lanes details').open = true")
        page.js(axe)
        found = page.later(
            "axe.run(document, { resultTypes: ['violations'] }).then((r) => done([r.passes.length, r.violations.filter("
            "(v) => ['serious', 'critical'].includes(v.impact)).map((v) => [v.id, v.nodes.map((n) => n.html)])]))"
        )
        assert found[0] > 10
        assert found[1] == []


def test_theme_and_print(page, study):
    page.visit(f"#run={study[1][2]}&segment=1")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = page.js(ground)
    page.click("nav button")
    assert page.js(ground) != light
    page.media("print")
    page.wait("document.querySelectorAll('tr[data-run]').length === 40")
    assert page.js(ground) == light
    for selector in (".controls", "nav", ".plane select", ".explorer .help"):
        assert not page.one(selector).is_displayed()
    assert page.one(".map-first canvas").is_displayed()
    assert page.one(".segment-view .histogram").is_displayed()
    page.media("screen")
    page.wait("document.querySelectorAll('tr[data-run]').length !== 40")


def test_the_leaderboard_tells_what_a_run_is_before_its_scores_and_on_paper_too(confirmed):
    heads = "return [...document.querySelectorAll('.runs th')].map((th) => th.dataset.name)"
    what = ["standing", "run", "scaler_label", "projection_label", "clusterer_label", "n_clusters"]
    scores = ["silhouette_reference", "silhouette_excess", "p_adjusted", "stability_ari", "stability_ari_refit"]
    what.append("state")
    confirmed.visit()
    shown = confirmed.js(heads)
    assert shown[0] is None
    assert shown[1 : len(what) + 1] == what
    assert shown[-2:] == ["rank_low", "screen_rank"]
    confirmed.js("document.querySelectorAll('.chooser input')[4].click()")
    assert "clusterer_label" not in confirmed.js(heads)
    confirmed.media("print")
    confirmed.wait("document.querySelectorAll('.runs th').length < 15")
    seen = "return [...document.querySelectorAll('.runs th, .runs tr[data-run]:first-child td')]"
    seen += ".filter((each) => each.checkVisibility()).map((each) => each.dataset.name || each.className)"
    printed = [*what, *scores, "coverage"]
    assert confirmed.js(seen)[: len(printed)] == printed
    assert len(confirmed.js(seen)) == 2 * len(printed)
    confirmed.media("screen")
    confirmed.wait("document.querySelectorAll('.runs th').length > 15")
    assert "clusterer_label" not in confirmed.js(heads)


# Whether a colour is on the map of segments.
MAPPED = """
const canvas = document.querySelector('.map-first canvas'), found = canvas.getContext('2d');
const { data } = found.getImageData(0, 0, canvas.width, canvas.height);
for (let i = 0; i < data.length; i += 4) {
  if (data[i + 3] > 200 && arguments[0].every((value, j) => Math.abs(value - data[i + j]) < 3)) return true;
}
return false;
"""


def test_segments_have_the_colours_of_the_figures_on_any_ground(page, study):
    from segkit.report.figures.style import COLOURS

    fill = "return getComputedStyle(document.querySelector('[data-key=l3] rect')).fill"
    purple = [int(COLOURS[3][i : i + 2], 16) for i in (1, 3, 5)]
    page.visit(f"#run={study[1][4]}", dark=True)
    for _ in range(2):
        assert page.js(fill) == f"rgb({', '.join(map(str, purple))})"
        assert page.js(MAPPED, purple)
        page.click("nav button")
    card = "const card = document.querySelector('.card').cloneNode(); card.className = 'card c3';"
    tint = f"{card} document.body.append(card); return getComputedStyle(card).getPropertyValue('--tint')"
    assert page.js(tint) == COLOURS[3]


def test_a_selected_row_keeps_the_width_of_its_letters(page):
    page.visit()
    weights = "return [...document.querySelectorAll('.runs tr[data-run]')].map((row) => [row.ariaSelected,"
    weights += "...[...row.querySelectorAll('td:not(.best)')].map((cell) => getComputedStyle(cell).fontWeight)])"
    found = page.js(weights)
    assert {row[0] for row in found} == {"true", "false"}
    assert {weight for row in found for weight in row[1:]} == {"400"}


def test_on_paper_no_table_is_cut_off_or_shadowed(confirmed):
    confirmed.visit(width=680)
    confirmed.js("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    confirmed.wait("document.querySelector('section > .scroll.more')")
    confirmed.media("print")
    confirmed.wait("document.querySelectorAll('.runs th').length < 15")
    told = confirmed.js(
        "return [...document.querySelectorAll('.scroll')].filter((part) => part.checkVisibility()).map((part) => ["
        "part.getAttribute('aria-label'), getComputedStyle(part).boxShadow, getComputedStyle(part).overflowX,"
        "part.firstElementChild.getBoundingClientRect().right <= window.innerWidth])"
    )
    assert len(told) > 5
    assert [row for row in told if row[1:] != ["none", "visible", True]] == []
    shadows = "return [...document.querySelectorAll('.live tr[aria-selected=true] td:nth-child(n+2)')]"
    assert set(confirmed.js(f"{shadows}.map((cell) => getComputedStyle(cell).boxShadow)")) == {"none"}
    assert not confirmed.one("details > pre").is_displayed()
    assert "study.yaml" in confirmed.one("details:has(> pre) .on-paper").text
    confirmed.media("screen")


def test_narrow_pages_do_not_scroll_sideways(page, study):
    for compared in (study[1][7], ",".join(study[1][3:7])):
        page.visit(f"#run={study[1][2]}&segment=1&compare={compared}&range=5:40:AGE", width=390)
        assert page.js("return document.documentElement.scrollWidth") <= 390


def test_without_script_the_answers_and_the_first_runs_are_there(page):
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.driver.get("about:blank")
        page.driver.get(page.path.as_uri())
        shown = page.driver.find_elements("css selector", "#verdict .answer, #trust .answer, .card h3, tr[data-run]")
        assert len(shown) > 100
        assert all(element.is_displayed() for element in shown[:5])
        assert not page.one("#explorer").is_displayed()
        assert not page.one(".controls").is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_segments_card_opens_it_below(page, study):
    page.visit(f"#run={study[1][3]}")
    page.click(".card[data-segment='1'] .closer")
    assert page.run == study[1][0]
    assert page.texts(".segment-view h4")[0].startswith("Segment 1")
    assert page.js("return document.activeElement.tagName") == "H4"


def test_without_blocks_the_page_is_as_without_script(browser, study, tmp_path):
    text = study[2].read_text(encoding="utf-8")
    path = tmp_path / "bare.html"
    bare = text[: text.index('<script type="text/plain"')] + text[text.rindex("<script>") :]
    path.write_text(bare, encoding="utf-8")
    page = Page(browser, path)
    page.driver.get(path.as_uri())
    page.wait("document.querySelector('nav button')")
    assert len(page.cells(".runs")) == 100
    assert not page.one("#explorer").is_displayed()
    assert not page.one(".all-runs").is_displayed()


@pytest.mark.parametrize("kind", ["failed", "noise", "forty"])
def test_odd_studies_open_quietly(browser, new_study, tmp_path, kind):
    study = new_study(n=200)
    if kind == "failed":
        for _ in range(3):
            study.add(status="failed", reason="MemoryError: no room")
        study.recommend(None)
    else:
        labels = np.full(200, -1) if kind == "noise" else np.arange(200) % 40
        study.profiled = study.add(labels, silhouette_reference=0.1, stability_ari=0.5)
        study.recommend(None)
        study.planes = {"pca-1": ("all > pca", study.scaled[:, :2], [study.profiled])}
    page = Page(browser, page_of(study.write(tmp_path)))
    page.visit()
    assert page.run in {row["run"] for row in study.rows}
    assert page.one(".run-views").is_displayed() == (kind != "failed")
    assert len(page.texts(".legend button")) == {"failed": 0, "noise": 1, "forty": 40}[kind]
    assert ("did not come through" in page.texts(".run-missing")[0]) == (kind == "failed")
    page.assert_quiet()


def test_a_page_that_may_leave_the_house_still_shows_its_segments(browser, new_study, tmp_path):
    study = new_study(n=200)
    runs = filled(study)
    study.study["report"] = {"customers": False}
    folder = study.write(tmp_path)
    study.frame.assign(id=study.ids).to_parquet(folder / "customers.parquet", index=False)
    page = Page(browser, page_of(folder))
    page.visit("#segment=1")
    assert page.run == runs[0]
    assert page.one(".segment-view").is_displayed()
    assert "no customer's values" in page.one(".filter-view").text
    assert page.one(".map-first canvas").is_displayed()
    assert not page.js("return document.querySelector('#data-values, #data-ids, .histogram, [data-key=download]')")
    page.assert_quiet()


def test_features_that_are_0_or_1_are_told_by_shares_also_of_those_whom_filters_keep(browser, new_study, tmp_path):
    study = new_study(n=200)
    study.frame["flag"] = (np.arange(200) % 5 < np.where(study.truth == 0, 4, 1)).astype(float)
    run = study.add(study.truth, silhouette_reference=0.4, stability_ari=0.9, rank=1)
    study.recommend(run)
    study.profiled = run
    folder = study.write(tmp_path / "study")
    frame = study.frame.assign(id=study.ids)[["id", *study.frame.columns]]
    frame.to_parquet(folder / "customers.parquet", index=False)
    page = Page(browser, page_of(folder))
    row = "return [...document.querySelectorAll('.kpis tr')].find((r) => r.textContent.startsWith('flag')).innerText"
    own, other = study.truth == 0, study.truth == 1
    page.visit(f"#run={run}&segment=0&feature=flag")
    assert f"{100 * frame['flag'][own].mean():.1f}%\t{100 * frame['flag'].mean():.1f}%" in page.js(row)
    title = "return document.querySelector(`td.z[data-segment='1'][data-feature=flag]`).title"
    assert page.js(title).endswith(f"share {100 * frame['flag'][other].mean():.1f}%")
    page.visit(f"#run={run}&segment=0&feature=flag&range=1:254:flag")
    page.wait("document.querySelector('.kept')")
    assert "\t100.0%\t" in page.js(row)
    page.assert_quiet()


# what a reader takes for granted

TURNING = "a\u202eevil\u202c"
MANY_FEATURES = (TURNING, *(f"feature_{i}" for i in range(23)))


@pytest.fixture(scope="module")
def plain(browser: Any, new_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, Any]:
    """Four runs, two of them of the same segments, and a feature whose name turns what follows."""
    study = new_study(n=90, columns=MANY_FEATURES)
    labels = study.truth % 3
    kmeans = {"clusterer.n_clusters": 3, "features.expressions": "{}", "stability_ari": 0.9999}
    dbscan = {"clusterer": "dbscan", "clusterer.eps": 1.2, "clusterer.metric": "l2", "stability_ari": 0.9996}
    runs = [study.add(labels, silhouette_reference=0.5, rank=1, **kmeans)]
    runs.append(
        study.add(labels, silhouette_reference=0.5, rank=2, **dbscan, **{"features.expressions": '{"r": ["x"]}'})
    )
    runs.append(study.add(study.truth % 2, silhouette_reference=0.4, rank=3, **kmeans | {"clusterer.n_clusters": 2}))
    study.add(study.truth % 2, silhouette_reference=0.3, rank=4, **dbscan | {"clusterer.eps": 2.5})
    study.recommend(runs[0])
    study.profiled = runs[0]
    folder = study.write(tmp_path_factory.mktemp("plain") / "study")
    study.frame.assign(id=study.ids)[["id", *study.frame.columns]].to_parquet(folder / "customers.parquet", index=False)
    return Page(browser, page_of(folder)), runs


def test_no_name_turns_its_direction_in_what_the_script_draws(plain):
    page, runs = plain
    page.visit(f"#run={runs[0]}&segment=0&feature={TURNING}&compare={runs[1]}&range=0:254:{TURNING}")
    page.click("[data-key=more]")
    for part in (".profile-view th", ".kpis th", ".filter-line"):
        assert "a␣evil␣" in page.texts(f"{part} bdi")
    turning = (
        "const turns = /[\\u202a-\\u202e\\u2066\\u2067]/;"
        "return [...document.querySelectorAll('body *:not(script)')].filter((each) => ["
        "...['title', 'aria-label', 'aria-valuetext'].map((name) => each.getAttribute(name)),"
        "...[...each.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data)]"
        ".some((text) => turns.test(text ?? ''))).map((each) => each.outerHTML.slice(0, 200))"
    )
    assert page.js(turning) == []


def test_paper_says_what_is_not_on_it(page, plain, study):
    total = len(study[0].rows)
    page.visit()
    assert not page.one(".on-paper").is_displayed()
    page.media("print")
    page.wait("document.querySelectorAll('tr[data-run]').length === 40")
    columns = page.js("return document.querySelectorAll('.runs thead th').length") - 1
    told = page.texts(".on-paper")[0]
    assert told.startswith(f"The first 40 of {total} runs and {columns} of ")
    assert told.endswith(" columns; all are in runs.csv.")
    assert page.one(".on-paper").is_displayed()
    page.media("screen")
    page.wait("document.querySelectorAll('tr[data-run]').length !== 40")
    page, _ = plain
    page.visit()
    heads = "document.querySelectorAll('.profile-view thead th').length - 3"
    assert page.js(f"return {heads}") == 14
    page.media("print")
    page.wait(f"{heads} === 20")
    assert "20 features of 24" in page.texts(".profile-view .note")[0]
    assert not page.one(".profile-view .help").is_displayed()
    page.media("screen")
    page.wait(f"{heads} === 14")


def test_a_recommended_run_is_called_so_and_another_is_not(plain, browser, new_study, tmp_path):
    page, _ = plain
    page.visit()
    assert page.texts(".tag") == ["recommended"]
    other = new_study(n=60)
    other.add(other.truth % 2, silhouette_reference=0.4, stability_ari=0.8, rank=1)
    other.recommend(None)
    page = Page(browser, page_of(other.write(tmp_path)))
    page.visit()
    assert page.texts(".tag") == ["best placed"]


def test_a_bound_that_moves_is_told_and_nobody_is_no_file(plain):
    page, runs = plain
    page.visit(f"#run={runs[0]}&range=0:254:feature_0&range=0:254:feature_1")
    bounds = ".filter-line input[type=text]"
    page.put(bounds, "none", place=0)
    assert "is no number" in page.texts(".moved")[0]
    page.put(bounds, "-1e9", place=0)
    assert "was moved to" in page.texts(".moved")[0]
    page.wait("document.querySelector('#live').textContent.includes('was moved to')")
    assert page.js("return document.querySelector('[data-key=download]')")
    page.put(bounds, page.js(f"return document.querySelectorAll('{bounds}')[1].value"), place=0)
    page.put(bounds, page.js(f"return document.querySelectorAll('{bounds}')[2].value"), place=3)
    assert page.texts(".matched")[0].startswith("No customer matches")
    assert not page.js("return document.querySelector('[data-key=download]')")


def test_compared_runs_show_what_stands_against_what(plain):
    page, runs = plain
    page.visit(f"#run={runs[0]}&compare={runs[1]}")
    differing = {row[0]: row[1:] for row in page.cells(".made > .scroll")}
    assert differing["clusterer.n_clusters"] == ["3", "–"]
    assert differing["clusterer.eps"] == ["–", "1.2"]
    assert differing["features.expressions"] == ["–", "r: (x)"]
    # What only one option has, with one value in the whole study, is behind it.
    assert "clusterer.metric" not in differing
    assert page.texts(".made summary") == ["Parameters that only one option has: 1"]
    assert page.cells(".made details") == [["clusterer.metric", "–", "l2"]]
    assert "the very same segments" in page.texts(".agreement")[0]
    scores = {row[0]: row[1:] for row in page.cells(".three > .scroll")}
    assert scores["Stability"][:2] == ["1.00", "1.00"]
    page.visit(f"#run={runs[0]}&compare={runs[2]}")
    assert "the very same segments" not in page.texts(".agreement")[0]


def test_several_compared_runs_are_all_in_sight_and_cost_and_size_are_no_scores(browser, new_planted, tmp_path):
    planted = new_planted()
    for place, row in enumerate(planted.rows):
        row["seconds"] = 1.5 + place
    page = Page(browser, page_of(planted.write(tmp_path / "study")))
    page.visit()
    ids = page.texts("tr[data-run] .id")[:5]
    page.visit(f"#run={ids[0]}&compare={','.join(ids[1:])}")
    tables = "return [...document.querySelectorAll('.three > .scroll, .made > .scroll')]"
    widths = page.js(f"{tables}.map((part) => [part.scrollWidth, part.clientWidth])")
    assert len(widths) == 2
    assert all(needed <= room for needed, room in widths)
    scores = {row[0]: row[1:] for row in page.cells(".three > .scroll")}
    assert "●" in " ".join(scores["Silhouette"])
    for name in ("Smallest", "CPU, s"):
        assert len(set(scores[name])) > 1
        assert "●" not in " ".join(scores[name])


def test_the_heads_are_one_stop_of_the_tab_key(plain):
    from selenium.webdriver.common.keys import Keys

    page, runs = plain
    page.visit()
    assert page.js("return document.querySelectorAll('.runs th button[tabindex=\"0\"]').length") == 1
    page.js("document.querySelector('.runs th button').focus()")
    page.press(Keys.ARROW_RIGHT)
    assert page.js("return document.activeElement.dataset.key") == "run"
    page.press(Keys.ENTER)
    assert page.js("return document.activeElement.dataset.key") == "run"
    assert page.js("return document.querySelectorAll('.runs th button[tabindex=\"0\"]').length") == 1
    page.press(Keys.TAB)
    assert page.js("return document.activeElement.dataset.run") in runs


def test_without_script_ids_stay_whole(page):
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.driver.get("about:blank")
        page.driver.get(page.path.as_uri())
        cells = page.driver.find_elements("css selector", ".runs tbody td")[1:3]
        assert [cell.value_of_css_property("overflow-wrap") for cell in cells] == ["break-word"] * 2
        assert cells[0].value_of_css_property("white-space") == "nowrap"
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_an_axis_ends_where_its_score_does(browser, new_study, tmp_path):
    study = new_study(n=60)
    for k in (2, 3, 4):
        study.add(study.truth % k, silhouette_reference=1.0, stability_ari=1.0, rank=k)
    study.recommend(None)
    page = Page(browser, page_of(study.write(tmp_path)))
    page.visit()
    ticks = [float(text) for text in page.js(WRITTEN) if text.replace(".", "").isdigit()]
    assert ticks
    assert max(ticks) == 1
