"""The page's data, opened as the page opens it and held against the study's files."""

from __future__ import annotations

import gzip
import json
import struct
from base64 import b64decode
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from segkit.report import build
from segkit.report.gather import gather, widest
from segkit.report.leaderboard import leaderboard
from segkit.report.payload import BLOCKS, codec, payload
from segkit.report.payload import portraits as p
from segkit.report.payload.material import read_material
from segkit.segments.profiles import profile

HOSTILE = (
    *("</script><script>alert(1)</script>", "=cmd()", "${x}", "a'\"b", "[a](http://x.example)"),
    *("\u0630\u0647\u0628", "\u202etfel", "a\nb"),
)


class Opened:
    """The blocks, read with nothing but the standard library."""

    def __init__(self, blocks: dict[str, str]) -> None:
        self.raw = {name: gzip.decompress(b64decode(text)) for name, text in blocks.items()}
        self.meta = json.loads(self.raw["meta"])
        self.runs = json.loads(self.raw["runs"])
        self.m = self.meta["shown"]
        self.ids = json.loads(self.raw["ids"]) if "ids" in self.raw else None

    def labels(self, run: str) -> list[int]:
        place = next(entry["labels"] for entry in self.meta["runs"] if entry["run"] == run)
        told = self.meta["partitions"][place]
        assert told["offset"] % told["bytes"] == 0
        top = 256 ** told["bytes"] - 1
        found = struct.unpack_from(f"<{self.m}{'BH'[told['bytes'] - 1]}", self.raw["labels"], told["offset"])
        return [-1 if code == top else -2 if code == top - 1 else code for code in found]

    def plane(self, name: str) -> np.ndarray:
        told = next(plane for plane in self.meta["planes"] if plane["name"] == name)
        xy = struct.unpack_from(f"<{2 * self.m}H", self.raw["planes"], told["offset"])
        return np.array([xy[: self.m], xy[self.m :]], dtype=float).T

    def values(self, feature: str) -> list[float]:
        place = [told["name"] for told in self.meta["features"]].index(feature)
        knots = self.meta["features"][place]["knots"]
        codes = self.raw["values"][place * self.m : (place + 1) * self.m]
        return [np.nan if code == 255 else knots[code] for code in codes]


def write(study, folder: Path, customers: bool = True) -> Path:
    study.write(folder)
    if customers:
        frame = study.frame.copy()
        frame.insert(0, "id", study.ids)
        frame.to_parquet(folder / "customers.parquet", index=False)
    return folder


def opened(folder: Path, room: int | None = None, **given) -> Opened:
    return Opened(payload(gather(folder, given), room)[0])


@pytest.fixture(scope="module")
def folder(swept, tmp_path_factory) -> Path:
    study, _ = swept
    return write(study, tmp_path_factory.mktemp("payload"))


@pytest.fixture(scope="module")
def page(folder) -> Opened:
    return opened(folder)


def scored(study) -> set[str]:
    return {row["run"] for row in study.rows if row.get("silhouette_reference") is not None}


def rows_of(page: Opened, study) -> np.ndarray:
    place = {customer: row for row, customer in enumerate(study.ids)}
    return np.array([place[customer] for customer in page.ids])


# ------------------------------------------------------------------ a round trip


def test_the_blocks_are_those_of_the_contract(page, folder):
    assert set(page.raw) == set(BLOCKS)
    assert page.meta["version"] == 1
    assert (page.meta["customers"], page.meta["shown"], page.meta["sampled"], page.meta["cut"]) == (
        300,
        300,
        False,
        None,
    )
    assert page.meta["ids"]
    assert page.meta["values"]
    assert set(payload(gather(folder, {"customers": False}))[0]) == set(BLOCKS) - {"values", "ids"}


def test_every_customer_is_there_once_and_labels_are_exact(page, swept):
    study, _ = swept
    rows = rows_of(page, study)
    assert sorted(rows) == list(range(300))
    assert 55 <= len(page.meta["partitions"]) <= 60
    assert len(page.meta["runs"]) >= 60
    for entry in page.meta["runs"]:
        np.testing.assert_array_equal(page.labels(entry["run"]), study.partitions[entry["run"]][rows])
        partition = page.meta["partitions"][entry["labels"]]
        assert partition["clusters"] == study.partitions[entry["run"]].max() + 1


def test_a_partition_is_embedded_once(page, swept):
    study, _ = swept
    distinct = {study.partitions[entry["run"]].tobytes() for entry in page.meta["runs"]}
    assert len(page.meta["partitions"]) == len(distinct)
    assert len(page.raw["labels"]) == 300 * len(distinct)
    known = {run for run in study.partitions if study.partitions[run].tobytes() in distinct and run in scored(study)}
    assert {entry["run"] for entry in page.meta["runs"]} >= known
    standing = gather(swept[1]).runs["run"].tolist()
    order = [entry["run"] for entry in page.meta["runs"]]
    assert order == sorted(order, key=standing.index)


def test_planes_keep_their_shape(page, swept):
    study, _ = swept
    rows = rows_of(page, study)
    assert {plane["name"] for plane in page.meta["planes"]} == set(study.planes)
    for told in page.meta["planes"]:
        _, points, runs = study.planes[told["name"]]
        assert told["runs"] == runs
        found = page.plane(told["name"])
        scale = 65534 / np.ptp(points, axis=0).max()
        shift = found - points[rows] * scale
        # The same scale on both axes: each differs from the study's by a constant and rounding.
        assert np.ptp(shift, axis=0).max() <= 1.0 + 1e-6
        assert found.min() >= 0
        assert found.max() <= 65534
        assert np.ptp(found, axis=0).max() == pytest.approx(65534, abs=1)
        middle = (found.min(axis=0) + found.max(axis=0)) / 2
        np.testing.assert_allclose(middle, 32767, atol=1)


def test_the_first_plane_is_that_of_the_best_run_and_gives_the_order(page, swept):
    summary = gather(swept[1])
    first = page.meta["planes"][0]
    assert first["name"] == summary.plane.name
    along = codec.hilbert(*page.plane(first["name"]).T)
    assert (np.diff(along) >= 0).all()


def test_values_come_back_within_a_quantile_step(page, swept):
    study, _ = swept
    rows = rows_of(page, study)
    assert {told["name"] for told in page.meta["features"]} == set(study.frame.columns)
    for name in study.frame:
        true = study.frame[name].to_numpy()[rows]
        found = np.array(page.values(name))
        ranks = np.sort(true)
        off = np.searchsorted(ranks, found, "right") - np.searchsorted(ranks, true, "right")
        assert np.abs(off).max() <= 2
        assert np.isin(found, true).all()


def test_everybodys_quartiles_are_exact(page, swept):
    frame = swept[0].frame
    for told in page.meta["features"]:
        true = np.quantile(frame[told["name"]], [0.25, 0.5, 0.75])
        np.testing.assert_allclose(told["quartiles"], true, rtol=1e-4)
        steps = np.abs(np.subtract.outer(np.array(told["knots"], float), true)).min(axis=0)
        assert steps.max() > 1e-4 * np.abs(true).max()


def test_profiles_are_those_of_all_customers(page, swept):
    study, _ = swept
    first = {entry["labels"]: entry["run"] for entry in reversed(page.meta["runs"])}
    assert set(page.meta["profiles"]) == set(first.values())
    for run, told in page.meta["profiles"].items():
        true = profile(study.frame, study.partitions[run]).set_index(["segment", "feature"])
        assert sum(segment["share"] for segment in told["segments"]) == pytest.approx(1, abs=1e-5)
        found = [segment["segment"] for segment in told["segments"]]
        assert found == sorted(found, key=lambda segment: (segment < 0, segment))
        for i, segment in enumerate(told["segments"]):
            assert segment["n"] == true.loc[(segment["segment"], told["features"][0]), "n"]
            part = true.loc[segment["segment"]].loc[told["features"]]
            np.testing.assert_allclose(np.array(told["z"][i], float), part["z"], atol=6e-4, rtol=1e-3)
            for name in ("median", "q25", "q75"):
                np.testing.assert_allclose(np.array(told[name][i], float), part[name], rtol=1e-4)


def test_agreement_is_the_adjusted_rand_index_with_noise_as_a_group(page, swept):
    study, _ = swept
    runs, matrix = page.meta["agreement"]["runs"], page.meta["agreement"]["ari"]
    for i in range(0, len(runs), 7):
        for j in range(i, len(runs), 5):
            true = adjusted_rand_score(study.partitions[runs[i]], study.partitions[runs[j]])
            assert matrix[i][j] == matrix[j][i] == pytest.approx(true, abs=1e-4)


def test_the_leaderboard_is_whole_and_exact(page, swept):
    board = gather(swept[1]).runs
    assert page.runs["run"] == board["run"].tolist()
    assert page.runs["status"] == board["status"].tolist()
    names = [column["name"] for column in page.meta["columns"]]
    assert len(names) == len(set(names))
    for column in page.meta["columns"]:
        assert set(column) >= {"name", "title", "hint", "kind", "first", "digits", "bar"}
        assert column["first"] in ("asc", "desc")
        values = page.runs[column["name"]]
        assert len(values) == len(board)
        if column["kind"] == "number":
            np.testing.assert_allclose(
                np.array(values, float), board[column["name"]].to_numpy(float, na_value=np.nan), rtol=1e-5
            )
    for name in ("eligible", "pareto"):
        assert page.runs[name] == board[name].tolist()


def test_parameters_in_which_runs_differ_come_back(page, swept):
    board = gather(swept[1]).runs
    coded = {name[2:]: told for name, told in page.runs.items() if name.startswith("p:")}
    assert {"scaler", "clusterer.n_clusters", "clusterer.eps"} <= set(coded)
    assert "data" not in coded
    for name, told in coded.items():
        for code, value in zip(told["codes"], board[name], strict=True):
            assert told["values"][code] == (None if pd.isna(value) else value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["ward", "ward", "ward"], None),
        (["ward", None, None], ["ward", None]),
        ([1, 2, None], [1, 2, None]),
        ([1, 1.5, 1], [1, 1.5]),
        ([None, None, None], None),
    ],
)
def test_a_parameter_that_only_some_runs_have_is_told(new_study, tmp_path, values, told):
    study = new_study(n=60)
    runs = [
        study.add(
            study.truth % 3, rank=place, silhouette_reference=0.3, stability_ari=0.5, **{"clusterer.of_some": value}
        )
        for place, value in enumerate(values, start=1)
    ]
    study.recommend(runs[0])
    found = opened(write(study, tmp_path / "study")).runs.get("p:clusterer.of_some")
    assert (found and set(found["values"])) == (told and set(told))


def test_titles_and_order_are_the_static_leaderboards(page, swept):
    board = leaderboard(gather(swept[1]))
    static = {column.title: i for i, column in enumerate(board.columns)}
    shared = [column for column in page.meta["columns"] if column["title"] in static and column["kind"] == "number"]
    assert len(shared) >= 8
    for column in shared:
        cells = [cells[static[column["title"]]].value for *_, cells in board.rows]
        found = page.runs[column["name"]][: len(cells)]
        assert [value is None for value in found] == [cell == "" for cell in cells]
        np.testing.assert_allclose(
            [value for value in found if value is not None], [float(cell) for cell in cells if cell], rtol=1e-4
        )


def test_two_builds_give_the_same_bytes(folder):
    assert payload(gather(folder)) == payload(gather(folder))


# ------------------------------------------------------------------ pages that leave the house


def test_without_customers_no_value_and_no_id_is_in_the_page(new_study, tmp_path):
    study = new_study()
    scores = {"silhouette_native": 0.6, "davies_bouldin_reference": 1.0, "stability_ari": 0.8}
    runs = [
        study.add(study.truth % k, silhouette_reference=0.1 * k, projection="umap", rank=k, weight_share=0.5, **scores)
        for k in (2, 3, 4, 5)
    ]
    study.recommend(runs[0], runs[1])
    study.planes = {"umap-1": ("all > umap", study.scaled[:, :2], runs)}
    write(study, tmp_path)
    blocks = payload(gather(tmp_path, {"customers": False}))[0]
    assert not {"values", "ids"} & set(blocks)
    shown = Opened(blocks)
    assert shown.meta["features"] == []
    assert (shown.meta["ids"], shown.meta["values"]) == (False, False)
    assert shown.meta["shown"] == 300
    texts = [raw.decode("latin-1") for raw in shown.raw.values()]
    texts.append(build(tmp_path, customers=False).read_text(encoding="utf-8"))
    assert texts[-1].count('class="drawing"') > 4
    for text in texts:
        assert not [customer for customer in study.ids if customer in text]
        assert not [value for value in study.frame.to_numpy().ravel() if str(value)[:9] in text]


def test_without_customers_small_segments_are_not_described(new_study, tmp_path):
    study = new_study(n=60)
    labels = np.zeros(60, int)
    labels[:4], labels[4:10] = 2, 1
    run = study.add(labels, silhouette_reference=0.4)
    study.recommend(None)
    told = opened(write(study, tmp_path), customers=False).meta["profiles"][run]
    assert [segment["n"] for segment in told["segments"]] == [50, 6, 4]
    for name in ("z", "median", "q25", "q75"):
        assert told[name][2] == [None] * 8
        assert None not in told[name][0] + told[name][1]
    assert None not in opened(tmp_path).meta["profiles"][run]["median"][2]


# ------------------------------------------------------------------ size


def test_the_size_is_kept_by_leaving_out_segments_and_pictures_never_runs(folder):
    summary = gather(folder)
    whole, none = payload(summary)
    assert none is None
    sizes = {name: len(text) for name, text in whole.items()}
    total, before = sum(sizes.values()), (61, 99)
    for room in (int(total * 0.85), int(total * 0.6), int(total * 0.4), sizes["runs"] + 5_000):
        blocks, cut = payload(summary, room)
        page = Opened(blocks)
        assert sum(map(len, blocks.values())) <= room
        assert page.meta["cut"] == cut
        assert cut.startswith("To keep the page within 5 MB it holds ")
        assert page.runs["run"] == summary.runs["run"].tolist()
        kept = (len(page.meta["partitions"]), len(page.meta["planes"]))
        assert kept < before
        assert kept[0] == 0 or page.meta["runs"][0]["run"] == summary.best
        before = kept
    assert f"{before[0]} of 60 segmentations" in cut


def test_with_no_room_at_all_the_leaderboard_is_left(folder):
    blocks, cut = payload(gather(folder), 0)
    page = Opened(blocks)
    assert len(page.runs["run"]) == len(gather(folder).runs)
    assert (page.meta["runs"], page.meta["planes"], page.meta["profiles"]) == ([], [], {})
    assert cut == (
        "Asked to keep to 5 MB, the page holds 0 of 60 segmentations, 0 of 12 pictures, "
        "0 of 8 features' values and no customer's id; the leaderboard is whole."
    )


def test_features_that_set_segments_apart_stay_longest(folder):
    summary = gather(folder)
    found = read_material(summary)
    assert [told["name"] for told, _ in found.features] == widest(summary.profile)


# ------------------------------------------------------------------ all kinds of studies


def test_one_run(new_study, tmp_path):
    study = new_study(n=40)
    run = study.add(study.truth, silhouette_reference=0.5)
    study.recommend(None)
    page = opened(write(study, tmp_path))
    assert page.meta["best"] == run
    assert page.meta["agreement"] is None
    assert page.meta["planes"] == []
    assert page.meta["profiles"][run]["segments"]
    np.testing.assert_array_equal(page.labels(run), study.truth[rows_of(page, study)])


def test_all_failed(new_study, tmp_path):
    study = new_study(n=40)
    for _ in range(3):
        study.add(status="failed", reason="ValueError: no")
    study.recommend(None)
    page = opened(write(study, tmp_path))
    assert page.meta["best"] is None
    assert page.meta["runs"] == page.meta["partitions"] == page.meta["planes"] == []
    assert page.runs["status"] == ["failed"] * 3
    assert len(page.ids) == 40


def test_only_noise_and_customers_left_out(new_study, tmp_path):
    study = new_study(n=40)
    run = study.add(np.full(40, -1))
    labels = pd.array(np.where(np.arange(40) < 5, -1, 0), dtype="Int16")
    labels[7:20] = pd.NA
    study.partitions[other := study.add(np.zeros(40, int))] = labels
    study.recommend(None)
    page = opened(write(study, tmp_path))
    assert page.labels(run) == [-1] * 40
    assert page.meta["partitions"][0]["clusters"] in (0, 1)
    true = labels.fillna(-2).to_numpy(int)[rows_of(page, study)]
    np.testing.assert_array_equal(page.labels(other), true)
    told = page.meta["profiles"][other]["segments"]
    assert [(segment["segment"], segment["n"]) for segment in told] == [(0, 22), (-1, 5)]


@pytest.mark.parametrize(("clusters", "size"), [(254, 1), (255, 2), (300, 2)])
def test_many_clusters_take_two_bytes(new_study, tmp_path, clusters, size):
    study = new_study(n=601)
    labels = np.arange(601) % (clusters + 1) - 1
    few = study.add(study.truth, silhouette_reference=0.9)
    run = study.add(labels, silhouette_reference=0.5)
    study.recommend(None)
    study.planes = {"pca-1": ("all > pca", study.scaled[:, :2], [run])}
    page = opened(write(study, tmp_path))
    rows = rows_of(page, study)
    assert [told["bytes"] for told in page.meta["partitions"]] == [1, size]
    np.testing.assert_array_equal(page.labels(run), labels[rows])
    np.testing.assert_array_equal(page.labels(few), study.truth[rows])


def test_hostile_names_and_ids_come_back_literally_and_cannot_leave_their_block(new_study, tmp_path):
    study = new_study(n=40, columns=HOSTILE)
    study.ids = np.array([f"{HOSTILE[i % len(HOSTILE)]}{i}" for i in range(40)])
    study.add(study.truth, silhouette_reference=0.5, scaler=HOSTILE[0])
    study.recommend(None)
    page = opened(write(study, tmp_path))
    assert sorted(page.ids) == sorted(study.ids)
    assert {told["name"] for told in page.meta["features"]} == set(HOSTILE)
    assert HOSTILE[0] in page.runs["scaler_label"][0]
    text = build(tmp_path).read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    for name in BLOCKS:
        inside = text.partition(f'id="data-{name}">')[2].partition("<")[0].strip()
        assert gzip.decompress(b64decode(inside, validate=True)) == page.raw[name]


def test_text_and_flags_are_features_of_0_and_1(new_study, tmp_path):
    study = new_study(n=60)
    study.frame["plan"] = np.where(np.arange(60) % 3 == 0, "gold", "basic")
    study.frame.loc[5, "plan"] = None
    study.frame["active"] = np.arange(60) % 2 == 0
    study.frame["never"] = np.nan
    study.add(study.truth, silhouette_reference=0.5)
    study.recommend(None)
    page = opened(write(study, tmp_path))
    rows = rows_of(page, study)
    gold = np.where(study.frame["plan"].isna(), np.nan, study.frame["plan"] == "gold")[rows]
    np.testing.assert_array_equal(page.values("plan=gold"), gold.astype(float))
    np.testing.assert_array_equal(page.values("active"), study.frame["active"].to_numpy(float)[rows])
    never = next(told for told in page.meta["features"] if told["name"] == "never")
    assert never["knots"] is None
    assert len(page.raw["values"]) == 60 * len(page.meta["features"])


def test_an_older_study_has_no_values(swept):
    study, folder = swept
    page = opened(folder)
    assert not page.meta["values"]
    assert page.meta["ids"]
    assert page.meta["features"] == []
    assert list(page.meta["profiles"]) == [study.profiled]


def test_of_many_customers_some_are_drawn_and_profiles_are_of_all(new_study, tmp_path):
    study = new_study(n=60_000, columns=("a", "b"))
    labels = np.where(np.arange(60_000) < 40, 1, 0)
    study.profiled = run = study.add(labels, silhouette_reference=0.5)
    study.planes = {"pca-1": ("all > pca", study.scaled, [run])}
    study.recommend(None)
    write(study, tmp_path, customers=False)
    page = opened(tmp_path)
    assert (page.meta["customers"], page.meta["shown"], page.meta["sampled"]) == (60_000, 50_000, True)
    frame = study.frame.assign(id=study.ids, row=np.arange(60_000))[["id", "row", "a", "b"]]
    drawn = np.sort(np.random.default_rng(1).permutation(60_000)[:300])
    frame.iloc[drawn].to_parquet(tmp_path / "customers.parquet", index=False)
    page = opened(tmp_path)
    assert (page.meta["shown"], page.meta["sampled"]) == (300, True)
    rows = rows_of(page, study)
    assert sorted(rows) == drawn.tolist()
    np.testing.assert_array_equal(page.labels(run), labels[rows])
    off = np.array(page.values("a")) - study.frame["a"].to_numpy()[rows]
    assert np.median(np.abs(off)) < 0.01
    assert [segment["n"] for segment in page.meta["profiles"][run]["segments"]] == [59_960, 40]


def test_a_wide_profile_keeps_the_features_that_differ_most():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(2_000, 90)), columns=[f"f{i}" for i in range(90)])
    labels = np.arange(2_000) % 400
    frame["f7"] += labels
    told = p.portrait(profile(frame, labels), exact=True, everybody={})
    assert len(told["features"]) == p.MOST_CELLS // 400
    assert "f7" in told["features"]
    assert told["features"] == sorted(told["features"], key=lambda name: int(name[1:]))
    assert len(told["z"]) == 400


# ------------------------------------------------------------------ codes


def test_the_curve_visits_every_cell_and_only_neighbours():
    side = np.arange(16)
    x, y = (grid.ravel() << 12 for grid in np.meshgrid(side, side))
    order = np.argsort(codec.hilbert(x, y), kind="stable")
    steps = np.abs(np.diff(x[order] >> 12)) + np.abs(np.diff(y[order] >> 12))
    assert len(np.unique(codec.hilbert(x, y))) == 256
    assert (steps == 1).all()
    # Neighbours on the curve are nearer than in an order by columns.
    points = np.column_stack([x, y])[order]
    assert cdist(points, points).diagonal(8).mean() < cdist(np.sort(points, axis=0), points).diagonal(8).mean() * 2


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).lognormal(size=5_000),
        np.where(np.arange(5_000) % 5 < 3, 0.0, np.random.default_rng(1).normal(size=5_000)),
        np.random.default_rng(2).poisson(3, 5_000).astype(float),
        np.r_[np.arange(254).repeat(19), np.linspace(300, 301, 174)],
        np.r_[np.zeros(4_999), 7.0],
        np.full(9, 3.5),
        np.array([1e300, -1e300, 0.1, 1e-300]),
        np.r_[np.nan, np.arange(400.0), np.nan],
    ],
)
def test_quantile_codes_are_off_by_no_more_than_a_step(values):
    codes, knots = codec.quantile_codes(values)
    here = ~np.isnan(values)
    assert len(knots) == 255
    assert (np.diff(np.array(knots, float)) >= 0).all()
    assert (codes[~here] == 255).all()
    assert (codes[here] < 255).all()
    found, true = np.array(knots, float)[codes[here]], values[here]
    assert found.min() == true.min()
    assert found.max() == true.max()
    if len(np.unique(true)) <= 255:
        np.testing.assert_allclose(found, true, rtol=0)
    ordered = np.sort(true)
    low, high = np.minimum(found, true), np.maximum(found, true)
    between = np.maximum(np.searchsorted(ordered, high, "left") - np.searchsorted(ordered, low, "right"), 0)
    rest = sum(count for count in np.unique(true, return_counts=True)[1] if count * 250 <= len(true))
    assert between.max() <= 1 + 2 * max(rest, 1) / 5


def test_nothing_to_code():
    codes, knots = codec.quantile_codes(np.full(4, np.nan))
    assert codes.tolist() == [255] * 4
    assert knots is None


def test_a_plane_of_one_point_or_none():
    x, y = codec.plane_codes(np.array([[2.0, 3.0], [2.0, 3.0], [np.nan, 1.0]]))
    assert (x.tolist(), y.tolist()) == ([32767, 32767, 65535], [32767, 32767, 65535])
    x, _ = codec.plane_codes(np.full((3, 2), np.nan))
    assert x.tolist() == [65535] * 3


def test_more_clusters_than_two_bytes_can_number_are_refused():
    with pytest.raises(ValueError, match="65534"):
        codec.label_codes(np.arange(65_536))


def test_a_dictionary_tells_1_from_true_and_text():
    told = codec.dictionary([1, True, "1", None, 1])
    assert told == {"values": [1, True, "1", None], "codes": [0, 1, 2, 3, 0]}
