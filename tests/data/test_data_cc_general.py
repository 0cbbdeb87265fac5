from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from segkit.data import fetch, source
from segkit.errors import UsageError

CONFIG = {"_target_": "segkit.data.sources.CreditCards"}


@pytest.fixture
def crlf_csv(cc_general_csv, tmp_path):
    path = tmp_path / "crlf" / fetch.FILE
    path.parent.mkdir()
    path.write_bytes(cc_general_csv.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return path


@pytest.fixture
def no_folder(monkeypatch, tmp_path):
    """No folder of the user's, and an empty download cache."""
    import pooch

    monkeypatch.delenv(fetch.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def served(monkeypatch):
    """Files that stand in for what the addresses serve; an exception stands for a failure."""
    import pooch

    files, asked = {}, []

    def download(self, url, output_file, pooch_, check_only=False):
        asked.append(url)
        if isinstance(files[url], Exception):
            raise files[url]
        shutil.copy(files[url], output_file)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", download)
    files["asked"] = asked
    return files


def test_the_addresses_pin_a_commit():
    for address in fetch.ADDRESSES:
        commit = address.split("/")[5]
        assert len(commit) == 40
        assert set(commit) <= set("0123456789abcdef")


def test_both_line_end_variants_load_alike(monkeypatch, cc_general_csv, crlf_csv):
    tables, identities = [], set()
    for folder in (cc_general_csv.parent, crlf_csv.parent):
        monkeypatch.setenv(fetch.FOLDER_VARIABLE, str(folder))
        tables.append(source(CONFIG).load())
        identities.add(source(CONFIG).identity())
    assert hashlib.sha256(crlf_csv.read_bytes()).hexdigest() == fetch.SHA256_CRLF
    assert tables[0].fingerprint() == tables[1].fingerprint()
    assert len(identities) == 1


def test_the_table_is_what_pandas_reads(monkeypatch, cc_general_csv):
    import pandas as pd

    monkeypatch.setenv(fetch.FOLDER_VARIABLE, str(cc_general_csv.parent))
    cards, info = source(CONFIG).load(), source(CONFIG).info()
    plain = pd.read_csv(cc_general_csv)
    assert cards.frame.shape == (8950, 17)
    pd.testing.assert_frame_equal(
        cards.frame, plain.drop(columns="CUST_ID").astype(float), rtol=1e-14
    )
    assert cards.ids.tolist() == plain["CUST_ID"].tolist()
    assert cards.warnings == ()
    assert cards.source == "cc_general"
    assert (info.n_customers, info.columns) == (8950, tuple(cards.frame.columns))
    assert info.fingerprint == source(CONFIG).identity()


def test_identity_is_that_of_the_file_as_a_table_and_needs_no_file(cc_general_csv, no_folder):
    config = {
        "_target_": "segkit.data.sources.TableFile",
        "path": str(cc_general_csv),
        "id": "CUST_ID",
    }
    assert source(CONFIG).identity() == source(config).identity()


def test_a_folder_without_the_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv(fetch.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match=r"SEGKIT_DATA_DIR=.*no cc_general\.csv"):
        source(CONFIG).info()


def test_an_altered_file_in_the_folder_is_refused(monkeypatch, tmp_path):
    (tmp_path / fetch.FILE).write_text("CUST_ID,BALANCE\nC1,2\n")
    monkeypatch.setenv(fetch.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match=fetch.SHA256_LF):
        source(CONFIG).load()


def test_the_file_is_downloaded_once(cc_general_csv, no_folder, served):
    served[fetch.ADDRESSES[0]] = cc_general_csv
    assert fetch.cc_general() == no_folder / fetch.FILE
    assert source(CONFIG).load().n_customers == 8950
    assert served["asked"] == [fetch.ADDRESSES[0]]


@pytest.mark.parametrize("first", [OSError("unreachable"), Path("altered")])
def test_the_second_address_serves_when_the_first_fails_or_is_altered(
    crlf_csv, tmp_path, no_folder, served, first
):
    altered = tmp_path / "altered.csv"
    altered.write_text("altered")
    served[fetch.ADDRESSES[0]] = first if isinstance(first, Exception) else altered
    served[fetch.ADDRESSES[1]] = crlf_csv
    assert fetch.cc_general().read_bytes() == crlf_csv.read_bytes()
    assert served["asked"] == list(fetch.ADDRESSES)


def test_without_a_network_one_line_says_what_was_tried_and_what_to_do(no_folder, served):
    for address in fetch.ADDRESSES:
        served[address] = OSError("unreachable")
    with pytest.raises(UsageError) as caught:
        source(CONFIG).info()
    message = str(caught.value)
    assert "\n" not in message
    for word in (*fetch.ADDRESSES, fetch.FOLDER_VARIABLE, fetch.FILE):
        assert word in message
