"""Where the CC GENERAL card data comes from: a folder of the user's, or a download by pinned address and sha256."""

from __future__ import annotations

import os
from pathlib import Path

from segkit.data.fingerprint import file_sha256
from segkit.errors import UsageError

FILE = "cc_general.csv"
FOLDER_VARIABLE = "SEGKIT_DATA_DIR"
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
    """Return the path of a genuine `cc_general.csv`, downloading it at first use unless SEGKIT_DATA_DIR is set.

    Raises
    ------
    UsageError
        If the folder lacks the file, no address can be reached, or a file is not the known data
        (its sha256 may be that of either line-end variant).
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    return _from_folder(Path(folder).expanduser()) if folder else _downloaded()


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
            f"{path}: not the known CC GENERAL data, whose sha256 is {SHA256_LF} with LF line ends"
            f" and {SHA256_CRLF} with CRLF"
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
        except OSError as error:  # requests' own errors are OSErrors
            failures.append(f"{address} ({_cause(error)})")
    raise UsageError(
        f"data=cc_general cannot be downloaded: tried {', '.join(failures)}; "
        f"put {FILE} into a folder and set {FOLDER_VARIABLE} to it"
    )


def _retrieve(address: str) -> Path:
    """Download a file once into the user's cache; one address pins one commit, two line-end variants are genuine."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    found = pooch.retrieve(
        address,
        known_hash=None,
        fname=FILE,
        path=pooch.os_cache("segkit"),
        downloader=pooch.HTTPDownloader(timeout=20),
    )
    return Path(found)


def _is_genuine(path: Path) -> bool:
    return file_sha256(path, text=False) in (SHA256_LF, SHA256_CRLF)


def _cause(error: OSError) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"status {status}" if status else error.strerror or type(error).__name__
