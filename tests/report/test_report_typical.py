"""Features that are 0 or 1 are told by shares, and the values of a text column by their sum."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from segkit.report import build, gather, typical, words
from segkit.report.payload import payload
from segkit.report.render import markdown
from segkit.report.sections import sections


@pytest.fixture
def flagged(new_study, tmp_path):
    study = new_study(n=200)
    study.frame["flag"] = (np.arange(200) % 5 < np.where(study.truth == 0, 4, 1)).astype(float)
    study.frame["plan"] = np.where(np.arange(200) % 3 == study.truth % 3, "x", "y")
    run = study.add(study.truth, silhouette_reference=0.4, stability_ari=0.9, rank=1)
    study.recommend(run)
    study.profiled = run
    data = study.provenance["data"]
    data["columns"] = list(study.frame)
    shares = {**dict.fromkeys(study.frame.columns[:8], 0.05), "flag": 0.1, "plan=x": 0.3, "plan=y": 0.2}
    data["variance_shares"] = {"all/power": shares}
    return study, run, study.write(tmp_path / "study")


def block(summary, slug, kind, **more):
    found = [b for s in sections(summary) if s.slug == slug for b in s.blocks if b.kind == kind]
    return next(b for b in found if all(getattr(b, name) == value for name, value in more.items()))


def test_a_flag_is_told_by_the_share_that_has_it(flagged):
    study, _, folder = flagged
    summary = gather.gather(folder)
    own = words.percent(study.frame.loc[study.truth == 0, "flag"].mean())
    told = f"{own} against {words.percent(study.frame['flag'].mean())}"
    card = block(summary, "segments", "cards").cards[0]
    assert {name: shown for name, _, shown in card.high}["flag"] == told
    shown = [(name, text) for c in block(summary, "segments", "cards").cards for name, _, text in (*c.high, *c.low)]
    assert not [name for name, text in shown if "%" in text and name not in ("flag", "plan=x", "plan=y")]
    table = block(summary, "segments", "table", title="Medians and quartiles by segment")
    rows = {row[0]: row for row in table.rows}
    assert table.head[-1] == "All"
    assert rows["flag"][1] == own
    assert rows["flag"][-1] == words.percent(study.frame["flag"].mean())
    assert rows["BALANCE"][-1] == ""
    assert " to " in rows["BALANCE"][1]
    assert f"sd, {told})" in markdown(summary, sections(summary))
    page = build(folder).read_text(encoding="utf-8")
    assert f' sd</span><span class="median share">{told}</span>' in page
    assert '<span class="z alone">' in page


@pytest.fixture
def kept(flagged):
    """The same study with its customers in the folder."""
    study, run, folder = flagged
    frame = pd.DataFrame({"id": study.ids, **study.frame})
    frame.to_parquet(folder / "customers.parquet", index=False)
    return study, run, folder


def traits(summary) -> dict[tuple[int, str], str]:
    cards = block(summary, "segments", "cards").cards
    return {(card.segment, name): text for card in cards for name, _, text in (*card.high, *card.low)}


def test_a_cards_median_is_told_against_that_of_all_customers(kept):
    study, _, folder = kept
    summary = gather.gather(folder)
    flags = ("flag", "plan=x", "plan=y")
    found = {key: text for key, text in traits(summary).items() if key[1] not in flags}
    assert found
    for (segment, name), text in found.items():
        own = study.frame.loc[study.truth == segment, name].median()
        assert text == f"{words.short(own)} against {words.short(study.frame[name].median())}"
    note = block(summary, "segments", "cards").note
    assert "the segment's median against that of all customers, or the means where the medians are the same; of" in note
    assert note in markdown(summary, sections(summary))
    page = build(folder).read_text(encoding="utf-8")
    assert "the segment&#39;s median against that of all customers, or the means" in page
    assert all(text in page for text in found.values())


def test_where_the_medians_are_the_same_the_means_are_told(kept):
    summary = gather.gather(kept[2])
    name = next(name for _, name in traits(summary) if name in summary.columns.table.index and name != "flag")
    everybody = summary.columns.table.loc[name]
    row = pd.Series({"median": everybody["median"], "mean": 1.25, "n": 50})
    assert typical.told(summary, name, row) == f"mean 1.25 against {words.short(everybody['mean'])}"
    discreet = gather.gather(kept[2], {"customers": False})
    row["median"] = discreet.columns.table.loc[name, "median"]
    assert "mean" not in typical.told(discreet, name, row)


def test_all_customers_medians_are_rounded_in_a_page_that_may_leave_the_house(kept):
    study, _, folder = kept
    shown = {name: text for (_, name), text in traits(gather.gather(folder, {"customers": False})).items()}
    medians = study.frame[[name for name in shown if name in study.frame and name not in ("flag", "plan")]].median()
    coarse = {name: words.short(float(f"{value:.3g}")) for name, value in medians.items()}
    assert any(told != words.short(medians[name]) for name, told in coarse.items())
    assert all(shown[name].endswith(f" against {told}") for name, told in coarse.items())


def test_drawn_customers_medians_are_called_so(kept):
    _, _, folder = kept
    frame = pd.read_parquet(folder / "customers.parquet").assign(row=np.arange(200)).iloc[::4]
    frame.to_parquet(folder / "customers.parquet", index=False)
    note = block(gather.gather(folder), "segments", "cards").note
    assert note.endswith(" Medians and means of all are those of 50 drawn customers.")


def test_without_a_median_of_all_customers_the_segments_stands_alone(flagged, kept):
    _, _, folder = kept
    two = gather.gather(folder)
    two = replace(two, runs=pd.concat([two.runs, two.runs.assign(run="other", data_label="another table")]))
    (folder / "customers.parquet").unlink()
    for summary in (gather.gather(folder), two):
        medians = [text for (_, name), text in traits(summary).items() if name in flagged[0].frame.columns[:8]]
        assert medians
        assert not [text for text in medians if " against " in text]
        assert "the segment's median; of a feature that is 0 or 1" in block(summary, "segments", "cards").note


def test_the_page_holds_the_shares_of_ones_unless_it_may_leave_the_house(flagged):
    study, run, folder = flagged
    meta = payload(gather.gather(folder))[0]["meta"]
    (told,) = (json.loads(gzip.decompress(b64decode(meta)))["profiles"][run],)
    assert set(told["ones"]) == {"flag", "plan=x", "plan=y"}
    assert told["ones"]["flag"]["all"] == pytest.approx(study.frame["flag"].mean(), abs=1e-4)
    means = [study.frame.loc[study.truth == k, "flag"].mean() for k in range(len(told["segments"]))]
    assert told["ones"]["flag"]["of"] == pytest.approx(means, abs=1e-4)
    meta = payload(gather.gather(folder, {"customers": False}))[0]["meta"]
    assert "ones" not in json.loads(gzip.decompress(b64decode(meta)))["profiles"][run]


def test_without_flags_the_table_has_no_share(swept):
    table = block(gather.gather(swept[1]), "segments", "table", title="Medians and quartiles by segment")
    assert table.head[-1] != "All"
    assert "0 or 1" not in table.caption


@pytest.mark.parametrize(
    ("mean", "n", "customers", "told"),
    [
        (0.62, 50, False, "62%"),
        (0.02, 50, False, "under 10%"),
        (0.0, 50, False, "under 10%"),
        (0.98, 50, False, "over 90%"),
        (0.02, 50, True, "2%"),
        (0.0, 50, True, "0%"),
    ],
)
def test_a_share_never_tells_of_few(flagged, mean, n, customers, told):
    summary = gather.gather(flagged[2], {"customers": customers})
    assert typical.share(summary, pd.Series({"mean": mean, "n": n})) == told


def test_a_page_without_customers_tells_shares_as_well(flagged):
    summary = gather.gather(flagged[2], {"customers": False})
    assert summary.shares["flag"] == pytest.approx(flagged[0].frame["flag"].mean())
    shown = [text for card in block(summary, "segments", "cards").cards for _, _, text in card.high]
    assert [text for text in shown if " against " in text]


def test_the_values_of_a_text_column_are_one_row_of_the_variance(flagged):
    plot = block(gather.gather(flagged[2]), "data", "plot", name="variance")
    table, drawn = plot.draw.arguments
    assert drawn[0] == "plan (2 values)"
    assert table.set_index("feature")["share"]["plan (2 values)"] == pytest.approx(0.5)
    assert table["share"].sum() == pytest.approx(1.0)
    assert "plan (2 values)" in plot.caption
    assert plot.caption.endswith("The values of a text column are one row.")


def test_no_text_column_is_spoken_of_where_there_is_none(swept):
    assert "text column" not in block(gather.gather(swept[1]), "data", "plot", name="variance").caption
