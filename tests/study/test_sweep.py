"""The order of a sweep, and what it holds in memory meanwhile."""

from __future__ import annotations

import gc
import weakref

import pytest

from segkit.progress import Silent
from segkit.study.compose import compose_study
from segkit.study.keep import state
from segkit.study.run.preparation import prepare
from segkit.study.sweep import launch


def test_no_table_of_all_partitions_is_held_while_the_best_are_confirmed(tmp_path, monkeypatch):
    tables = []
    plain = state.partitions_frame

    def remembered(*arguments):
        partitions, damaged = plain(*arguments)
        tables.append(weakref.ref(partitions))
        return partitions, damaged

    monkeypatch.setattr(state, "partitions_frame", remembered)
    held = {}

    class Watch(Silent):
        def start(self, prepared, tasks, finished, part):
            gc.collect()
            held[part] = [table() is not None for table in tables]
            super().start(prepared, tasks, finished, part)

    lines = [
        *("data.n=120", "engine=inline", "scoring.draws=2", "clusterer.n_clusters=2,3"),
        *("scoring.level=0.5", "scoring.nulls={copula: 1, permuted: 0}", "scoring.refits=1"),
        *("scoring.confirm_draws=2", "scoring.seeds=1", "scoring.gates.smallest_cluster=0"),
    ]
    folders = [f"store={tmp_path}/store", f"hydra.sweep.dir={tmp_path}/study"]
    launch(prepare(compose_study([*lines, *folders])), ["segkit"], Watch())
    if "confirmation" not in held:
        pytest.fail("nothing was confirmed")
    assert held["confirmation"]
    assert not any(held["confirmation"])
