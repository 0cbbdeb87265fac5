"""Measure how the time and memory of a sweep grow with the number of customers.

    python experiments/benchmarks/scaling.py
    python experiments/benchmarks/scaling.py --customers 1000 4000 16000 64000 --output outputs/size

Each size is one `segkit sweep` of 100 configurations on `simulated` customers, screen only, with an
empty store: no projection, two PCA and two UMAP, each with K-Means, agglomerative, DBSCAN and
HDBSCAN. Sizes that count customers (min_samples, min_cluster_size) grow with the table. Sampling is
the default (conf/sampling/default.yaml).

It prints and writes wall seconds, CPU seconds and peak memory by kind of stage (scaling.csv), the
exponent of each kind's CPU time in n from 16,000 customers on, and a plot (scaling.png). Sizes that
are in the file already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SIZES = (1_000, 4_000, 16_000, 64_000, 1_000_000)
FITTED_FROM = 16_000
TOTAL, WALL = "all stages", "wall"


def overrides(customers: int) -> list[str]:
    """Return the sweep for a table of a number of customers."""
    dense, large = max(5, customers // 2_000), max(10, customers // 100)
    clusterers = [
        "{kmeans: {n_clusters: 'range(2, 10)'}}",
        "{agglomerative: {n_clusters: 'range(2, 10)'}}",
        f"{{dbscan: {{eps: [0.5, 1.0], min_samples: {dense}}}}}",
        f"{{hdbscan: {{min_cluster_size: [{large}, {2 * large}], min_samples: {dense}}}}}",
    ]
    return [
        "data=simulated",
        f"data.n={customers}",
        "scaler=power",
        "+sweep.projection=[none, {pca: {n_components: [2, 5]}}, {umap: {n_neighbors: [15, 50]}}]",
        f"+sweep.clusterer=[{', '.join(clusterers)}]",
        "scoring.confirm=false",
    ]


def measure(customers: int, workers: int) -> list[dict[str, Any]]:
    """Run the sweep; return a row for each kind of stage, for their sum, and for the wall time."""
    with tempfile.TemporaryDirectory(prefix="scaling_") as name:
        folder = Path(name)
        places = [
            f"store={folder / 'store'}",
            f"hydra.sweep.dir={folder / 'study'}",
            f"engine.workers={workers}",
        ]
        subprocess.run(
            ["segkit", "sweep", *overrides(customers), *places],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        provenance = json.loads((folder / "study" / "provenance.json").read_text())
    memory = provenance["peak_memory"]
    rows = [
        {"stage": kind, "seconds": spent, "peak_gib": _gib(memory.get(kind))}
        for kind, spent in provenance["seconds"].items()
    ]
    rows += [
        {
            "stage": TOTAL,
            "seconds": sum(provenance["seconds"].values()),
            "peak_gib": _gib(max(memory.values())),
        }
    ]
    rows += [{"stage": WALL, "seconds": provenance["wall_seconds"], "peak_gib": None}]
    study = {
        "customers": customers,
        "runs": provenance["counts"]["runs"],
        "ok": provenance["counts"]["ok"],
    }
    return [study | row for row in rows]


def _gib(size: float | None) -> float | None:
    # Provenance has it in MiB.
    return None if size is None else round(size / 1024, 3)


def exponents(table: pd.DataFrame) -> pd.Series:
    """Fit seconds ~ n^e to each kind of stage from 16,000 customers on.

    By least squares of the logarithms.
    """
    import numpy as np

    large = table[(table["customers"] >= FITTED_FROM) & (table["seconds"] > 0)]
    several = large.groupby("stage")["customers"].transform("nunique") > 1
    fitted = large[several].groupby("stage")[["customers", "seconds"]]
    return fitted.apply(
        lambda part: float(np.polyfit(np.log(part["customers"]), np.log(part["seconds"]), 1)[0])
    )


def plot(table: pd.DataFrame, path: Path) -> None:
    """Draw CPU seconds and peak memory of each kind of stage against the number of customers."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(10, 5), layout="constrained")
    tints = {stage: f"C{place}" for place, stage in enumerate(table["stage"].unique())}
    for axes, column, label in zip(
        figure.subplots(1, 2),
        ("seconds", "peak_gib"),
        ("seconds of CPU (wall: of time)", "peak memory of a worker, GiB"),
        strict=True,
    ):
        for stage, part in table.dropna(subset=[column]).groupby("stage", sort=False):
            axes.plot(part["customers"], part[column], marker="o", markersize=3, color=tints[stage])
        axes.set(xscale="log", yscale="log", xlabel="customers", ylabel=label)
        axes.grid(alpha=0.3)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    handles = [
        Line2D([], [], marker="o", markersize=3, color=tint, label=stage)
        for stage, tint in tints.items()
    ]
    figure.legend(handles=handles, fontsize="small", ncols=5, loc="outside lower center")
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measure the missing sizes and print the figures of all."""
    import pandas as pd

    asked = _arguments()
    asked.output.mkdir(parents=True, exist_ok=True)
    path = asked.output / "scaling.csv"
    table = (
        pd.read_csv(path)
        if path.exists()
        else pd.DataFrame({"customers": pd.Series(dtype="int64")})
    )
    for customers in asked.customers:
        if customers not in set(table["customers"]):
            table = pd.concat(
                [table, pd.DataFrame(measure(customers, asked.workers))], ignore_index=True
            )
            table.to_csv(path, index=False)
            print(table[table["customers"] == customers].to_string(index=False), flush=True)
    for column in ("seconds", "peak_gib"):
        by_size = table.pivot_table(index="stage", columns="customers", values=column)
        print(f"\n{column}\n{by_size.round(2).to_string()}")
    print(
        f"\nexponents of the time from {FITTED_FROM:,} customers"
        f" on\n{exponents(table).round(2).to_string()}"
    )
    plot(table, asked.output / "scaling.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--customers", type=int, nargs="+", default=SIZES, metavar="N", help="sizes of the table"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument(
        "--output", type=Path, default=Path("outputs/scaling"), help="folder (outputs/scaling)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
