"""docs/columns.md and what a study writes are the same columns and keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from segkit import scoring
from segkit.progress import Silent
from segkit.segments.write_profiles import write_profiles
from segkit.segments.write_silhouettes import write_silhouettes
from segkit.study import RUN_GROUPS
from segkit.study.compose import compose_study
from segkit.study.run.preparation import prepare
from segkit.study.sweep import launch

DICTIONARY = Path(__file__).resolve().parents[2] / "docs" / "columns.md"
TINY = [
    *(
        "data.n=150",
        "engine=inline",
        "scoring.draws=2",
        "scoring.confirm_draws=3",
        "scoring.refits=2",
    ),
    *(
        "scoring.seeds=2",
        "scoring.shortlist=2",
        "scoring.nulls.copula=19",
        "scoring.nulls.permuted=2",
    ),
]
# One small study for each verdict, as each leaves other keys behind.
STUDIES = {
    "recommended": ["clusterer=kmeans,hdbscan", "projection=none,pca"],
    "no_structure": [
        "clusterer=kmeans",
        "projection=none",
        "scaler=robust",
        "clusterer.n_clusters=2",
    ],
    "screened_only": ["clusterer=kmeans", "projection=none", "scoring.confirm=false"],
    "nothing_eligible": ["clusterer=kmeans", "projection=none", "scoring.gates.clusters=[11,12]"],
}
PLACES = {
    "<score>": [definition.name for definition in scoring.definitions()],
    "<reference>": ["standard", "quantile"],
}
PATTERNS = {
    "<group>": f"({'|'.join(RUN_GROUPS)})",
    "<name>": r"(?!explained_variance|fitted_customers|placement_r2|neighbours_recall)\w+",
    "<run>": "[0-9a-f]{12}",
    "<space>": "[a-z]+-[0-9a-f]{8}",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """The folder of a study with each verdict."""
    root = tmp_path_factory.mktemp("columns")
    for name, lines in STUDIES.items():
        overrides = [*TINY, *lines, f"store={root / 'store'}", f"hydra.sweep.dir={root / name}"]
        finished = launch(prepare(compose_study(overrides, None)), ["segkit"], Silent())
        write_profiles(finished)
        write_silhouettes(finished)
    return {name: root / name for name in STUDIES}


def documented(file: str) -> list[str]:
    """Names in the first cells of the tables under a file's heading, placeholders of known
    values filled in."""
    text = DICTIONARY.read_text(encoding="utf-8")
    (section,) = [
        part
        for part in re.split(r"^## ", text, flags=re.M)
        if f"`{file}`" in part.partition("\n")[0]
    ]
    cells = re.findall(r"^\| (`[^|]*)\|", section, flags=re.M)
    return [
        filled for cell in cells for name in re.findall("`([^`]+)`", cell) for filled in fill(name)
    ]


def fill(name: str) -> Iterator[str]:
    used = [place for place in PLACES if place in name]
    for values in product(*(PLACES[place] for place in used)):
        filled = name
        for place, value in zip(used, values, strict=True):
            filled = filled.replace(place, value)
        yield filled


def matches(name: str, column: str) -> bool:
    parts = re.split("(<[a-z]+>)", name)
    return bool(
        re.fullmatch("".join(PATTERNS.get(part, re.escape(part)) for part in parts), column)
    )


def keys(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all keys of a JSON value."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield f"{path}{name}"
        yield from keys(inner, f"{path}{name}.")
    for inner in value if isinstance(value, list) else ():
        yield from keys(inner, f"{path.removesuffix('.')}[].")


def differences(names: Iterable[str], columns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Columns that no name stands for, and names that stand for no column."""
    names, columns = list(names), list(columns)
    missing = [column for column in columns if not any(matches(name, column) for name in names)]
    return missing, [name for name in names if not any(matches(name, column) for column in columns)]


@pytest.mark.parametrize(
    "file",
    [
        "runs.parquet",
        "nulls.parquet",
        "profiles.parquet",
        "partitions.parquet",
        "embeddings.parquet",
        "silhouettes.parquet",
    ],
)
def test_the_dictionary_has_every_column_and_no_other(folders, file):
    columns = pd.read_parquet(folders["recommended"] / file).columns
    names = documented(file)
    assert len(names) == len(set(names))
    assert differences(names, columns) == ([], [])


@pytest.mark.parametrize("file", ["runs", "profiles"])
def test_a_csv_has_the_columns_of_the_parquet_file(folders, file):
    folder = folders["recommended"]
    header = pd.read_csv(folder / f"{file}.csv", nrows=0).columns
    assert list(header) == list(pd.read_parquet(folder / f"{file}.parquet").columns)


def test_a_study_that_is_only_screened_has_no_column_of_its_own(folders):
    columns = pd.read_parquet(folders["screened_only"] / "runs.parquet").columns
    assert differences(documented("runs.parquet"), columns)[0] == []


def test_the_dictionary_has_every_key_of_every_recommendation_and_no_other(folders):
    recommendations = {
        name: json.loads((folder / "recommendation.json").read_text("utf-8"))
        for name, folder in folders.items()
    }
    assert {
        name: recommendation["verdict"] for name, recommendation in recommendations.items()
    } == {name: name for name in STUDIES}
    assert differences(
        documented("recommendation.json"),
        {key for recommendation in recommendations.values() for key in keys(recommendation)},
    ) == (
        [],
        [],
    )


def test_a_column_that_is_missing_on_either_side_is_seen():
    names = [*documented("profiles.parquet"), "gone", "<group>.<name>"]
    assert differences(names, ["run", "scaler.method", "new"])[0] == ["new"]
    assert set(differences(names, ["run", "scaler.method"])[1]) >= {"gone", "segment"}
    assert not matches("<group>.<name>", "projection.explained_variance")
