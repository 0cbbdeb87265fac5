"""Which compiled kernels stages need, and their compilation at the first launch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from segkit import clustering, projection
from segkit.study.run.compat import has_compiled
from segkit.targets import class_name

if TYPE_CHECKING:
    from segkit.study.plan.graph import Task


class _Kernel(NamedTuple):
    """The function that a class compiles last: where it is cached, those before it are too."""

    package: str
    module: str
    function: str
    seconds: float  # of CPU, imports included


_UMAP = "umap.UMAP"
# By the class whose stages need them, the longest compilation first: it is begun first.
_KERNELS: Mapping[str, _Kernel] = {
    _UMAP: _Kernel("umap", "umap_.py", "compute_membership_strengths", 22.0),
    "sklearn.cluster.KMeans": _Kernel("segkit", "clustering/kmeans_kernel.py", "_lloyd", 10.0),
    "sklearn.cluster.DBSCAN": _Kernel("segkit", "clustering/dbscan_kernel.py", "_join", 5.0),
    "sklearn.cluster.AgglomerativeClustering": _Kernel(
        "segkit", "clustering/linkage_kernel.py", "cut", 4.0
    ),
    "hdbscan.HDBSCAN": _Kernel("segkit", "clustering/condense_kernel.py", "labels_at", 2.0),
}


def needed_by(task: Task) -> str | None:
    """Return the class whose kernels a task needs; None if it needs none."""
    if not task.stage.compiles:
        return None
    name = class_name(_config(task))
    return name if name in _KERNELS else None


def uncompiled(tasks: Iterable[Task]) -> dict[str, Mapping[str, Any]]:
    """Return one configuration for each class whose kernels tasks need and this machine lacks."""
    needed: dict[str, Mapping[str, Any]] = {}
    for task in tasks:
        name = needed_by(task)
        if name is not None:
            needed[name] = _config(task)
    missing = [name for name in _KERNELS if name in needed and not _is_cached(_KERNELS[name])]
    return {name: needed[name] for name in missing}


def compile_seconds(names: Iterable[str], workers: int) -> float:
    """Return the wall seconds in which workers compile the kernels of classes, one worker each."""
    seconds = [_KERNELS[name].seconds for name in names]
    return max(max(seconds), sum(seconds) / workers)


def compile_kernels(config: Mapping[str, Any]) -> float:
    """Compile, or load, the kernels of a projection or clusterer, and return the CPU seconds."""
    begun = time.process_time()
    # What fails here fails again in the stage itself, which says so.
    with contextlib.suppress(Exception):
        if class_name(config) == _UMAP:
            projection.warm(config)
        else:
            clustering.warm(config)
    return time.process_time() - begun


def warm_projections(
    configs: Sequence[Mapping[str, Any]],
    _after: Sequence[float] = (),
) -> float:
    """Load and compile what projections need, and return the CPU seconds.

    Parameters
    ----------
    configs
        Configurations of projections.
    _after
        The return values of the compilations that come first; not used.
    """
    begun = time.process_time()
    for config in configs:
        # As above.
        with contextlib.suppress(Exception):
            projection.warm(config)
    return time.process_time() - begun


def _config(task: Task) -> Mapping[str, Any]:
    """Return the configuration of a task's projection or clusterer."""
    config = task.nodes[0].config
    estimator: Mapping[str, Any] = config.get("clusterer", config)
    return estimator


def _is_cached(kernel: _Kernel) -> bool:
    """Tell whether numba's cache holds a kernel, or its package is not installed at all."""
    spec = find_spec(kernel.package)
    if spec is None or spec.origin is None:
        return True
    return has_compiled(Path(spec.origin).parent / kernel.module, kernel.function)
