"""Names that would turn the direction of a text, and long ones that look alike."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from segkit.report import build, words
from segkit.report.blocks import Card, Cards
from segkit.report.render import _cards_table, escaped, pipe_table

TURNS = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HEBREW = "\u05e9\u05dc\u05d5\u05dd"


@pytest.mark.parametrize("turn", TURNS)
def test_a_character_that_turns_the_text_is_a_mark(turn):
    assert words.clipped(f"a{turn}b") == "a\u2423b"
    assert pipe_table(["h"], [[f"a{turn}b"]], "l").endswith("| a\u2423b |")
    kept = f"a{turn}b" if turn in words.ISOLATE else "a\u2423b"
    assert escaped(f"a{turn}b") == kept


def test_a_table_cut_for_the_summary_says_where_the_rest_is():
    rows = [[str(i)] for i in range(15)]
    assert pipe_table(["h"], rows, "l").endswith("\n\n12 of 15 rows; `report.html` has them all.")
    assert pipe_table(["h"], rows, "l", 1080, "runs.csv").endswith("\n\n12 of 1,080 rows; `runs.csv` has them all.")
    assert "rows" not in pipe_table(["h"], rows[:12], "l")


def test_a_name_read_from_the_right_is_isolated():
    assert words.clipped(HEBREW) == f"\u2068{HEBREW}\u2069"
    assert words.clipped("plain") == "plain"


def test_long_names_of_a_segment_are_cut_one_by_one_in_the_summary():
    names = [f"{letter * 150}{i}{letter * 149}" for i, letter in enumerate("abcde")] + [HEBREW, "p|q"]
    traits = [(name, f"+{i}.0 sd", f"{i}") for i, name in enumerate(names)]
    card = Card(0, "Segment 0", "10", "100%", "", traits, [])
    cells = _cards_table(Cards([card], "")).splitlines()[-1].split(" | ")
    shown = cells[3].split("; ")
    assert len(shown) == len(names)
    for name, text, (_, z, typical) in zip(names, shown, traits, strict=True):
        assert name in text.replace("\\|", "|") or text.startswith(name[:20])
        assert len(text) < 80
        assert text.endswith(f" ({z}, {typical})")


def test_a_hostile_name_turns_nothing_in_page_and_summary(new_study, tmp_path):
    names = ("BAL\u202eANCE", f"{HEBREW}\u2067x", "c", "d")
    study = new_study(n=80, columns=names)
    runs = [
        study.add(study.truth % k, silhouette_reference=0.1 * k, silhouette_native=0.2, rank=6 - k, features=names[0])
        for k in (4, 5)
    ]
    study.recommend(runs[1])
    study.profiled = runs[1]
    folder = study.write(tmp_path / "study")
    pd.DataFrame({"id": study.ids, **study.frame}).to_parquet(folder / "customers.parquet", index=False)
    build(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    for text in (re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), (folder / "summary.md").read_text()):
        assert "BAL\u2423ANCE" in text
        assert not set(text) & (set(TURNS) - set(words.ISOLATE))
        assert text.count("\u2068") == text.count("\u2069") > 0
        assert f"\u2068{HEBREW}\u2423x\u2069" in text


def test_long_names_keep_both_ends_and_what_differs():
    first, second = (f"{'a_very_long_name_' * 4}{i}{'_generated_by_something' * 4}" for i in (1, 2))
    shown = words.clipped(first, 60)
    assert len(shown) == 60
    assert shown.endswith(first[-24:])
    assert shown.startswith(first[:24])
    assert words.clipped(second, 60) == shown
    apart = words.apart([first, second, "short"], 60)
    assert len(set(apart)) == 3
    assert max(map(len, apart)) <= 60
    assert apart[2] == "short"
