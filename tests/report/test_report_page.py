from __future__ import annotations

import gzip
import json
import re
import shutil
import struct
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from segkit.errors import UsageError
from segkit.report import build, words
from segkit.report.gather import gather
from segkit.report.render import code, escaped

HOSTILE = "<script>alert(1)</script>|`x`[a](http://evil.example)$\\frac{$ \"'=cmd()${x}{{7*7}}"


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": [], "data": []}
        self.text: list[str] = []
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in self.raw:
            self._inside = "data" if dict(attrs).get("type") == "text/plain" else tag
            self.raw[self._inside].append("")

    def handle_endtag(self, tag):
        self._inside = None if tag in self.raw else self._inside

    def handle_data(self, data):
        if self._inside:
            self.raw[self._inside][-1] += data
        else:
            self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def drawings(self) -> list[dict]:
        return [attributes for attributes in self.all("div") if attributes.get("class") == "drawing"]


def read(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def assert_sound(folder: Path) -> Page:
    """A page that runs its own script only, loads nothing and shows every figure."""
    page = read(folder)
    assert len(page.raw["script"]) == len(page.raw["style"]) == 1
    assert not [data for data in page.raw["data"] if re.search(r"[^A-Za-z0-9+/=]", data)]
    assert not page.all("link") + page.all("iframe") + page.all("object") + page.all("form")
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        if tag == "a":
            assert not attributes.get("href", "#").removeprefix("#").strip("abcdefghijklmnopqrstuvwxyz")
    assert not page.all("img")
    assert not [a for a in page.all("image") if not a["href"].startswith("data:image/png;base64,")]
    assert_drawings(page)
    drawn = sorted(path.stem for path in (folder / "figures").glob("*.png"))
    assert len(drawn) == len(page.drawings) == len(page.all("figcaption"))
    for path in (folder / "figures").glob("*.png"):
        data = path.read_bytes()
        width, height = struct.unpack(">II", data[16:24])
        assert data.startswith(b"\x89PNG")
        assert width > 200
        assert height > 100
        assert len(data) > 2500, path
    assert len([e for e, _ in page.elements if e == "section"]) == 9
    assert 1000 < (folder / "summary.md").stat().st_size < 64 * 1024
    return page


def assert_drawings(page: Page) -> None:
    """Each is told in words and reached by the keyboard, and refers to nothing but what is in the page once."""
    assert all(drawing["aria-label"] and drawing["tabindex"] == "0" for drawing in page.drawings)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    asked = [a["href"] for tag, a in page.elements if tag == "use"]
    asked += [a["clip-path"].removeprefix("url(").removesuffix(")") for _, a in page.elements if "clip-path" in a]
    assert {reference.removeprefix("#") for reference in asked} <= set(ids)


def test_a_sweep_gives_a_sound_page_with_every_figure(built):
    assert_sound(built)
    assert {path.stem for path in (built / "figures").glob("*.png")} >= {
        *("trust", "jaccard", "agreement", "profiles", "segments_map", "embeddings"),
        *("k_curves", "effects", "grid", "inflation", "variance"),
    }
    assert (built / "report.html").stat().st_size < 4_000_000


def test_policy_allows_exactly_this_style_and_script(built):
    page = read(built)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind in ("script", "style"):
        digest = b64encode(sha256(page.raw[kind][0].encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    forbidden = r"innerHTML|outerHTML|insertAdjacent|\beval\b|new Function|document\.write"
    assert not re.search(forbidden, page.raw["script"][0])


def test_verdict_tells_run_gates_runner_up_command_and_that_it_is_a_screen(swept, built):
    text = " ".join("".join(read(built).text).split())
    chosen = swept[0].recommendation
    assert f"segkit reproduce {built} {chosen['run']}" in text
    assert words.SCREEN_ONLY in text
    assert "Its ARI to the best run is 0.71" in text
    assert "at least 70.0%" in text
    assert "In all/none, BALANCE alone carries 90% of the variance" in text


def test_verdict_says_where_the_run_leads_and_what_is_ahead_of_it(new_study, tmp_path):
    study = new_study(n=60)
    scored = [(0.3, 0.9, 1, 0.6), (0.5, 0.4, 2, 0.3), (0.4, 0.7, 3, 0.1), (0.2, 0.9, 4, 0.0)]
    names = ("silhouette_reference", "stability_ari", "rank", "weight_share")
    runs = [study.add(np.roll(study.truth, i), **dict(zip(names, row, strict=True))) for i, row in enumerate(scored)]
    study.recommend(runs[0], runs[1])
    found = study.recommendation["reasons"]
    found[3] |= {"place": 3, "of": 4}
    found[4] |= {"place": 1, "of": 4}
    study.write(tmp_path)
    assert words.why(gather(tmp_path)) == (
        "Of all ways to weigh the 2 criteria against each other, by rank, 60% put this run first; the next one gets "
        "30%. It leads in stability (0.900, shared with 1 other run) and is behind in reference silhouette (place 3 "
        "of 4: 0.300, the best has 0.500). Of the 2 eligible runs ahead of it in reference silhouette, both fall "
        "behind in stability (0.400 to 0.700); they find 5 segments."
    )
    study.recommend(None)
    study.write(tmp_path)
    assert words.why(gather(tmp_path)) == ""


def test_truth_stands_beside_k_in_page_and_summary(new_study, tmp_path):
    study = new_study(n=60)
    study.recommend(one_run(study, rank=1, truth_ari=0.87))
    build(study.write(tmp_path))
    titles = [a["title"] for a in read(tmp_path).all("th") if a.get("data-first")]
    assert titles[titles.index("Segments found") + 1].startswith("ARI to the planted groups")
    assert "| k | Truth |" in (tmp_path / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("formats", [["pdf"], ["png", "pdf"]])
def test_figures_are_written_in_the_formats_of_the_study(new_study, tmp_path, formats):
    study = new_study(n=60)
    study.recommend(one_run(study, rank=1))
    folder = study.write(tmp_path)
    build(folder)
    drawn = {path.name for path in (folder / "figures").iterdir()}
    study.study["report"] = {"formats": formats}
    build(study.write(folder))
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{Path(name).stem}.{kind}" for name in drawn for kind in formats
    }
    for path in (folder / "figures").glob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF-")
    assert f"`figures/profiles.{formats[0]}`" in (folder / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("formats", [["svg"], [], "png", None, [["png"]]])
def test_formats_that_there_are_not_are_told_before_anything_is_drawn(new_study, tmp_path, formats):
    study = new_study(n=60)
    study.recommend(one_run(study, rank=1))
    study.study["report"] = {"formats": formats}
    folder = study.write(tmp_path)
    with pytest.raises(UsageError, match=r"report\.formats.*png and pdf"):
        build(folder)
    assert not (folder / "figures").exists()


def test_leaderboard_has_the_first_hundred_runs_and_the_data_of_all(swept, built):
    page = read(built)
    listed = [a["data-run"] for a in page.all("tr") if "data-run" in a]
    told = json.loads(gzip.decompress(b64decode(page.raw["data"][1])))
    assert len(listed) == 100
    assert told["run"][:100] == listed
    assert set(told["run"]) == {row["run"] for row in swept[0].rows}
    headers = [a for a in page.all("th") if a.get("data-first")]
    lower = next(a for a in headers if "Davies" in a["title"])
    assert lower["data-first"] == "asc"
    assert "not comparable" in "".join(a["title"] for a in headers)


def test_summary_tells_the_same(swept, built):
    text = (built / "summary.md").read_text(encoding="utf-8")
    run = swept[0].recommendation["run"]
    assert f"`segkit reproduce {built} {run}`" in text
    assert "| skipped | 400 to 500 clusters of 300 customers | 2 |" in text
    assert text.count("\n## ") == 9
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.M)
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


def test_a_page_keeps_to_its_size_without_figures_or_says_the_least_there_is(swept, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(swept[1], folder)
    told: list[str] = []
    for most in (5.0, 1.0, 0.6, 0.45):
        build(folder, max_mb=most, tell=told.append)
        page = read(folder)
        assert (folder / "report.html").stat().st_size <= most * 1e6
        kept = [a["aria-label"] for a in page.drawings]
        pointed = [text for text in page.text if text.startswith("Left out for the page's size: figures/")]
        assert len(kept) + len(pointed) == len(page.all("figcaption"))
        assert (folder / pointed[0].split(": ")[1]).is_file() if pointed else most > 0.6
        assert_drawings(page)
    assert len(pointed) > 3
    assert told[-1].startswith("report.html has 0.")
    assert f"so that figures/ alone has {len(pointed)} of them." in told[-1]
    del told[:]
    build(folder, max_mb=0.01, tell=told.append)
    size = (folder / "report.html").stat().st_size
    assert read(folder).drawings == []
    line = told[-1]
    assert line.endswith("This is the least that this study's page can have, though 0.01 MB were asked for.")
    least = float(re.search(r"report.html has ([\d.]+) MB", line)[1])
    assert size <= least * 1e6 < size + 10_001
    build(folder, max_mb=least, tell=told.append)
    assert (folder / "report.html").stat().st_size <= least * 1e6


def test_rebuilding_gives_the_same_bytes(new_study, tmp_path):
    study = new_study(n=50)
    run = study.add(study.truth, silhouette_reference=0.4, silhouette_native=0.5, rank=1, stability_ari=0.9)
    study.recommend(run)
    study.planes = {"pca-1": ("all > pca", study.scaled[:, :2], [run])}
    folder = study.write(tmp_path)
    first = build(folder).read_bytes()
    assert build(folder).read_bytes() == first


def test_hostile_names_are_inert_and_literal(new_study, tmp_path):
    columns = (HOSTILE, "plain", "=1+1", "long " * 40, "名前", "شريحة", "two\nlines")
    study = new_study(n=80, columns=columns)
    for i, name in enumerate([HOSTILE, "b|c", "$$"]):
        values = {
            "silhouette_reference": 0.3 + i / 10,
            "silhouette_native": 0.4,
            "stability_ari": 0.8,
            "inertia": 3.0 - i,
        }
        last = study.add(
            study.truth,
            scaler=name,
            projection=f"<b>{i}",
            **values,
            **{"clusterer.n_clusters": 3 + i % 2, "stability_jaccard": "[0.9, 0.8]", "rank": 3 - i},
        )
    study.add(status="failed", reason=HOSTILE, clusterer=HOSTILE)
    study.recommend(last)
    study.profiled = last
    study.planes = {HOSTILE: (HOSTILE, study.scaled[:, :2], [last])}
    study.study |= {"experiment": HOSTILE, "question": HOSTILE}
    study.provenance["data"] |= {"warnings": [HOSTILE], "source": HOSTILE}
    study.provenance["command"] = f"segkit sweep x='{HOSTILE}'"
    build(study.write(tmp_path))
    page = assert_sound(tmp_path)
    assert len(page.all("b")) == len(page.all("article"))
    assert HOSTILE in "".join(page.text)
    assert "49" not in next(t for t in page.text if "{{" in t)
    markdown = (tmp_path / "summary.md").read_text(encoding="utf-8")
    outside = re.sub(r"(`+).*?\1", "", markdown)
    assert "<" not in outside
    assert not re.search(r"(?<!\\)\]\(", outside)
    assert "://" not in outside


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<i>", "&lt;i&gt;"),
        ("&lt;", "&amp;lt;"),
        ("[a](b)", r"\[a\](b)"),
        ("clusterer.n_clusters", "clusterer.n_clusters"),
        ("_a_", r"\_a\_"),
        ("a\n# b", r"a \# b"),
        ("@team https://x.y", "&#64;team https&#58;//x.y"),
    ],
)
def test_markdown_is_escaped(given, shown):
    assert escaped(given) == shown


def test_a_code_span_cannot_be_left():
    assert code("a `b` ``c``") == "``` a `b` ``c`` ```"
    assert code("plain") == "`plain`"


def one_run(study, **values):
    run = study.add(study.truth, silhouette_reference=0.4, silhouette_native=0.5, stability_ari=0.9, **values)
    study.profiled = run
    return run


def test_one_run(new_study, tmp_path):
    study = new_study(n=60)
    study.recommend(one_run(study, rank=1))
    build(study.write(tmp_path))
    text = "".join(assert_sound(tmp_path).text)
    assert "with 5 segments: the only run, and it passes every gate." in text
    assert "There are no embeddings to draw." in text


def test_nothing_eligible(new_study, tmp_path):
    study = new_study(n=60)
    for k in (3, 4):
        one_run(study, **{"clusterer.n_clusters": k})
    study.recommend(None)
    build(study.write(tmp_path))
    text = "".join(assert_sound(tmp_path).text)
    assert "None of the 2 runs that came through passes every gate. The nearest is shown" in text
    assert "0 of 2 runs" in text


def test_everything_failed(new_study, tmp_path):
    study = new_study(n=60)
    for _ in range(3):
        study.add(status="failed", reason="MemoryError: no room")
    study.recommend(None)
    build(study.write(tmp_path))
    text = "".join(assert_sound(tmp_path).text)
    assert "None of the 3 runs came through" in text
    assert "3 failed of 3 runs, for 1 reason." in text


def test_no_runs_at_all(new_study, tmp_path):
    study = new_study(n=60)
    run = one_run(study)
    folder = study.write(tmp_path)
    table = study.table()
    table[table["run"] != run].to_parquet(folder / "runs.parquet")
    build(folder)
    assert "The study has no runs." in "".join(assert_sound(folder).text)


def test_only_noise(new_study, tmp_path):
    study = new_study(n=60)
    for eps in (0.1, 0.2):
        study.profiled = study.add(np.full(60, -1), clusterer="dbscan", **{"clusterer.eps": eps})
    study.recommend(None)
    study.planes = {"pca-1": ("all > pca", study.scaled[:, :2], [study.profiled])}
    build(study.write(tmp_path))
    text = "".join(assert_sound(tmp_path).text)
    assert "left every customer out as noise" in text
    assert "No run has a score, so that no choice can be weighed." in text
    assert "The reference silhouette of every run; all 2 came through." in text
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "Segments have the numbers of" in summary
    assert "Each feature: the segment's" not in summary


def test_forty_clusters_and_three_hundred_features(new_study, tmp_path):
    study = new_study(n=400, columns=tuple(f"feature_{i:03d}_with_a_rather_long_name_that_goes_on" for i in range(300)))
    labels = np.sort(np.arange(400) % 40)
    jaccards = str([0.5 + i / 100 for i in range(40)])
    values = {"silhouette_reference": 0.2, "silhouette_native": 0.3, "stability_ari": 0.5, "rank": 1}
    run = study.add(labels, stability_jaccard=jaccards, stability_jaccard_min=0.5, **values)
    study.recommend(run)
    study.profiled = run
    study.planes = {"pca-1": ("all > pca", study.scaled[:, :2], [run])}
    build(study.write(tmp_path))
    text = "".join(assert_sound(tmp_path).text)
    assert "The 25 features with the largest spread, of 300." in text
    assert set(re.findall(r"Segment (\d+)", text)) >= {"0", "39"}
    assert "Segment 40" not in text
