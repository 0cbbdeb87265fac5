"""Measure composing and planning a large sweep, against Hydra composing it job by job.

    python experiments/benchmarks/planning.py
    python experiments/benchmarks/planning.py --configurations 2000 --sample 10

The sweep is over five scalers, with and without PCA, two clusterers, 50 numbers of clusters and as
many seeds as the number of configurations takes. It is composed and planned here at once. Hydra
composes a random sample of the same jobs, each twice, as its basic sweeper does: once to see that
it can be composed, once to run it. The sampled configurations must be equal, or the benchmark
fails. Imports are done before anything is measured, and neither way is charged for resolving
interpolations that only the comparison needs.

Then the whole command ``segkit plan`` is timed, as a user's first one on a machine and again. The
first one also imports the libraries that the configurations name, to check their parameters; the
result is cached for the user. Seconds are CPU seconds of one core unless called wall time.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segkit.study.compose import Composition

AXES = {
    "data": ["simulated"],
    "scaler": ["standard", "power", "robust", "quantile", "minmax"],
    "projection": ["none", "pca"],
    "clusterer": ["kmeans", "agglomerative"],
    "clusterer.n_clusters": list(range(2, 52)),
}
COMPOSED_BY_THE_SWEEPER = 2
ALONE = ("scoring.confirm=false", "engine=inline")


@dataclass(frozen=True)
class Seconds:
    """CPU and wall seconds."""

    cpu: float
    wall: float


def axes(configurations: int) -> dict[str, list]:
    """Return axes with at least a number of combinations; the number of seeds depends on it."""
    combinations = len(list(product(*AXES.values())))
    return {**AXES, "seed": list(range(-(-configurations // combinations)))}


def as_sweep(varied: dict[str, list]) -> list[str]:
    """Return the axes as the overrides of one command line."""
    return [f"{name}={','.join(map(str, values))}" for name, values in varied.items()]


def as_jobs(varied: dict[str, list]) -> list[list[str]]:
    """Return the overrides of every job, the last axis varying fastest."""
    return [
        [f"{name}={value}" for name, value in zip(varied, values, strict=True)]
        for values in product(*varied.values())
    ]


def compose_here(sweep: Sequence[str]) -> tuple[Composition, float]:
    """Compose the sweep at once; return the composition and its seconds."""
    from segkit.study.compose import compose_study

    start = time.process_time()
    composition = compose_study([*sweep, *ALONE])
    return composition, time.process_time() - start


def compose_by_hydra(
    jobs: Sequence[Sequence[str]],
) -> tuple[list[tuple[dict[str, Any], int]], float]:
    """Compose jobs one by one with Hydra; return the groups and seed of each, and the time."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from segkit.study import RUN_GROUPS
    from segkit.study.compose.paths import conf_dir

    composed, seconds = [], 0.0
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for job in jobs:
            start = time.process_time()
            for _ in range(COMPOSED_BY_THE_SWEEPER):
                config = compose("config", overrides=[*job, *ALONE])
            seconds += time.process_time() - start
            tree = OmegaConf.to_container(config, resolve=True)
            composed.append(({group: tree[group] for group in RUN_GROUPS}, tree["seed"]))
    return composed, seconds


def plan_here(composition: Composition) -> tuple[int, float]:
    """Return the number of stages of a composition's plan, and how long the plan took."""
    from segkit.study.run.preparation import prepare

    with TemporaryDirectory(prefix="planning_") as store:
        composition.study["store"] = store
        # The estimators' parameters are checked before the clock starts: that imports their
        # libraries.
        prepare(composition)
        start = time.process_time()
        prepared = prepare(composition)
        return len(prepared.plan.nodes), time.process_time() - start


def command(sweep: Sequence[str], store: Path) -> Seconds:
    """Time the whole command, from the start of the interpreter to its end."""
    line = [sys.executable, "-m", "segkit.cli", "plan", *sweep, *ALONE, f"store={store}"]
    before, wall = _children(), time.monotonic()
    cache = {"XDG_CACHE_HOME": str(store / "cache")}
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, env=os.environ | cache)
    return Seconds(_children() - before, time.monotonic() - wall)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def differing(
    composition: Composition, places: Sequence[int], stock: Sequence[tuple[dict[str, Any], int]]
) -> list[int]:
    """Return the sampled configurations that differ from what Hydra made of the same job."""
    ours = [composition.configurations[place] for place in places]
    pairs = zip(places, ours, stock, strict=True)
    return [place for place, own, theirs in pairs if (own.groups, own.seed) != theirs]


def lines(configurations: int, sample: int, seed: int) -> list[str]:
    """Measure everything and return the figures as text."""
    varied = axes(configurations)
    jobs = as_jobs(varied)
    places = sorted(random.Random(seed).sample(range(len(jobs)), min(sample, len(jobs))))
    compose_by_hydra(jobs[:1])
    compose_here(as_sweep({**varied, "seed": [0]}))
    composition, composing = compose_here(as_sweep(varied))
    if len(composition.configurations) != len(jobs):
        raise SystemExit(
            f"{len(composition.configurations):,} configurations instead of {len(jobs):,}"
        )
    stock, job_by_job = compose_by_hydra([jobs[place] for place in places])
    wrong = differing(composition, places, stock)
    if wrong:
        raise SystemExit(
            f"{len(wrong)} of {len(places)} configurations are not Hydra's own: {jobs[wrong[0]]}"
        )
    stages, planning = plan_here(composition)
    ours, theirs = composing / len(jobs), job_by_job / len(places)
    with TemporaryDirectory(prefix="planning_") as store:
        first, again = (command(as_sweep(varied), Path(store)) for _ in range(2))
    return [
        f"{len(jobs):,} configurations, {stages:,} unique stages",
        f"composing here:       {composing:8.2f} s, {1000 * ours:8.3f} ms per configuration",
        (
            f"composing by Hydra:   {theirs * len(jobs):8.0f} s, {1000 * theirs:8.3f} ms per"
            " configuration"
        ),
        (
            f"ratio:                {theirs / ours:8.0f}, {len(places)} sampled configurations are"
            " equal"
        ),
        (
            f"planning here:        {planning:8.2f} s, {1000 * planning / len(jobs):8.3f} ms per"
            " configuration"
        ),
        f"segkit plan:          {first.wall:8.2f} s wall, {first.cpu:.2f} s CPU",
        f"segkit plan, again:   {again.wall:8.2f} s wall, {again.cpu:.2f} s CPU",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--configurations",
        type=int,
        default=10_000,
        metavar="N",
        help="at least this many (10,000)",
    )
    parser.add_argument(
        "--sample", type=int, default=50, metavar="N", help="jobs that Hydra composes (50)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    asked = _arguments()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    print("\n".join(lines(asked.configurations, asked.sample, asked.seed)))


if __name__ == "__main__":
    main()
