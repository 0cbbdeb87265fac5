"""Progress of a running study, in lines and as a display."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from segkit import progress
from segkit.study.plan.graph import Task
from segkit.study.run.outcome import Outcome
from segkit.study.run.stages import node_of


def a_task(kind, number):
    node = node_of(f"{kind}-{number}", {}, {})
    return Task(node.key, (node,), ())


def done(task, seconds):
    return [Outcome(node.key, "ok", record={"seconds": seconds}) for node in task.nodes]


@pytest.fixture
def watched(monkeypatch, tmp_path):
    """Return a watch of 100 stages of one estimated second each on two workers, its tasks, and a
    clock to set."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(progress.Progress, "_beat", lambda self: None)
    watch = progress.Silent()
    tasks = [a_task("scoring", number) for number in range(100)]
    prepared = SimpleNamespace(
        folder=tmp_path,
        engine=SimpleNamespace(n_workers=2, description="on 2 local workers"),
        seconds=lambda tasks: float(len(tasks)),
    )
    watch.start(prepared, tasks, {"waiting": 1})
    return watch, tasks, clock


def test_the_time_left_is_at_first_the_plan_s_and_soon_that_of_the_pace(watched):
    watch, tasks, clock = watched
    assert watch.seconds_left() == pytest.approx(50 / 0.9)
    # Every stage takes twice as long as expected.
    estimates = []
    for number, task in enumerate(tasks, 1):
        clock[0] = float(number)
        watch.advance(task, done(task, 2.0), {"waiting": 1})
        if number in (1, 5, 20, 90):
            estimates.append(watch.seconds_left() / (100 - number))
    assert estimates == pytest.approx([1.0] * 4, rel=0.25)
    assert watch.seconds_left() == 0


def test_a_slow_start_does_not_make_a_short_study_look_long(watched):
    watch, _tasks, clock = watched
    clock[0] = 6.0
    assert watch.seconds_left() < 3 * 50


def test_compilation_is_a_phase_that_does_not_count_as_slowness(watched):
    watch, _tasks, clock = watched
    before = watch.seconds_left()
    watch.compiling(20.0)
    clock[0] = 5.0
    assert watch.seconds_left() == pytest.approx(before + 15)
    assert watch.line().startswith("compiling the kernels (once per installation) | ")
    clock[0] = 40.0
    assert watch.seconds_left() == pytest.approx(before)
    watch.compiling(None)
    assert watch.seconds_left() == pytest.approx(before)
    assert "compiling" not in watch.line()


def test_what_the_screen_taught_is_known_in_the_confirmation(watched):
    watch, tasks, clock = watched
    for number, task in enumerate(tasks, 1):
        clock[0] = number / 2
        watch.advance(task, done(task, 1.0 if number % 2 else 9.0), {})
    prepared = SimpleNamespace(
        folder=watch.folder,
        engine=SimpleNamespace(n_workers=2, description="on 2 local workers"),
        seconds=lambda tasks: float(len(tasks)),
    )
    watch.start(
        prepared, [a_task("scoring", number) for number in range(200, 210)], {}, "confirmation"
    )
    assert watch.seconds_left() == pytest.approx(10 * 5 / 2 / 0.9, rel=0.1)


def test_a_failed_stage_teaches_nothing(watched):
    watch, tasks, _clock = watched
    before = watch.seconds_left()
    watch.advance(tasks[0], [Outcome(tasks[0].nodes[0].key, "failed", "why")], {})
    assert watch.seconds_left() == pytest.approx(before * 99 / 100)


def test_both_parts_are_expected_aloud(capsys, tmp_path):
    watch = progress.PlainProgress()
    prepared = SimpleNamespace(folder=tmp_path)
    watch.expect(prepared, tuple, 300.0, 2400.0)
    watch.expect(prepared, tuple, 300.0, None)
    watch.expect(prepared, tuple, 0.0, None)
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        (
            "expected: about 5:00 min for the screen, then about 40:00 min for the confirmation of"
            " the best"
        ),
        "expected: about 5:00 min for the screen",
    ]
