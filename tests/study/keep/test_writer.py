"""When rows are written again while a study runs, and the files of its folder."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from segkit.study.keep import writer
from segkit.study.keep.writer import FLUSH_SECONDS, FLUSH_SHARE, FlushSchedule, StudyWriter


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(writer.time, "monotonic", lambda: now[0])
    return now


def test_rows_are_written_again_only_after_a_while(clock):
    written = []
    flushes = FlushSchedule()
    clock[0] += FLUSH_SECONDS - 0.1
    flushes.flush(lambda: written.append(clock[0]))
    assert not written
    clock[0] += 0.1
    flushes.flush(lambda: written.append(clock[0]))
    flushes.flush(lambda: written.append(clock[0]))
    assert written == [100.0 + FLUSH_SECONDS]


def test_what_takes_long_to_write_is_written_less_often(clock):
    def slow():
        clock[0] += 1.0

    flushes = FlushSchedule()
    clock[0] += FLUSH_SECONDS
    flushes.flush(slow)
    written = []
    clock[0] += 1.0 / FLUSH_SHARE - 1
    flushes.flush(lambda: written.append(clock[0]))
    assert not written
    clock[0] += 1
    flushes.flush(lambda: written.append(clock[0]))
    assert len(written) == 1


def test_the_verdict_of_an_earlier_launch_is_removed(tmp_path):
    study = StudyWriter(tmp_path)
    study.recommendation({"run": "a"})
    study.nulls(pd.DataFrame({"run": ["a"]}))
    study.remove_verdict()
    study.remove_verdict()
    assert list(tmp_path.iterdir()) == []


def test_configurations_are_one_line_each(tmp_path):
    StudyWriter(tmp_path).configurations({"run": name} for name in "ab")
    lines = (tmp_path / "configs.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"run": "a"}, {"run": "b"}]
