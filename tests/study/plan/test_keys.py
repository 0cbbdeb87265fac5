"""A run's id and a stage's key depend on what decides the result and on nothing else."""

from __future__ import annotations

import json

from segkit.study.plan.keys import canonical, kind_of, run_id, stage_key

FEATURES = {"columns": "all", "expressions": {}, "missing": "median", "clip": None}


def test_run_id_is_what_it_was_when_it_was_first_published():
    assert run_id("0" * 64, FEATURES, '{"a":1}', '{"b":2}', '{"c":3}', 42) == "495cf3902fd1"


def test_an_option_left_at_its_neutral_value_does_not_rename_a_run():
    bare = run_id("d", {"columns": "all"}, "s", "p", "c", 1)
    assert bare == run_id("d", FEATURES, "s", "p", "c", 1)
    assert bare != run_id("d", FEATURES | {"missing": "mean"}, "s", "p", "c", 1)
    assert bare != run_id("d", FEATURES | {"clip": [0.01, 0.99]}, "s", "p", "c", 1)


def test_every_part_of_a_configuration_decides_the_id():
    parts = ["d", FEATURES, "s", "p", "c", 1]
    ids = {run_id(*parts)}
    for position, other in enumerate(["D", {"columns": ["x"]}, "S", "P", "C", 2]):
        changed = list(parts)
        changed[position] = other
        ids.add(run_id(*changed))
    assert len(ids) == 7


def test_numbers_count_by_value_and_the_order_of_keys_does_not_matter():
    assert canonical({"b": 2.0, "a": [1, 0.5]}) == canonical({"a": [1.0, 0.5], "b": 2})
    assert canonical({"a": True}) != canonical({"a": 1})


def test_a_key_tells_its_kind_and_its_parts_are_kept_apart():
    assert kind_of(stage_key("scaling", "a", "b")) == "scaling"
    assert stage_key("scaling", "ab", "c") != stage_key("scaling", "a", "bc")


def test_canonical_text_is_json_with_sorted_keys_and_numbers_by_value():
    value = {
        "b": [1, 2.0, 0.1, (True, None)],
        "a": {"é": "ü", 3: 1e300, "n": -7},
        "c": float("inf"),
    }
    plain = {
        "b": [1, 2, 0.1, [True, None]],
        "a": {"é": "ü", "3": int(1e300), "n": -7},
        "c": float("inf"),
    }
    assert canonical(value) == json.dumps(plain, sort_keys=True, separators=(",", ":"))
    for scalar in (0, -12, 10**30, True, False, None, "x", 2.5, 3.0):
        assert canonical(scalar) == json.dumps(3 if scalar == 3.0 else scalar)
