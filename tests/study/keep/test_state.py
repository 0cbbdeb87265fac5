"""What a study says of itself when it ends: the table, the provenance, the exit code's figures."""

from __future__ import annotations

import json

import pandas as pd

from segkit.progress import Silent
from segkit.study.compose import compose_study
from segkit.study.keep.state import StudyState
from segkit.study.run.preparation import prepare
from segkit.study.run.store import Damaged
from segkit.study.sweep import launch


def test_a_run_lost_to_damage_counts_as_failed_in_the_table_and_wherever_runs_are_counted(
    tmp_path, monkeypatch
):
    plain = StudyState.partitions

    def damaged(self):
        partitions, _ = plain(self)
        return partitions, {self.ranked()["run"][0]: Damaged("clustering-0")}

    monkeypatch.setattr(StudyState, "partitions", damaged)
    # As where it is damaged after the last look, or again and again.
    monkeypatch.setattr(StudyState, "unreadable", lambda self: [])
    lines = [
        "data.n=120",
        "engine=inline",
        "scoring.confirm=false",
        "scoring.draws=2",
        "clusterer.n_clusters=2,3,121",
    ]
    prepared = prepare(
        compose_study([*lines, f"store={tmp_path}/store", f"hydra.sweep.dir={tmp_path}/study"])
    )
    finished = launch(prepared, ["segkit"], Silent())
    table = pd.read_parquet(tmp_path / "study" / "runs.parquet")["status"].value_counts().to_dict()
    assert table == {"ok": 1, "failed": 1, "skipped": 1}
    assert finished.counts == {**table, "waiting": 0}
    assert json.loads((tmp_path / "study" / "provenance.json").read_text())["counts"] == {
        **finished.counts,
        "runs": 3,
    }
    assert not finished.complete
