"""The runs table: what is counted, and runs whose labels were lost."""

from __future__ import annotations

import pandas as pd

from segkit.study.keep.runs_table import mark_lost, spreadsheet_safe, status_counts
from segkit.study.run.store import Damaged


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": ["a", "b", "c"],
            "status": ["ok", "ok", "skipped"],
            "reason": ["", "", "too few customers"],
            "rank": pd.array([1, 2, pd.NA], dtype="Int64"),
            "pareto": [True, False, False],
            "weight_share": [0.7, 0.3, None],
        }
    )


def test_runs_that_the_table_lacks_are_waiting():
    assert status_counts(table(), 5) == {"ok": 2, "failed": 0, "skipped": 1, "waiting": 2}


def test_a_run_whose_labels_are_damaged_has_failed_and_has_no_rank():
    runs = table()
    damaged = Damaged("clustering-1")
    marked = mark_lost(runs, {"a": damaged})
    lost = marked.set_index("run").loc["a"]
    assert (lost["status"], lost["reason"]) == ("failed", str(damaged))
    assert pd.isna(lost["rank"])
    assert pd.isna(lost["weight_share"])
    assert not lost["pareto"]
    pd.testing.assert_frame_equal(marked.iloc[1:], runs.iloc[1:])
    # The table that was given is not changed, and not copied where nothing is lost.
    pd.testing.assert_frame_equal(runs, table())
    assert mark_lost(runs, {}) is runs


def test_texts_that_a_spreadsheet_would_run_are_guarded():
    frame = pd.DataFrame({"text": ["=1+1", "@x", "plain", None], "number": [-1, 2, 3, 4]})
    safe = spreadsheet_safe(frame)
    assert safe["text"].tolist()[:3] == ["'=1+1", "'@x", "plain"]
    assert safe["number"].tolist() == [-1, 2, 3, 4]
