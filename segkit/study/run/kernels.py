"""Which compiled kernels stages need, and the first launch of an installation, at which they are compiled."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from segkit import clustering, projection
from segkit.targets import class_name

if TYPE_CHECKING:
    from segkit.study.plan.graph import Task


class _Kernel(NamedTuple):
    """A function that is compiled late: where one is kept, those before it are."""

    package: str
    module: str
    function: str
    seconds: float  # of CPU, imports and all


# By the class whose stages need them, what takes longest first: it is begun first.
_KERNELS: Mapping[str, _Kernel] = {
    "umap.UMAP": _Kernel("umap", "umap_.py", "compute_membership_strengths", 22.0),
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
    """Return the classes whose kernels are needed and not kept on this machine, each with one configuration."""
    needed = {name: _config(task) for task in tasks if (name := needed_by(task))}
    return {
        name: needed[name] for name in _KERNELS if name in needed and not _is_kept(_KERNELS[name])
    }


def compile_seconds(names: Iterable[str], workers: int) -> float:
    """Return the wall seconds in which workers compile the kernels of classes, one worker each."""
    seconds = [_KERNELS[name].seconds for name in names]
    return max(max(seconds), sum(seconds) / workers)


def compile_kernels(config: Mapping[str, Any]) -> float:
    """Compile the kernels of a projection or clusterer, or load those that are kept, and return the CPU seconds."""
    begun = time.process_time()
    # What cannot be done here is told by the stage itself.
    with contextlib.suppress(Exception):
        (projection if class_name(config) == "umap.UMAP" else clustering).warm(config)
    return time.process_time() - begun


def _config(task: Task) -> Mapping[str, Any]:
    config = task.nodes[0].config
    return config.get("clusterer", config)


def _is_kept(kernel: _Kernel) -> bool:
    """Tell whether numba keeps a compiled kernel in one of the folders that it looks in."""
    spec = find_spec(kernel.package)
    if spec is None or spec.origin is None:
        return True
    source = Path(spec.origin).parent / kernel.module
    pattern = f"{source.stem}.{kernel.function}-*.nbi"
    return any(any(folder.rglob(pattern)) for folder in _folders(source))


def _folders(source: Path) -> list[Path]:
    """Return the folders in which numba keeps what it compiled of a file: the user's, beside the file, a common one."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("NUMBA_CACHE_DIR")
    return (
        [Path(chosen)]
        if chosen
        else [source.parent / "__pycache__", user_cache_path("numba", appauthor=False)]
    )
