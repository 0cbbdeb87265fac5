"""Stored results are whole or absent, and damage is found."""

from __future__ import annotations

import errno
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from segkit.errors import UsageError
from segkit.files import DiskFull, replacing, writable_folder
from segkit.study.run.hashes import content_digest, sealed_json
from segkit.study.run.store import Damaged, Store

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
    assert store.keys(("scaling",)) == set()


def test_a_result_that_lost_its_arrays_is_not_there(store):
    store.save(KEY, {"matrix": np.ones((2, 2))}, {}, 0.0)
    Path(store._path(KEY, ".npz")).unlink()
    assert store.record(KEY) is None


def test_files_that_others_leave_in_the_store_are_passed_over(store):
    store.save(KEY, {}, {}, 0.0)
    (store.root / "scaling" / ".DS_Store").write_text("")
    assert store.keys(("scaling",)) == {KEY}


def test_a_damaged_result_is_dropped_so_that_it_is_made_again(store):
    store.save(KEY, {"matrix": np.ones((2, 2))}, {}, 0.0)
    Path(store._path(KEY, ".npz")).write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(Damaged, match="dropped; launch again") as caught:
        store.arrays(KEY)
    assert caught.value.key == pickle.loads(pickle.dumps(caught.value)).key == KEY
    assert store.record(KEY) is None
    assert store.damaged == [KEY]


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

    with pytest.raises(DiskFull, match="No space left"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_with_its_option(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(
        UsageError, match=r"^store=.*file/below: the folder cannot be written \(Not a directory\)$"
    ):
        writable_folder(blocker / "below", "store")


@pytest.mark.parametrize(
    "text", ["null", "[]", "3", "{}", '{"facts": {}, "seconds": 0, "digest": "", "arrays": []}']
)
def test_a_record_without_a_seal_is_damaged(store, text):
    store.save(KEY, {}, {}, 0.0)
    Path(store._path(KEY, ".json")).write_text(text)
    assert store.record(KEY) is None
    assert store.damaged == [KEY]


def test_a_sealed_record_of_another_kind_is_damaged(store):
    store.save(KEY, {}, {}, 0.0)
    for content in ({"facts": []}, {"facts": {}, "seconds": "1", "digest": "", "arrays": []}):
        Path(store._path(KEY, ".json")).write_bytes(sealed_json(json.dumps(content).encode(), KEY))
        assert store.record(KEY) is None


ARRAYS = {
    "matrix": np.arange(6.0).reshape(3, 2),
    "rows": np.arange(3),
    "status": np.array(["ok", "zero"]),
}
OTHER = "scaling-76543210fedcba9876543210"


def outcome(store, key):
    """Return what a reader gets: the record and the arrays, or that they are damaged."""
    record = store.record(key)
    if record is None:
        return "damaged"
    try:
        return record, {name: array.tobytes() for name, array in store.arrays(key).items()}
    except Damaged:
        return "damaged"


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_whatever_byte_is_wrong_the_result_is_damaged(store, suffix):
    for place in range(Path(saved(store)).with_suffix(suffix).stat().st_size):
        path = Path(saved(store)).with_suffix(suffix)
        broken = bytearray(path.read_bytes())
        broken[place] ^= 1 << place % 8
        path.write_bytes(broken)
        assert outcome(store, KEY) == "damaged", place
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_wherever_a_file_is_cut_off_the_result_is_damaged(store, suffix):
    for size in range(Path(saved(store)).with_suffix(suffix).stat().st_size):
        path = Path(saved(store)).with_suffix(suffix)
        path.write_bytes(path.read_bytes()[:size])
        assert outcome(store, KEY) == "damaged", size


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_two_results_that_changed_places_are_both_damaged(store, suffix):
    saved(store)
    store.save(OTHER, {name: array[::-1] for name, array in ARRAYS.items()}, {"figure": 2.5}, 0.0)
    first, second = (Path(store._path(key, suffix)) for key in (KEY, OTHER))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert outcome(store, KEY) == outcome(store, OTHER) == "damaged"


@pytest.mark.parametrize("suffix", [".json", ".npz"])
@pytest.mark.parametrize("how", ["missing", "folder", "unreadable", "pipe", "link to itself"])
def test_what_is_not_a_file_that_can_be_read_is_damaged_and_can_be_made_again(store, suffix, how):
    path = Path(saved(store)).with_suffix(suffix)
    before = outcome(store, KEY)
    path.unlink()
    if how == "folder":
        path.mkdir()
        (path / "note").write_text("somebody's")
    elif how == "unreadable":
        path.write_bytes(b"")
        path.chmod(0)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "link to itself":
        path.symlink_to(path)
    assert outcome(store, KEY) == "damaged"
    assert not store.intact(KEY)
    saved(store)
    assert outcome(store, KEY) == before
    assert [note.read_text() for note in store.root.rglob("note")] == ["somebody's"] * (
        how == "folder"
    )


@pytest.mark.parametrize("place", ["scaling", "scaling/01"])
def test_a_file_in_the_place_of_a_folder_is_moved_aside(store, place):
    path = store.root / place
    path.parent.mkdir(parents=True)
    path.write_text("somebody's")
    assert store.keys(("scaling",)) == set()
    assert store.record(KEY) is None
    saved(store)
    assert store.intact(KEY)


def test_a_process_out_of_means_damages_nothing(store, monkeypatch):
    saved(store)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing(errno.EMFILE))
        for read in (store.record, store.arrays, store.intact):
            with pytest.raises(OSError, match="Too many open files"):
                read(KEY)
    assert store.intact(KEY)


def refusing(number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    return refuse


def saved(store):
    store.save(KEY, ARRAYS, {"figure": 1.5}, 2.25)
    return store._path(KEY, ".json")
