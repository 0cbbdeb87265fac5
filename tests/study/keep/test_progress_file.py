"""The progress file: what was written is read back, and nothing that a study would not write."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace

import pytest

from segkit.study.keep.progress_file import FILE, Going, read_going, write_going

NOW = Going(
    part="confirmation",
    compiling=False,
    done={"projection": 3, "scoring": 0},
    stages={"projection": 78, "scoring": 209},
    running=["projection", "projection"],
    seconds_left=61.2,
    seconds_later=0.0,
    written=0.0,
)


@pytest.fixture
def going():
    return replace(NOW, written=time.time())


def test_what_is_written_is_read(tmp_path, going):
    write_going(tmp_path, going)
    assert read_going(tmp_path) == going
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    write_going(tmp_path, None)
    assert read_going(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_people_are_told_the_part_what_is_at_work_and_each_kind(going):
    head, now, *kinds = going.lines
    assert head == "confirmation: about 1:01 min left"
    assert now == "now: 2 x projection"
    assert [line.split() for line in kinds] == [
        ["projection", "3", "of", "78"],
        ["scoring", "0", "of", "209"],
    ]
    first = replace(going, part="screen", compiling=True, seconds_later=600.0).lines
    assert first[0] == "screen: about 1:01 min left, then about 10:00 min for the confirmation"
    assert first[1] == "now: compiling the kernels (once per installation)"


@pytest.mark.parametrize(
    "change",
    [
        {"part": "<script>"},
        {"part": ["screen"]},
        {"compiling": 1},
        {"done": {"projection": 3}},
        {"done": None},
        {"stages": {"projection": 1, "../../etc": 1}},
        {"stages": {"projection": "78", "scoring": 1}},
        {"running": ["\x1b[31mred"]},
        {"running": "projection"},
        {"running": [["projection"]]},
        {"seconds_left": float("nan")},
        {"seconds_left": 1e300},
        {"seconds_left": "soon"},
        {"seconds_later": -1},
        {"written": 0},
        {"written": time.time() + 1e6},
    ],
)
def test_what_no_study_would_write_is_not_believed(tmp_path, going, change):
    (tmp_path / FILE).write_text(json.dumps(asdict(going) | change), encoding="utf-8")
    assert read_going(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[" * 50_000, "{}", " " * 100_000, '"part"']
)
def test_a_broken_file_is_as_none(tmp_path, text):
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    assert read_going(tmp_path) is None


def test_a_folder_in_its_place_is_as_none_and_stops_nothing(tmp_path, going):
    (tmp_path / FILE).mkdir()
    assert read_going(tmp_path) is None
    write_going(tmp_path, going)
    write_going(tmp_path, None)
    write_going(tmp_path / "gone", going)
    assert read_going(tmp_path) is None
