r"""Compare a sweep with the same configurations computed the plain way, on the same machine.

    python experiments/benchmarks/sharing.py
    python experiments/benchmarks/sharing.py --sample 32 \
        --overrides experiment=cc_general data=simulated data.n=2000
    python experiments/benchmarks/sharing.py --study outputs/cc_general/latest \
        --overrides experiment=cc_general

The plain way is a loop over configurations in one warm process with the libraries' own estimators
and scores, which may use all cores if they do by themselves: scale, project, cluster, score in the
run's own space and in every reference space, recluster every draw and compare. It is timed for a
random sample of configurations, with equal numbers of each projection with each clusterer, and
scaled up. Compilation and loading at a library's first call are not counted.

UMAP and t-SNE get the same exact neighbours as in the study, searched for each configuration, so
that their embeddings can be compared: another search has other last digits, and both methods turn
those into other embeddings. With their own search they would take about as long. For the same
reason a run that differs is repeated, not timed, with one thread, as in a stage: several threads
change the last digits of sums. Two partitions into one cluster each have no adjusted Rand index, as
in the study; scikit-learn returns 1.

The study is one `segkit sweep` with an empty store, from the command to its end, or a finished one
whose folder is given.

It prints the seconds of both, their ratio in wall time and in CPU time, the study's efficiency, and
whether the labels and the scores of the sample agree. The exit code is 1 if they do not.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from segkit.study.plan.planner import RunPlan
    from segkit.study.run.preparation import Prepared

SCORES = ("silhouette", "davies_bouldin", "calinski_harabasz")
# Relative. scikit-learn's Davies-Bouldin takes distances from a matrix product, losing digits.
TOLERANCE, DAVIES_BOULDIN_TOLERANCE = 1e-9, 1e-7


@dataclass(frozen=True)
class Seconds:
    """Wall and CPU seconds, children included."""

    wall: float
    cpu: float


# The plain way


def plain_run(run: RunPlan, matrices: Matrices, draws: int) -> tuple[dict[str, Any], np.ndarray]:
    """Return the scores and the labels of one configuration by the libraries alone."""
    from segkit.targets import build

    space = _project(run.groups["projection"], matrices.scaled(run))
    labels = _fit(build(run.groups["clusterer"]), space)
    clustered = labels >= 0
    scores = _scores("native", space, labels, clustered)
    for name, reference in matrices.references().items():
        scores |= _scores(name, reference, labels, clustered)
    scores["stability_ari"] = _stability(run, space, labels, draws, matrices.identity)
    return scores, labels


class Matrices:
    """The feature matrices of a study, made once; scaling is part of every configuration's work."""

    def __init__(self, prepared: Prepared):
        from segkit.data import source

        self.prepared = prepared
        (self.identity,) = {run.data for run in prepared.plan.runs}
        self.table = source(prepared.plan.runs[0].groups["data"]).load()
        self._features: dict[str, np.ndarray] = {}

    def _matrix(self, features: Mapping[str, Any]) -> np.ndarray:
        from segkit.features import build_features

        key = json.dumps(features, sort_keys=True)
        if key not in self._features:
            self._features[key] = build_features(self.table, features).matrix
        return self._features[key]

    def scaled(self, run: RunPlan) -> np.ndarray:
        """Return a run's scaled features."""
        return self._scale(run.groups["features"], run.groups["scaler"])

    def references(self) -> dict[str, np.ndarray]:
        """Return the reference spaces by the suffix of their columns."""
        from segkit.study.keep.runs_table import space_suffix

        asked = self.prepared.composition.references
        return {
            space_suffix(name, list(asked)): self._scale(reference["features"], reference["scaler"])
            for name, reference in asked.items()
        }

    def _scale(self, features: Mapping[str, Any], scaler: Mapping[str, Any]) -> np.ndarray:
        from segkit.targets import build

        return build(scaler).fit_transform(self._matrix(features))


def _project(config: Mapping[str, Any], X: np.ndarray) -> np.ndarray:
    import numpy as np

    from segkit.projection.neighbours import search
    from segkit.targets import build, class_name

    name, estimator = class_name(config), build(config)
    if name == "openTSNE.TSNE":
        from openTSNE.nearest_neighbors import PrecomputedNeighbors

        near = search(X, int(3 * estimator.perplexity))
        estimator.neighbors = PrecomputedNeighbors(near.indices, near.distances)
        return np.asarray(estimator.fit(X), dtype=np.float64)
    if name == "umap.UMAP":
        near = search(X, estimator.n_neighbors - 1)
        # UMAP counts the customer itself.
        indices = np.column_stack([np.arange(len(X)), near.indices]).astype(np.int32)
        distances = np.column_stack([np.zeros(len(X)), near.distances]).astype(np.float32)
        estimator.precomputed_knn = (indices, distances, None)
    return np.ascontiguousarray(estimator.fit_transform(X), dtype=np.float64)


def _fit(estimator: Any, X: np.ndarray) -> np.ndarray:
    return (
        estimator.fit_predict(X)
        if hasattr(estimator, "fit_predict")
        else estimator.fit(X).predict(X)
    )


def _scores(
    suffix: str, space: np.ndarray, labels: np.ndarray, clustered: np.ndarray
) -> dict[str, float | None]:
    import numpy as np
    from sklearn import metrics

    functions = (
        metrics.silhouette_score,
        metrics.davies_bouldin_score,
        metrics.calinski_harabasz_score,
    )
    scored = 1 < len(np.unique(labels[clustered])) < clustered.sum()
    return {
        f"{name}_{suffix}": float(score(space[clustered], labels[clustered])) if scored else None
        for name, score in zip(SCORES, functions, strict=True)
    }


def _stability(
    run: RunPlan, space: np.ndarray, labels: np.ndarray, draws: int, identity: str
) -> float | None:
    import numpy as np
    from sklearn.metrics import adjusted_rand_score

    from segkit.scoring.stability import draw
    from segkit.targets import build

    indices = []
    for index in range(draws):
        rows = draw(identity, index, len(space))
        again, before = _fit(build(run.groups["clusterer"]), space[rows]), labels[rows]
        both = (again >= 0) & (before >= 0)
        if both.any() and max(len(np.unique(before[both])), len(np.unique(again[both]))) > 1:
            indices.append(adjusted_rand_score(before[both], again[both]))
    return float(np.mean(indices)) if indices else None


# Against the study


def sample_runs(
    runs: Sequence[RunPlan], size: int, seed: int
) -> dict[tuple[str, str], list[RunPlan]]:
    """Draw about the same number of runs of every projection with every clusterer."""
    cells: dict[tuple[str, str], list[RunPlan]] = defaultdict(list)
    for run in runs:
        cells[run.choices["projection"], run.choices["clusterer"]].append(run)
    each = max(1, round(size / len(cells)))
    rng = random.Random(seed)
    return {cell: rng.sample(members, min(each, len(members))) for cell, members in cells.items()}


def differences(
    scores: Mapping[str, Any], labels: np.ndarray, row: pd.Series, study_labels: np.ndarray
) -> list[str]:
    """Return the differences of a plain run and the study's: in labels, and in scores.

    The numbering of labels does not matter; scores are compared relatively.
    """
    import pandas as pd

    from segkit.clustering import canonical

    texts = [] if (canonical(labels) == canonical(study_labels)).all() else ["labels"]
    for name, value in scores.items():
        other = None if pd.isna(row[name]) else float(row[name])
        if (value is None) != (other is None):
            texts.append(f"{name}: {value} plain, {other} in the study")
        elif (
            value is not None
            and other is not None
            and abs(value - other) > _allowed(name) * max(1.0, abs(value))
        ):
            texts.append(f"{name}: {value!r} plain, {other!r} in the study")
    return texts


def _allowed(name: str) -> float:
    return DAVIES_BOULDIN_TOLERANCE if name.startswith("davies_bouldin") else TOLERANCE


def timed_study(overrides: Sequence[str], workers: int, folder: Path) -> tuple[Path, Seconds]:
    """Run the sweep as its user would and return its folder and seconds."""
    places = [
        f"store={folder / 'store'}",
        f"hydra.sweep.dir={folder / 'study'}",
        f"engine.workers={workers}",
    ]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(["segkit", "sweep", *overrides, *places], check=True, stdout=subprocess.DEVNULL)
    wall = time.monotonic() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return folder / "study", Seconds(
        wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    )


def kept_seconds(folder: Path) -> Seconds:
    """Return the seconds that a finished study says it took."""
    provenance = json.loads((folder / "provenance.json").read_text())
    return Seconds(provenance["wall_seconds"], sum(provenance["seconds"].values()))


def main() -> int:
    """Time both and compare."""
    asked = _arguments()
    # What UMAP says of a seed and of given neighbours.
    warnings.simplefilter("ignore")
    from segkit.study.compose import compose_study
    from segkit.study.run.preparation import prepare

    overrides = [*asked.overrides, "scoring.confirm=false"]
    overrides += ["scoring.racing=true"] if asked.racing else []
    prepared = prepare(compose_study(overrides))
    with tempfile.TemporaryDirectory(prefix="sharing_") as name:
        if asked.study:
            folder = asked.study.resolve()
            study = kept_seconds(folder)
        else:
            folder, study = timed_study(overrides, asked.workers, Path(name))
        return _compare(prepared, folder, study, asked)


def _compare(prepared: Prepared, folder: Path, study: Seconds, asked: argparse.Namespace) -> int:
    import pandas as pd
    from threadpoolctl import threadpool_limits

    runs = pd.read_parquet(folder / "runs.parquet").set_index("run")
    provenance = json.loads((folder / "provenance.json").read_text())
    matrices, wrong, alone = Matrices(prepared), [], 0
    cells = sample_runs(prepared.plan.runs, asked.sample, asked.seed)
    counts = defaultdict(int)
    for run in prepared.plan.runs:
        counts[run.choices["projection"], run.choices["clusterer"]] += 1
    wall = cpu = 0.0
    print(
        f"{'projection':<12}{'clusterer':<16}{'runs':>6}{'sample':>8}{'wall s':>9}{'CPU s':>9}  "
        " the plain way, per run"
    )
    for cell, members in cells.items():
        _warm(members[0], matrices)
        spent = []
        for run in members:
            began, used = time.monotonic(), time.process_time()
            draws = (
                int(runs.loc[run.id, "stability_draws"])
                if asked.racing
                else prepared.plan.planner.draws
            )
            scores, labels = plain_run(run, matrices, draws)
            spent.append(Seconds(time.monotonic() - began, time.process_time() - used))
            study_labels = pd.read_parquet(folder / "partitions.parquet", columns=[run.id])[
                run.id
            ].to_numpy(int)
            row = runs.loc[run.id]
            if differences(scores, labels, row, study_labels):
                with threadpool_limits(1):
                    scores, labels = plain_run(run, matrices, draws)
                alone += 1
            wrong += [
                f"{run.id} {'/'.join(cell)}: {text}"
                for text in differences(scores, labels, row, study_labels)
            ]
        mean = Seconds(
            sum(s.wall for s in spent) / len(spent), sum(s.cpu for s in spent) / len(spent)
        )
        wall, cpu = wall + mean.wall * counts[cell], cpu + mean.cpu * counts[cell]
        print(
            f"{cell[0]:<12}{cell[1]:<16}{counts[cell]:>6}{len(members):>8}{mean.wall:>9.2f}{mean.cpu:>9.2f}",
            flush=True,
        )
    print(
        f"plain way, {len(prepared.plan.runs)} runs: {wall:,.0f} s wall, {cpu:,.0f} s CPU"
        " (multiplied up)"
    )
    print(
        f"study: {study.wall:,.1f} s wall, {study.cpu:,.1f} s CPU, efficiency"
        f" {provenance.get('efficiency')}"
    )
    print(f"ratio: {wall / study.wall:.1f} in wall time, {cpu / study.cpu:.1f} in CPU time")
    print(
        *(
            wrong
            or [f"labels and scores of all {sum(map(len, cells.values()))} sampled runs agree"]
        ),
        sep="\n",
    )
    if alone:
        print(
            f"{alone} of them were compared with one thread, as they have other digits over several"
        )
    return 1 if wrong else 0


def _warm(run: RunPlan, matrices: Matrices) -> None:
    """Let the libraries compile and load what they need, on a few customers."""
    from segkit.targets import build

    X = matrices.scaled(run)[:400]
    _fit(build(run.groups["clusterer"]), _project(run.groups["projection"], X))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--overrides",
        nargs="+",
        default=["experiment=cc_general"],
        help="the sweep (experiment=cc_general)",
    )
    parser.add_argument(
        "--sample", type=int, default=32, help="configurations that are computed the plain way (32)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--workers", type=int, default=2, help="of the study (2)")
    parser.add_argument(
        "--racing",
        action="store_true",
        help="let draws stop early in the study (scoring.racing=true)",
    )
    parser.add_argument(
        "--study", type=Path, help="a finished study of these overrides, in place of a new one"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
