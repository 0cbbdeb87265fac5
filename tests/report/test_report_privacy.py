"""A page that may leave the house: no customer's id, and nothing that fewer than five customers have."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode
from html import unescape

import numpy as np
import pandas as pd
import pytest

from segkit.report import build, figures
from segkit.report.discreet import discreet, left_out
from segkit.report.files import Files
from segkit.report.gather import gather
from segkit.report.payload.few import coarse, column_of, is_value
from segkit.report.payload.material import read_material
from segkit.report.payload.portraits import FEWEST
from segkit.report.sections import sections
from segkit.segments.profiles import profile

COLUMNS = ("SPENT", "PAID", "RARE", "AGE", "VISITS")
# Of one customer alone: its values, its town, and its share in what the study says of the data.
LONE = 987654.321
PAIR = (444555.666, 446555.666)
TOWN = "Markerville"
QUOTED = "Jane Quoted"
CONSTANT = 77123.456
N, ALONE, SECOND = 200, 7, 31


@pytest.fixture(scope="module")
def marked(new_study, tmp_path_factory):
    """A study in which a customer is a segment of its own, two alone have a value, and one alone lives in its town."""
    study = new_study(n=N, columns=COLUMNS)
    study.frame["TOWN"] = np.where(np.arange(N) % 2, "Aville", "Btown")
    study.frame.loc[ALONE, ["SPENT", "PAID"]] = LONE
    study.frame.loc[SECOND, "TOWN"] = TOWN
    study.frame["RARE"] = np.nan
    study.frame.loc[[40, 41], "RARE"] = PAIR
    labels = np.where(np.arange(N) < 120, 0, 1)
    labels[ALONE], labels[[150, 151, 152]] = 2, -1
    values = {"silhouette_reference": 0.4, "silhouette_native": 0.5, "stability_ari": 0.9, "rank": 1}
    run = study.add(labels, stability_jaccard="[0.9, 0.8, 0.31]", stability_jaccard_min=0.31, **values)
    study.add(status="failed", reason=f"projection: ValueError: could not convert '{QUOTED}'", projection="umap")
    study.recommend(run)
    study.profiled = run
    study.planes = {"umap-1": ("all > umap", study.scaled[:, :2], [run])}
    names = [*COLUMNS, "TOWN=Aville", "TOWN=Btown", f"TOWN={TOWN}"]
    study.provenance["data"] |= {
        "columns": [*COLUMNS, "TOWN"],
        "missing": {"RARE": N - 2},
        "warnings": [f"customers.csv: column 'CODE' is left out: constant ({CONSTANT})"],
        "variance_shares": {"all/power": dict.fromkeys(names, 1 / len(names))},
    }
    folder = study.write(tmp_path_factory.mktemp("marked") / "study")
    pd.DataFrame({"id": study.ids, **study.frame}).to_parquet(folder / "customers.parquet", index=False)
    told = pd.DataFrame({"id": study.ids, "row": np.arange(N), run: np.linspace(-0.43219, 0.98765, N)})
    told.to_parquet(folder / "silhouettes.parquet", index=False)
    return study, run, folder


def told_in_all(folder, customers):
    """Return the page's own text, its data opened, and the summary."""
    page = build(folder, customers=customers).read_text(encoding="utf-8")
    blocks = re.findall(r'<script type="text/plain" id="data-(\w+)">([\w+/=]+)</script>', page)
    opened = {name: gzip.decompress(b64decode(text)).decode("utf-8", "replace") for name, text in blocks}
    shown = unescape(re.sub(r"<wbr>|</?script.*?>|<style>.*?</style>", "", page))
    return {"page": shown, "summary": (folder / "summary.md").read_text(encoding="utf-8"), **opened}


def arguments(value):
    """Yield every array of numbers and every text that a figure is drawn from."""
    if isinstance(value, pd.DataFrame):
        yield from map(str, [*value.columns, *value.index])
        for _, column in value.items():
            yield from arguments(column.to_numpy())
    elif isinstance(value, np.ndarray):
        yield from [value] if value.dtype.kind in "iuf" else map(str, value.ravel())
    elif isinstance(value, dict):
        yield from arguments(list(value.items()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from arguments(item)
    elif hasattr(value, "__dict__"):
        yield from arguments(vars(value))
    elif isinstance(value, str):
        yield value


def drawn(summary):
    return {block.name: block.draw for section in sections(summary) for block in section.blocks if block.kind == "plot"}


MARKS = {
    "alone": r"987[,.]?654|988[,.]?000|9\.8[78]\d*e",
    "pair": r"(?<![\d.])44[456],?\d{3}",
    "town": TOWN,
    "error": QUOTED,
    "constant": r"77[,.]?123|77[,.]?100",
    "id": r"C00\d\d\d",
}


def test_nothing_of_single_customers_is_in_a_page_without_customers(marked):
    told = told_in_all(marked[2], customers=False)
    assert set(told) == {"page", "summary", "meta", "runs", "labels", "planes"}
    for where, text in told.items():
        found = {name: re.findall(mark, text) for name, mark in MARKS.items()}
        assert not {name: hits for name, hits in found.items() if hits}, where
    names = {path.stem for path in (marked[2] / "figures").iterdir()}
    assert not {"two_features", "pairs"} & names
    assert {"profiles", "silhouettes", "segments_map", "variance", "correlations"} <= names


def test_with_customers_it_is_all_there(marked):
    told = told_in_all(marked[2], customers=True)
    everything = "\n".join(told.values())
    assert not [name for name, mark in MARKS.items() if not re.search(mark, everything)]
    for name in ("alone", "pair", "error", "constant"):
        assert re.search(MARKS[name], told["page"]), name
    assert re.search(MARKS["constant"], told["summary"])
    assert re.search(MARKS["id"], told["ids"])
    assert "report.customers=false" not in told["page"]


def test_no_figure_is_drawn_from_a_customers_values_or_from_a_small_segment(marked):
    _, run, folder = marked
    own = pd.read_parquet(folder / "silhouettes.parquet")[run].to_numpy()
    for name, draw in drawn(gather(folder, {"customers": False})).items():
        for value in arguments(draw.arguments):
            if isinstance(value, str):
                assert not re.search("|".join(MARKS.values()), value), name
            else:
                assert not np.isclose(np.asarray(value, float)[..., None], [LONE, *PAIR, CONSTANT]).any(), name
    shown = drawn(gather(folder, {"customers": False}))["silhouettes"]
    assert shown.arguments[-1] == FEWEST
    assert set(shown.arguments[0]["segment"]) == {0, 1}
    x = np.concatenate([path.vertices[:, 0] for area in shown().axes[0].collections for path in area.get_paths()])
    means = {label: own[np.array(marked[0].partitions[run]) == label].mean() for label in (0, 1)}
    assert np.isclose(x[:, None], list(means.values())).any(axis=0).all()
    assert not np.isclose(x[:, None], own[[0, 60, 199]], atol=1e-9).any()


def test_small_segments_are_told_by_their_size_and_why(marked):
    summary = gather(marked[2], {"customers": False})
    section = sections(summary)[2]
    cards = next(block for block in section.blocks if block.kind == "cards")
    small, medians = (block for block in section.blocks if block.kind == "table")
    assert [card.segment for card in cards.cards] == [0, 1]
    assert [row[:3] for row in small.rows] == [["Segment 2", "1", "0.5%"], ["Noise", "3", "1.5%"]]
    assert small.rows[0][3].startswith("Jaccard 0.31")
    assert "hidden: fewer than 5 customers" in small.caption
    assert medians.head == ["Feature", "Segment 0", "Segment 1", "All"]
    assert next(row for row in medians.rows if row[0] == "RARE")[1:3] == ["–", "–"]
    segments = read_material(summary).portraits[0]["segments"]
    assert [told["name"] for told in segments] == ["Segment 0", "Segment 1", *["Hidden: fewer than 5 customers"] * 2]
    assert [told["n"] for told in segments] == [119, 77, 1, 3]
    everybody = sections(gather(marked[2]))[2].blocks[0].cards
    assert [card.segment for card in everybody] == [0, 1, 2, -1]


def test_the_page_says_once_what_it_leaves_out(marked):
    told = sections(gather(marked[2], {"customers": False}))
    texts = [getattr(block, "text", "") for section in told for block in section.blocks]
    said = [text for text in texts if "report.customers=false" in text]
    assert said == [told[6].blocks[0].text]
    assert "here Segment 2 and Noise of the run told in depth" in said[0]
    assert left_out(gather(marked[2])) == ""
    reasons = next(block for block in told[7].blocks if block.kind == "table").rows
    assert [row[1] for row in reasons] == ["projection: ValueError"]
    assert "customers.csv: column 'CODE' is left out: constant" in texts


def test_summaries_have_three_digits_and_rare_values_are_put_together(marked):
    study, run, folder = marked
    summary = gather(folder, {"customers": False})
    told = discreet(summary)
    exact = study.frame.loc[np.array(study.partitions[run]) == 0, "AGE"].median()
    rounded = told.profile.set_index(["segment", "feature"]).loc[(0, "AGE")]
    assert rounded["median"] == float(f"{exact:.3g}") != exact
    assert rounded["z"] == round(rounded["z"], 1)
    towns = [name for name in told.profile["feature"].unique() if name.startswith("TOWN")]
    assert sorted(towns) == ["TOWN=Aville", "TOWN=Btown"]
    shares = told.variance.set_index("feature")["share"]
    assert shares.sum() == pytest.approx(1)
    assert list(shares.index) == [*COLUMNS, "TOWN=Aville", "TOWN=Btown", "TOWN=(other)"]
    whole = gather(folder)
    assert discreet(whole) is whole


# who is known to have a value


@pytest.fixture
def holes(new_study, tmp_path):
    """Six customers of a segment of fifty have a value of A, all but six of a segment of ten one of B."""
    study = new_study(n=60, columns=("A", "B"))
    labels = np.repeat([0, 1], [50, 10])
    study.frame.loc[6:, "A"] = np.nan
    study.frame.loc[54:, "B"] = np.nan
    run = study.add(labels, silhouette_reference=0.4)
    study.recommend(None)
    study.profiled = run
    study.provenance["data"] |= {"columns": ["A", "B"], "missing": {"A": 54, "B": 6}}
    folder = study.write(tmp_path)
    pd.DataFrame({"id": study.ids, **study.frame}).to_parquet(folder / "customers.parquet", index=False)
    return study, run, folder


def known(study, run, folder, data):
    """Return the cells of a coarse profile that have values."""
    found = coarse(Files(folder), {run: profile(study.frame, study.partitions[run])}, data)
    return {(row.segment, row.feature) for row in found[run].itertuples() if row.median == row.median}


def test_values_are_counted_in_the_customers_and_else_bounded_by_the_missing_ones(holes):
    study, run, folder = holes
    data = study.provenance["data"]
    assert known(study, run, folder, data) == {(0, "A"), (0, "B")}
    assert known(study, run, folder, {}) == {(0, "A"), (0, "B")}
    drawn = pd.read_parquet(folder / "customers.parquet").iloc[2:]
    drawn.insert(1, "row", np.arange(2, 60))
    drawn.to_parquet(folder / "customers.parquet", index=False)
    assert known(study, run, folder, data) == {(0, "B")}
    (folder / "customers.parquet").unlink()
    assert known(study, run, folder, data) == {(0, "B")}
    assert known(study, run, folder, {}) == set()


def test_of_a_segment_without_enough_values_only_the_size_is_told(holes):
    study, _, folder = holes
    study.provenance["data"] |= {"missing": {"A": 54, "B": 56}}
    study.frame.loc[4:, :] = np.nan
    pd.DataFrame({"id": study.ids, **study.frame}).to_parquet(folder / "customers.parquet", index=False)
    study.write(folder)
    section = sections(gather(folder, {"customers": False}))[2]
    assert not {block.kind for block in section.blocks} & {"cards", "plot"}
    assert [row[:2] for row in section.blocks[0].rows] == [["Segment 0", "50"], ["Segment 1", "10"]]
    hidden = "hidden: fewer than 5 customers"
    assert section.answer == f"2 segments. Segment 0 (83%): {hidden}; Segment 1 (17%): {hidden}."
    build(folder, customers=False)


@pytest.mark.parametrize(
    ("feature", "column", "value"),
    [
        ("TOWN=A", "TOWN", True),
        ("TOWN=(other)", "TOWN", False),
        ("TOWN=B=C", "TOWN=B", True),
        ("TOWN=B", "TOWN=B", False),
        ("ratio", None, False),
        ("a=b", None, False),
        ("planted group=3", None, False),
    ],
)
def test_a_value_of_a_text_column_is_told_from_a_column(feature, column, value):
    columns = ["TOWN", "TOWN=B", "AGE"]
    assert column_of(feature, columns) == column
    assert is_value(feature, columns) is value
    assert is_value("a=b", [])


# pictures


def test_a_picture_of_two_features_is_these_features(marked, tmp_path):
    study, _, folder = marked
    few = {**study.provenance, "data": {**study.provenance["data"], "variance_shares": {"all/power": {"A": 1, "B": 0}}}}
    for path in folder.glob("*.*"):
        if path.suffix in (".parquet", ".yaml", ".json"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "provenance.json").write_text(json.dumps(few), encoding="utf-8")
    summary = gather(tmp_path, {"customers": False})
    assert not read_material(summary).planes
    assert not {"segments_map", "embeddings"} & set(drawn(summary))
    assert read_material(gather(tmp_path)).planes
    assert len(read_material(gather(folder, {"customers": False})).planes) == 1


@pytest.mark.parametrize("n", [5, 9, 23, 4_000])
def test_steps_of_a_silhouette_plot_are_means_of_five_or_more(n):
    values = np.sort(np.random.default_rng(n).uniform(-1, 1, n))
    table = pd.DataFrame({"segment": 0, "silhouette": values})
    (area,) = figures.silhouettes(table, 0.0, "power", 30, FEWEST).axes[0].collections[0].get_paths()
    x = np.unique(area.vertices[:, 0][area.vertices[:, 0] != 0])
    parts = np.array_split(values[::-1], min(n // 5, 240))
    assert np.allclose(x, np.unique([part.mean() for part in parts]))
    assert min(map(len, parts)) >= FEWEST
