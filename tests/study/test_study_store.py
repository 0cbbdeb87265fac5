"""Stored results are whole or absent, and damage is found."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from segkit.errors import UsageError
from segkit.study.store import Damaged, Store, StoreFull, content_digest, replacing, writable_folder

KEY = "scaling-0123456789abcdef01234567"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_a_result_comes_back_as_it_was_saved(store):
    matrix = np.random.default_rng(0).normal(size=(7, 3))
    record = store.save(KEY, {"matrix": matrix}, {"figure": 1.5}, 2.25)
    np.testing.assert_array_equal(store.arrays(KEY)["matrix"], matrix)
    assert (
        store.record(KEY)
        == record
        == {
            "facts": {"figure": 1.5},
            "seconds": 2.25,
            "digest": content_digest({"matrix": matrix}, {"figure": 1.5}),
            "arrays": ["matrix"],
        }
    )
    assert store.keys(("scaling", "features")) == {KEY}


def test_the_digest_tells_values_types_shapes_names_and_facts_apart_but_not_memory_layout():
    matrix = np.arange(6.0).reshape(2, 3)
    digests = {
        content_digest({"a": matrix}, {}),
        content_digest({"a": matrix + 1e-15}, {}),
        content_digest({"a": matrix.astype(np.float32)}, {}),
        content_digest({"a": matrix.reshape(3, 2)}, {}),
        content_digest({"b": matrix}, {}),
        content_digest({"a": matrix}, {"x": 1}),
    }
    assert len(digests) == 5 + (matrix + 1e-15 != matrix).any()
    assert content_digest({"a": np.asfortranarray(matrix)}, {}) == content_digest({"a": matrix}, {})


def test_an_unfinished_result_is_not_there(store):
    store.save(KEY, {"matrix": np.ones((2, 2))}, {}, 0.0)
    Path(store._path(KEY, ".json")).unlink()
    assert store.record(KEY) is None
    assert not store.has(KEY)
    assert store.keys(("scaling",)) == set()


def test_a_result_that_lost_its_arrays_is_not_there(store):
    store.save(KEY, {"matrix": np.ones((2, 2))}, {}, 0.0)
    Path(store._path(KEY, ".npz")).unlink()
    assert store.record(KEY) is None


def test_files_that_others_leave_in_the_store_are_passed_over(store):
    store.save(KEY, {}, {}, 0.0)
    (store.root / "scaling" / ".DS_Store").write_text("")
    assert store.keys(("scaling",)) == {KEY}


def test_a_damaged_result_is_removed_so_that_it_is_made_again(store):
    store.save(KEY, {"matrix": np.ones((2, 2))}, {}, 0.0)
    Path(store._path(KEY, ".npz")).write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(Damaged, match="removed; launch again"):
        store.arrays(KEY)
    assert not store.has(KEY)


def test_a_file_is_replaced_whole_or_left_as_it_was(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("before")

    def broken():
        with replacing(path, "w") as file:
            file.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_apart_from_a_bug(tmp_path):
    def fill():
        with replacing(tmp_path / "x", "w"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreFull, match="No space left"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_with_its_option(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(UsageError, match=r"^store=.*file/below: the folder cannot be written \(Not a directory\)$"):
        writable_folder(blocker / "below", "store")


@pytest.mark.parametrize("text", ["null", "[]", "3"])
def test_a_record_that_is_none_is_not_there(store, text):
    store.save(KEY, {}, {}, 0.0)
    Path(store._path(KEY, ".json")).write_text(text)
    assert store.record(KEY) is None


def test_whatever_byte_is_wrong_a_result_is_read_or_removed(store):
    arrays = {"matrix": np.arange(6.0).reshape(3, 2), "rows": np.arange(3)}
    store.save(KEY, arrays, {}, 0.0)
    path = Path(store._path(KEY, ".npz"))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    lost = 0
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= int(rng.integers(1, 256))
        path.write_bytes(broken)
        try:
            store.arrays(KEY)
        except Damaged:
            lost += 1
            assert not path.exists()
    assert lost > 100
