"""The libraries that decide results: their versions are part of every key, and of a study's provenance."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from segkit.targets import source_digest

#: With another version of one of these a result may have other digits.
RESULT_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "umap-learn",
    "hdbscan",
    "openTSNE",
    "pynndescent",
    "numba",
)
PACKAGES = (*RESULT_PACKAGES, "hydra-core", "dask", "distributed")
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "umap": "umap-learn"}
# Libraries that do part of a class's work here.
_BEHIND = {
    "sklearn.cluster.AgglomerativeClustering": ("numba", "scipy"),
    "umap.UMAP": ("numba", "scikit-learn"),
}


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that results depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def library_version(target: str) -> str:
    """Return ``name==version`` of the distribution that provides the target's top-level package.

    Of a class that segkit does not know itself, its source counts too: it is edited without a new
    version.
    """
    package = target.partition(".")[0]
    if package == "segkit":
        return "segkit"
    names = (_DISTRIBUTIONS.get(package, package), *_BEHIND.get(target, ()))
    versions = " ".join(f"{name}=={_version(name)}" for name in names)
    source = source_digest(target)
    return f"{versions} {source}" if source else versions


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        # A class of another package, whose distribution has another name.
        return version(packages_distributions().get(name, [name])[0])
