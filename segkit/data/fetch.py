"""Provide the CC GENERAL card data from a folder of the user's, or by a download.

The addresses are pinned to commits, and the file's content by its sha256.
"""

from __future__ import annotations

import os
from pathlib import Path

from segkit.data.fingerprint import file_sha256
from segkit.errors import UsageError

FILE = "cc_general.csv"
FOLDER_VARIABLE = "SEGKIT_DATA_DIR"
# The data is published with either line end.
SHA256_LF = "ad6a9c388ad2ae32407996d2aaaab8aef31e10b64805106f9e6e06a99405b910"
SHA256_CRLF = "29eea6389837c40fd760c927b5782563edeff55a37824598489716bdb3563be1"
ADDRESSES = tuple(
    f"https://raw.githubusercontent.com/{repository}/{commit}/data/CC%20GENERAL.csv"
    for repository, commit in (
        ("Cynthiachelangat/customersegmentation", "1797a3c1e0cbd1a32438b0277f6b55b5f1d5e58f"),
        ("Kentoriano/Nodex_Machine_Learning", "21d64a5a7bf1704c02ce033b87133a38a3aa0e61"),
    )
)


def cc_general() -> Path:
    """Return the path of a genuine `cc_general.csv`.

    It is taken from the folder SEGKIT_DATA_DIR, or downloaded at first use where that is not set.

    Raises
    ------
    UsageError
        If the folder lacks the file, no address can be reached, or a file is not the known data
        (the two variants of line ends are both known).
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return _from_folder(Path(folder).expanduser())
    return _downloaded()


def _from_folder(folder: Path) -> Path:
    path = folder / FILE
    if not path.is_file():
        raise UsageError(
            f"{FOLDER_VARIABLE}={folder}: the folder has no {FILE}; unset it to download the file"
        )
    try:
        genuine = _is_genuine(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if not genuine:
        raise UsageError(
            f"{path}: not the known CC GENERAL data, whose sha256 is {SHA256_LF} with LF line ends "
            f"and {SHA256_CRLF} with CRLF"
        )
    return path


def _downloaded() -> Path:
    failures = []
    for address in ADDRESSES:
        try:
            path = _retrieve(address)
            if _is_genuine(path):
                return path
            path.unlink()
            failures.append(f"{address} (altered: wrong sha256)")
        except OSError as error:
            # The errors of requests, which pooch downloads with, are OSErrors too.
            failures.append(f"{address} ({_cause(error)})")
    raise UsageError(
        f"data=cc_general cannot be downloaded: tried {', '.join(failures)}; "
        f"put {FILE} into a folder and set {FOLDER_VARIABLE} to it"
    )


def _retrieve(address: str) -> Path:
    """Download a file into the user's cache, where it is taken from the next time."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    path = pooch.retrieve(
        address,
        # pooch checks against one hash, and two are genuine: `_downloaded` checks.
        known_hash=None,
        fname=FILE,
        path=pooch.os_cache("segkit"),
        downloader=pooch.HTTPDownloader(timeout=20),
    )
    return Path(path)


def _is_genuine(path: Path) -> bool:
    return file_sha256(path, text=False) in (SHA256_LF, SHA256_CRLF)


def _cause(error: OSError) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status:
        return f"status {status}"
    return error.strerror or type(error).__name__
