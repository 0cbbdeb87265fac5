"""What is told about a study while it runs."""

from __future__ import annotations

import pytest

from segkit import progress


@pytest.fixture
def watched(monkeypatch):
    """Return a watch in the middle of 100 estimated seconds of work on two workers, and a clock to set."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    watch = progress.Silent()
    watch.work, watch.workers = 100.0, 2
    return watch, clock


def test_the_time_left_is_at_first_the_plans_and_in_the_end_that_of_the_pace(watched):
    watch, clock = watched
    assert watch.seconds_left() == pytest.approx(50)
    # It goes on at half the speed that was expected.
    found = []
    for done in (1, 5, 20, 90):
        watch.work_done, clock[0] = done, float(done)
        found.append(watch.seconds_left() / (100 - done))
    assert found == sorted(found)
    assert found[0] < 0.6
    assert found[1] == pytest.approx(0.75)
    assert 0.95 < found[-1] < 1


def test_a_slow_start_does_not_make_a_short_study_look_long(watched):
    watch, clock = watched
    watch.work_done, clock[0] = 3.0, 6.0
    assert watch.seconds_left() < 2 * 50 + 10


def test_without_work_nothing_is_left(watched):
    watch, _clock = watched
    watch.work = 0.0
    assert watch.seconds_left() == 0
