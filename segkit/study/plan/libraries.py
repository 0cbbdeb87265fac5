"""The libraries that decide results: their versions are part of keys and of the provenance."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from segkit.targets import source_digest

#: Another version of one of these may change a result.
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
# segkit computes part of these classes' work itself, by these libraries.
_BEHIND = {
    "sklearn.cluster.AgglomerativeClustering": ("numba", "scipy"),
    "umap.UMAP": ("numba", "scikit-learn"),
}


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that results depend on."""
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "not installed"
    return installed


@cache
def library_version(target: str) -> str:
    """Return ``name==version`` of the distribution that provides the target's top-level package.

    A class outside segkit's own list adds a digest of its source: it may be edited without a new
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
        # The distribution of a package may have another name.
        return version(packages_distributions().get(name, [name])[0])
