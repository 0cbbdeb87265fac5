"""Measure how often a study recommends segments in data without, and finds planted ones.

    python experiments/benchmarks/false_findings.py
    python experiments/benchmarks/false_findings.py --structureless 12 --planted 8 --output f.jsonl

False findings: studies of tables without segments that recommend a run. The tables are of four
kinds in equal parts: independent columns; a correlated Gaussian; skewed columns with masses at
zero, dependent on each other; and the built-in ``simulated_profile``. At level 0.05 five of 100 are
expected, and more than nine have a probability of 0.03.

Power: studies of the built-in ``simulated`` customers, in five planted groups, that recommend a run
with five clusters and an adjusted Rand index of at least 0.8 with the truth. How far the groups
overlap is printed as the index that K-Means with the true number of clusters has in the power
space.

Every study is a sweep of 51 runs (without projection, PCA and UMAP; K-Means, agglomerative, DBSCAN
and HDBSCAN). 20 of them are confirmed, as by default, with less of the costly work: 19 copula
tables, the fewest for the level, instead of 39; 5 draws in the screen, which only place runs on the
shortlist; 5 refits, which only choose among the runs that hold up; a single fresh draw and other
seed, which decide nothing; no shuffled tables. The recommendation is therefore less certain than by
default, but the level is the same. The scaler is the power space's, and UMAP runs the 200 epochs
that umap-learn uses for large tables (its default for small ones is 500).

Finished studies are added to a JSON-lines file and not run again, so an interrupted benchmark
resumes where it stopped. A study takes about 25 seconds of CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from segkit.study.keep.finished import Finished

CUSTOMERS = 1000
STRUCTURELESS = ("independent", "correlated", "skewed", "simulated_profile")
PLANTED = "simulated"
CLUSTERS = 5
FOUND = 0.8
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

SWEEP = (
    "scaler=power",
    "+sweep.projection=[none, {pca: {n_components: 5}}, {umap: {n_neighbors: 15, n_epochs: 200}}]",
    (
        "+sweep.clusterer=[{kmeans: {n_clusters: [2, 3, 4, 5, 6, 7]}}, {agglomerative: {n_clusters:"
        " [2, 3, 4, 5, 6, 7]}}, {dbscan: {eps: [0.5, 1.0, 2.0]}}, {hdbscan: {min_cluster_size: [20,"
        " 50]}}]"
    ),
)


@dataclass(frozen=True)
class Settings:
    """How every study is confirmed."""

    shortlist: int = 20
    refits: int = 5
    nulls: int = 19
    draws: int = 5
    level: float = 0.05

    @property
    def overrides(self) -> list[str]:
        """The settings as a study takes them."""
        return [
            "scoring.confirm=true",
            "scoring.references=[power]",
            "scoring.confirm_draws=1",
            "scoring.seeds=1",
            f"scoring.draws={self.draws}",
            f"scoring.shortlist={self.shortlist}",
            f"scoring.refits={self.refits}",
            f"scoring.nulls={{copula: {self.nulls}, permuted: 0}}",
            f"scoring.level={self.level}",
        ]


@dataclass(frozen=True)
class Case:
    """One table: its kind and the seed that it is drawn with."""

    kind: str
    seed: int


# Tables


def independent(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw independent columns: normal, uniform, exponential, log-normal and counts."""
    import numpy as np

    draws = (
        lambda: rng.standard_normal(n),
        lambda: rng.random(n),
        lambda: rng.exponential(size=n),
        lambda: np.exp(rng.uniform(0.3, 1.2) * rng.standard_normal(n)),
        lambda: rng.poisson(rng.uniform(1, 8), n).astype(float),
    )
    return np.column_stack([draws[rng.integers(len(draws))]() for _ in range(_width(rng))])


def correlated(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw from a normal distribution with one to three common factors."""
    return _normals(rng, n, _loadings(rng, _width(rng)))


def skewed(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw correlated log-normal columns, most of them with a mass at zero.

    Who is at zero depends on the column's own size and on who is at zero in other columns, more or
    less by table.
    """
    import numpy as np

    loadings = _loadings(rng, _width(rng))
    sizes, others = _normals(rng, n, loadings), _normals(rng, n, loadings)
    amounts = np.exp(rng.uniform(0.4, 1.4, len(loadings)) * sizes)
    own = rng.uniform(0, 1)
    zero = own * sizes + np.sqrt(1 - own**2) * others
    shares = rng.uniform(0.05, 0.6, len(loadings)) * (rng.random(len(loadings)) < 0.8)
    at_zero = zero.argsort(axis=0).argsort(axis=0) < shares * n
    return np.where(at_zero, 0.0, amounts.round(4))


DRAWN = {"independent": independent, "correlated": correlated, "skewed": skewed}


def _width(rng: np.random.Generator) -> int:
    return int(rng.integers(6, 15))


def _loadings(rng: np.random.Generator, columns: int) -> np.ndarray:
    """Draw the share of each factor in each column; with the rest, each column has variance 1."""
    import numpy as np

    loadings = rng.standard_normal((columns, rng.integers(1, 4)))
    common = rng.uniform(0.1, 0.8, columns)
    return loadings * np.sqrt(common / (loadings**2).sum(axis=1))[:, None]


def _normals(rng: np.random.Generator, n: int, loadings: np.ndarray) -> np.ndarray:
    import numpy as np

    factors, own = (
        rng.standard_normal((n, loadings.shape[1])),
        rng.standard_normal((n, len(loadings))),
    )
    return factors @ loadings.T + own * np.sqrt(1 - (loadings**2).sum(axis=1))


def data_overrides(case: Case, folder: Path) -> list[str]:
    """Return the overrides for a case's table; write it to the folder if it is not built in."""
    import numpy as np
    import pandas as pd

    if case.kind not in DRAWN:
        return [f"data={case.kind}", f"data.n={CUSTOMERS}", f"data.seed={case.seed}"]
    rng = np.random.default_rng([STRUCTURELESS.index(case.kind), case.seed])
    values = DRAWN[case.kind](rng, CUSTOMERS)
    path = folder / "customers.parquet"
    pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])]).to_parquet(path)
    return ["data=table", f"data.path={path}"]


# Studies


def study(case: Case, settings: Settings, keep: str | None) -> dict[str, Any]:
    """Run one study in a temporary folder and return its record, one line of the output."""
    with TemporaryDirectory(prefix="false_findings_") as name:
        folder = Path(name)
        wall, cpu = time.monotonic(), time.process_time()
        finished = _launch(case, settings, folder)
        seconds = {
            "cpu": round(time.process_time() - cpu, 2),
            "wall": round(time.monotonic() - wall, 2),
        }
        if keep:
            copytree(finished.folder, Path(keep, f"{case.kind}_{case.seed}"), dirs_exist_ok=True)
        recommendation = json.loads((finished.folder / "recommendation.json").read_text())
        return {
            **asdict(case),
            "settings": asdict(settings),
            **_findings(recommendation, finished.runs),
            "seconds": seconds,
        }


def _launch(case: Case, settings: Settings, folder: Path) -> Finished:
    from segkit.progress import Silent
    from segkit.study.compose import compose_study
    from segkit.study.run.preparation import prepare
    from segkit.study.sweep import launch

    places = [f"store={folder / 'store'}", f"hydra.sweep.dir={folder / 'study'}", "engine=inline"]
    composition = compose_study(
        [*data_overrides(case, folder), *SWEEP, *settings.overrides, *places]
    )
    return launch(prepare(composition), sys.argv, Silent())


def _findings(recommendation: Mapping[str, Any], runs: pd.DataFrame) -> dict[str, Any]:
    null = recommendation.get("null", {})
    plain = runs[(runs["projection"] == "none") & (runs["clusterer"] == "kmeans")]
    summary = {
        "verdict": recommendation["verdict"],
        "p": null.get("p"),
        "statistic": null.get("statistic"),
        "runs": len(runs),
        "eligible": recommendation["eligible"],
        "failed": int((runs["status"] == "failed").sum()),
        "kmeans_ari": _ari(plain[plain["n_clusters"] == CLUSTERS].iloc[0]),
    }
    if recommendation["run"] is None:
        return summary
    row = runs.set_index("run").loc[recommendation["run"]]
    scores = {"clusters": int(row["n_clusters"]), "ari": _ari(row)}
    return summary | {
        "recommended": scores | {name: row[name] for name in ("projection", "clusterer")}
    }


def _ari(row: pd.Series) -> float | None:
    value = row.get("truth_ari")
    return None if value is None or value != value else round(float(value), 4)


# All studies


def cases(structureless: int, planted: int, first: int = 0) -> Iterator[Case]:
    """Yield the cases with the kinds in turn, so that an interrupted run has some of each kind."""
    for index in range(max(structureless, planted)):
        if index < structureless:
            yield Case(
                STRUCTURELESS[index % len(STRUCTURELESS)], first + index // len(STRUCTURELESS)
            )
        if index < planted:
            yield Case(PLANTED, first + index)


def read(output: Path, settings: Settings) -> dict[Case, dict[str, Any]]:
    """Return the records of the cases with these settings, without a line that was cut short."""
    records = {}
    for line in output.read_text().splitlines() if output.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if record["settings"] == asdict(settings):
            records[Case(record["kind"], record["seed"])] = record
    return records


def measure(
    todo: Sequence[Case], settings: Settings, workers: int, output: Path, keep: str | None
) -> None:
    """Run the studies of the cases, one per process, and add each to the output when it ends."""
    from segkit.study.keep.provenance import commit

    # Taken now, since the checkout may change while the processes run.
    code = {"commit": commit()}
    output.parent.mkdir(parents=True, exist_ok=True)
    # The numerical libraries read them when the new processes import them.
    os.environ.update(dict.fromkeys(THREADS, "1"))
    with (
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
        output.open("a") as lines,
    ):
        # The last line may have been cut short.
        lines.write("\n" if lines.tell() else "")
        futures = {pool.submit(study, case, settings, keep): case for case in todo}
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                record = future.result() | code
                lines.write(json.dumps(record) + "\n")
                lines.flush()
                print(f"[{number}/{len(todo)}] {_line(record)}", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _line(record: Mapping[str, Any]) -> str:
    line = f"{record['kind']} {record['seed']}: {record['verdict']}, p = {record['p']}"
    if "recommended" in record:
        line += ", {projection} {clusterer}, {clusters} clusters, ARI {ari}".format(
            **record["recommended"]
        )
    return f"{line}, {record['seconds']['cpu']:.0f} s CPU"


# The summary


def summary(records: Iterable[Mapping[str, Any]]) -> str:
    """Return false findings, power, the p values and the seconds, as text."""
    records = list(records)
    by_kind = {
        kind: [record for record in records if record["kind"] == kind]
        for kind in (*STRUCTURELESS, PLANTED)
    }
    without, planted = [record for record in records if record["kind"] != PLANTED], by_kind[PLANTED]
    lines = [f"False findings: {_share([is_recommended(record) for record in without])}"]
    lines += [
        f"  {kind:<18}{_share([is_recommended(record) for record in by_kind[kind]])}"
        for kind in STRUCTURELESS
        if by_kind[kind]
    ]
    lines += [f"Power: {_share([is_found(record) for record in planted])}"]
    if planted:
        lines += _planted_lines(planted)
    lines += ["p values (smallest possible 1 / (1 + tables)):"]
    lines += [f"  {kind:<18}{_p_values(of_kind)}" for kind, of_kind in by_kind.items() if of_kind]
    lines += [f"  {'all structureless':<18}{_p_values(without)}"] if without else []
    lines += (
        [f"CPU seconds per study: {_spread([record['seconds']['cpu'] for record in records])}"]
        if records
        else []
    )
    failed = sum(record["failed"] for record in records)
    lines += [f"{failed} runs failed"] if failed else []
    return "\n".join([*lines, *_code_lines(records)])


def _code_lines(records: Sequence[Mapping[str, Any]]) -> list[str]:
    commits = sorted({str(record.get("commit")) for record in records})
    mixed = (
        " (studies of different code are mixed: use another --output)" if len(commits) > 1 else ""
    )
    return [f"Commit: {', '.join(commits)}{mixed}"] if commits else []


def is_recommended(record: Mapping[str, Any]) -> bool:
    """Return whether a study recommends segments."""
    return record["verdict"] == "recommended"


def is_found(record: Mapping[str, Any]) -> bool:
    """Return whether a study recommends the planted groups: their number and nearly all members."""
    recommended = record.get("recommended", {})
    return (
        is_recommended(record)
        and recommended["clusters"] == CLUSTERS
        and recommended["ari"] >= FOUND
    )


def _planted_lines(planted: Sequence[Mapping[str, Any]]) -> list[str]:
    recommended = [item["recommended"] for item in planted if is_recommended(item)]
    lines = [
        f"  any segments recommended: {_share([is_recommended(item) for item in planted])}",
        (
            f"  K-Means, k = {CLUSTERS}, power space, ARI with the truth:"
            f" {_spread([i['kmeans_ari'] for i in planted])}"
        ),
    ]
    if recommended:
        lines += [
            (
                f"  {CLUSTERS} clusters recommended:"
                f" {_share([item['clusters'] == CLUSTERS for item in recommended])}"
            ),
            f"  recommended run, ARI with truth: {_spread([run['ari'] for run in recommended])}",
        ]
    return lines


def _share(hits: Sequence[bool]) -> str:
    """Return x of n with the Clopper-Pearson interval."""
    from scipy.stats import binomtest

    if not hits:
        return "none measured"
    low, high = binomtest(sum(hits), len(hits)).proportion_ci(0.95, "exact")
    return f"{sum(hits)} of {len(hits)} (95% interval {low:.1%} to {high:.1%})"


def _spread(values: Sequence[float]) -> str:
    import numpy as np

    return f"median {np.median(values):.3g}, {min(values):.3g} to {max(values):.3g}"


def _p_values(records: Sequence[Mapping[str, Any]]) -> str:
    import numpy as np

    values = [record["p"] for record in records if record["p"] is not None]
    untested = (
        f", {len(records) - len(values)} without a test" if len(values) < len(records) else ""
    )
    if not values:
        return f"none{untested}"
    quantiles = ", ".join(
        f"{100 * q:g}%: {value:.3f}"
        for q, value in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)
    )
    return f"n = {len(values)}, quantiles {quantiles}{untested}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--structureless", type=int, default=100, metavar="N", help="tables without segments (100)"
    )
    parser.add_argument(
        "--planted",
        type=int,
        default=100,
        metavar="N",
        help="tables with five planted groups (100)",
    )
    parser.add_argument(
        "--first-seed",
        type=int,
        default=0,
        help="first seed of every kind (0); use others for development",
    )
    parser.add_argument(
        "--shortlist", type=int, default=Settings.shortlist, help="runs that are confirmed (20)"
    )
    parser.add_argument(
        "--refits",
        type=int,
        default=Settings.refits,
        help="draws with the pipeline fitted again (5)",
    )
    parser.add_argument("--nulls", type=int, default=Settings.nulls, help="copula tables (19)")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes (one per core)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("outputs/false_findings.jsonl"), help="JSON-lines file"
    )
    parser.add_argument("--keep", metavar="FOLDER", help="keep every study's folder here")
    return parser.parse_args()


def main() -> None:
    """Run the missing studies and print the summary of all."""
    asked = _arguments()
    settings = Settings(asked.shortlist, asked.refits, asked.nulls)
    wanted = list(cases(asked.structureless, asked.planted, asked.first_seed))
    known = read(asked.output, settings)
    todo = [case for case in wanted if case not in known]
    if todo:
        measure(todo, settings, asked.workers, asked.output, asked.keep)
        known = read(asked.output, settings)
    print(summary(known[case] for case in wanted))


if __name__ == "__main__":
    main()
