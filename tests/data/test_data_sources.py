from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import segkit.data.sources as sources
from segkit.data import TableInfo, source
from segkit.data.simulate import CARD_COLUMNS, PROFILE_COLUMNS
from segkit.errors import UsageError

TARGET = "segkit.data.sources."
CONF = Path(__file__).parents[2] / "conf" / "data"
CSV = "id,A,B\n" + "".join(f"c{i},{i},{i * i % 7}\n" for i in range(20))


def table_file(path: Path, **options):
    return source({"_target_": f"{TARGET}TableFile", "path": str(path), **options})


@pytest.fixture
def csv_path(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_bytes(CSV.encode())
    return path


@pytest.mark.parametrize("option", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_option_lists_the_parameters_of_its_source_with_their_defaults(option):
    import dataclasses

    config = yaml.safe_load((CONF / f"{option}.yaml").read_text())
    chosen = getattr(sources, config.pop("_target_").removeprefix(TARGET))
    assert config == {field.name: field.default for field in dataclasses.fields(chosen)}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, ["data._target_", "None"]),
        ({"_target_": ["os.system"]}, ["data._target_", "os.system"]),
        ({"_target_": "os.system"}, ["data._target_", "os.system"]),
        ({"_target_": f"{TARGET}Simulate"}, ["did you mean", f"{TARGET}Simulated"]),
        ({"_target_": f"{TARGET}Simulated", "sed": 1}, ["data.sed", "did you mean 'seed'"]),
        ({"_target_": f"{TARGET}CreditCards", "n": 5}, ["data.n", "CreditCards"]),
        ({"_target_": f"{TARGET}Simulated", "n": 0}, ["data.n", "1 to 10,000,000", "got 0"]),
        ({"_target_": f"{TARGET}Simulated", "n": 10_000_001}, ["data.n", "10000001"]),
        ({"_target_": f"{TARGET}Simulated", "n": 100.0}, ["data.n", "100.0"]),
        ({"_target_": f"{TARGET}Simulated", "n": True}, ["data.n", "True"]),
        ({"_target_": f"{TARGET}SimulatedProfile", "n": "ten"}, ["data.n", "'ten'"]),
        ({"_target_": f"{TARGET}SimulatedProfile", "seed": -1}, ["data.seed", "-1"]),
        ({"_target_": f"{TARGET}Simulated", "seed": None}, ["data.seed", "None"]),
        ({"_target_": f"{TARGET}Simulated", "seed": 1.5}, ["data.seed", "1.5"]),
        ({"_target_": f"{TARGET}TableFile"}, ["data.path", "None"]),
        ({"_target_": f"{TARGET}TableFile", "path": ""}, ["data.path", "''"]),
        ({"_target_": f"{TARGET}TableFile", "path": 3}, ["data.path", "3"]),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(config, words):
    with pytest.raises(UsageError) as caught:
        source(config)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "columns"), [("Simulated", CARD_COLUMNS), ("SimulatedProfile", PROFILE_COLUMNS)]
)
def test_a_simulation_is_described_without_being_made(monkeypatch, name, columns):
    monkeypatch.setattr("segkit.data.simulate._simulate", lambda *_: pytest.fail("simulated"))
    customers = source({"_target_": TARGET + name, "n": 10_000_000, "seed": 5})
    assert customers.info() == TableInfo(customers.identity(), 10_000_000, columns, ())


def test_identities_of_simulations_tell_recipe_size_and_seed_apart():
    configs = [
        (name, n, seed)
        for name in ("Simulated", "SimulatedProfile")
        for n in (10, 11)
        for seed in (1, 2)
    ]
    identities = [
        source({"_target_": TARGET + name, "n": n, "seed": seed}).identity()
        for name, n, seed in configs
    ]
    assert len(set(identities)) == 8
    assert (
        identities[0] == source({"_target_": f"{TARGET}Simulated", "n": 10, "seed": 1}).identity()
    )


def test_a_loaded_simulation_is_what_its_info_says():
    customers = source({"_target_": f"{TARGET}Simulated", "n": 50, "seed": 5})
    table = customers.load()
    assert (table.n_customers, tuple(table.frame.columns)) == (50, customers.info().columns)


def test_identity_and_fingerprint_ignore_line_ends_and_path(csv_path, tmp_path):
    crlf = tmp_path / "elsewhere" / "other.csv"
    crlf.parent.mkdir()
    crlf.write_bytes(CSV.replace("\n", "\r\n").encode())
    one, other = table_file(csv_path, id="id"), table_file(crlf, id="id")
    assert one.identity() == other.identity()
    assert one.load().fingerprint() == other.load().fingerprint()


def test_identity_depends_on_content_and_on_the_options_that_matter(csv_path, tmp_path):
    changed = tmp_path / "changed.csv"
    changed.write_bytes(CSV.replace("c3,3,", "c3,4,").encode())
    variants = [
        table_file(csv_path),
        table_file(csv_path, id="id"),
        table_file(csv_path, id="id", columns=["A"]),
        table_file(csv_path, id="id", drop=["A"]),
        table_file(csv_path, id="id", encoding="latin-1"),
        table_file(csv_path, id="id", separator=";"),
        table_file(changed, id="id"),
    ]
    assert len({variant.identity() for variant in variants}) == len(variants)
    same = [
        table_file(csv_path, id="id", columns=names, encoding=e)
        for names in (["A", "B"], ["B", "A"])
        for e in ("utf8", "utf-8")
    ]
    assert len({variant.identity() for variant in same}) == 1


def test_identity_of_a_file_is_the_documented_hash(csv_path):
    options = {
        "id": "id",
        "columns": None,
        "drop": None,
        "separator": ",",
        "decimal": ".",
        "encoding": "utf-8",
    }
    described = {"file": hashlib.sha256(CSV.encode()).hexdigest(), "options": options}
    expected = hashlib.sha256(
        json.dumps(described, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
    assert table_file(csv_path, id="id").identity() == expected


class Counter:
    """Counts the calls of a function that it stands in for."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.function(*args, **kwargs)


@pytest.fixture
def hashing(monkeypatch):
    counter = Counter(sources.file_sha256)
    monkeypatch.setattr(sources, "file_sha256", counter)
    return counter


@pytest.fixture
def loading(monkeypatch):
    import segkit.data.load as load

    counter = Counter(load.load)
    monkeypatch.setattr(load, "load", counter)
    return counter


def test_a_memo_spares_hashing_and_loading(csv_path, tmp_path, hashing, loading):
    memo = tmp_path / "new" / "memo.json"
    first = table_file(csv_path, id="id").info(memo)
    again = table_file(csv_path, id="id").info(memo)
    assert first == again
    assert (first.n_customers, first.columns) == (20, ("A", "B"))
    assert (hashing.calls, loading.calls) == (1, 1)
    assert table_file(csv_path, id="id", drop=["A"]).info(memo).columns == ("B",)
    assert (hashing.calls, loading.calls) == (1, 2)
    assert table_file(csv_path, id="id").info(memo) == first
    assert (hashing.calls, loading.calls) == (1, 2)


def test_a_memo_keeps_several_files_and_notices_a_change(csv_path, tmp_path, hashing, loading):
    memo, second = tmp_path / "memo.json", tmp_path / "second.csv"
    second.write_text(CSV)
    before = table_file(csv_path, id="id").info(memo)
    table_file(second, id="id").info(memo)
    csv_path.write_text(CSV + "c99,1,2\n")
    after = table_file(csv_path, id="id").info(memo)
    assert (before.n_customers, after.n_customers) == (20, 21)
    assert before.fingerprint != after.fingerprint
    table_file(second, id="id").info(memo)
    assert (hashing.calls, loading.calls) == (3, 3)


def test_a_rewrite_of_equal_size_is_noticed_by_its_time(csv_path, tmp_path):
    memo = tmp_path / "memo.json"
    before = table_file(csv_path, id="id").identity(memo)
    csv_path.write_text(CSV.replace("c1,1,1", "c1,1,2"))
    later = csv_path.stat().st_mtime_ns + 1_000_000
    os.utime(csv_path, ns=(later, later))
    assert table_file(csv_path, id="id").identity(memo) != before


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"files": []}', '{"files": {"@": 1}}', '{"files": {"@": {"state": 1}}}', "\0"],
)
def test_a_damaged_memo_is_ignored_and_replaced(csv_path, tmp_path, hashing, content):
    memo = tmp_path / "memo.json"
    memo.write_text(content.replace("@", str(csv_path)))
    for _ in range(2):
        assert table_file(csv_path, id="id").info(memo).n_customers == 20
    assert hashing.calls == 1


@pytest.mark.parametrize(
    "facts", [{"n_customers": "many"}, 3, {"n_customers": 1, "columns": None, "warnings": []}]
)
def test_damaged_facts_in_a_memo_are_found_anew(csv_path, tmp_path, facts):
    memo = tmp_path / "memo.json"
    first = table_file(csv_path, id="id").info(memo)
    content = json.loads(memo.read_text())
    entry = content["files"][str(csv_path.resolve())]["facts"]
    entry.update({key: facts for key in entry if key.startswith("table-")})
    memo.write_text(json.dumps(content))
    assert table_file(csv_path, id="id").info(memo) == first


def test_a_memo_that_cannot_be_written_does_no_harm(csv_path, tmp_path):
    (tmp_path / "file").write_text("")
    for memo in (tmp_path, tmp_path / "file" / "memo.json"):
        assert table_file(csv_path, id="id").info(memo).n_customers == 20
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_warnings_come_with_the_info_from_the_memo_too(tmp_path):
    path, memo = tmp_path / "t.csv", tmp_path / "memo.json"
    path.write_text("A,B\n1,5\n2,5\n")
    infos = [table_file(path).info(memo) for _ in range(2)]
    assert infos[0] == infos[1]
    assert infos[0].columns == ("A",)
    assert "'B'" in infos[0].warnings[0]


@pytest.mark.parametrize("call", ["identity", "info", "load"])
def test_a_missing_file_is_a_usage_error_from_every_call(tmp_path, call):
    with pytest.raises(UsageError, match="no such file"):
        getattr(table_file(tmp_path / "none.csv"), call)()


def test_a_streamed_hash_sees_line_ends_across_chunks(tmp_path, monkeypatch):
    from segkit.data import fingerprint

    text = b"ab\r\ncd\r\r\n\r\n\rx\r"
    path = tmp_path / "t.csv"
    path.write_bytes(text)
    expected = hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()
    for size in range(1, len(text) + 1):
        monkeypatch.setattr(fingerprint, "CHUNK", size)
        assert fingerprint.file_sha256(path, text=True) == expected
    assert fingerprint.file_sha256(path, text=False) == hashlib.sha256(text).hexdigest()


def test_describing_a_simulation_imports_nothing_heavy():
    program = (
        "import sys; from segkit.data import source;"
        f"source({{'_target_': '{TARGET}Simulated'}}).info();"
        "print([m for m in ('pandas', 'pyarrow', 'sklearn', 'scipy', 'pooch') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_fingerprint_tells_ids_names_kinds_and_values_apart():
    import pandas as pd

    from segkit.data import Table

    def of(ids, **columns):
        return Table(pd.DataFrame(columns), np.array(ids)).fingerprint()

    base = of(["a", "b"], x=[1.0, 2.0])
    others = [
        of(["a", "c"], x=[1.0, 2.0]),
        of([1, 2], x=[1.0, 2.0]),
        of(["a", "b"], y=[1.0, 2.0]),
        of(["a", "b"], x=[1.0, np.nan]),
        of(["a", "b"], x=[True, False]),
        of(["a", "b"], x=pd.Series(["1.0", "2.0"], dtype=object)),
        of(["a", "b"], x=pd.Series(["1.0", None], dtype=object)),
        of(["a", "b"], x=pd.Series(["1.", "02.0"], dtype=object)),
    ]
    assert len({base, *others}) == len(others) + 1
    assert base == of(np.array(["a", "b"], dtype="<U9"), x=[1.0, 2.0])
    assert of(["a"], x=[0.0]) == of(["a"], x=[-0.0])
