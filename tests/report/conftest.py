"""A study's folder as the study writes it, small and made from nothing but numpy, pandas and scikit-learn."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

COLUMNS = (
    "BALANCE",
    "PURCHASES",
    "CASH_ADVANCE",
    "CREDIT_LIMIT",
    "PAYMENTS",
    "TENURE",
    "PURCHASES_TRX",
    "PRC_FULL_PAYMENT",
)
SCORES = ("silhouette", "davies_bouldin", "calinski_harabasz")
WHERE = ("native", "reference", "standard", "quantile")
CHROMIUM = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
GATES = {"coverage": 0.7, "smallest_cluster": 0.01, "clusters": [2, 12]}


class Study:
    """The parts of a study's folder, to be changed by a test before they are written."""

    def __init__(self, n: int = 300, columns: tuple[str, ...] = COLUMNS, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.truth = np.sort(rng.integers(0, 5, n))
        centres = rng.normal(scale=1.6, size=(5, len(columns)))
        self.scaled = centres[self.truth] + rng.normal(size=(n, len(columns)))
        self.frame = pd.DataFrame(np.exp(self.scaled), columns=list(columns))
        self.ids = np.array([f"C{i:05d}" for i in range(n)])
        self.rows: list[dict[str, Any]] = []
        self.partitions: dict[str, np.ndarray] = {}
        self.planes: dict[str, tuple[str, np.ndarray, list[str]]] = {}
        self.recommendation: dict[str, Any] = {}
        self.profiled: str | None = None
        self.nulls: list[dict[str, Any]] = []
        self.study = {
            "experiment": "synthetic",
            "question": "Which representation and clusterer give segments that hold up?",
            "seed": 42,
            "scoring": {"draws": 20, "references": ["power", "standard", "quantile"], "gates": GATES},
            "axes": {"features": ["all", "behaviour"], "scaler": ["power", "standard"]},
            "references": {"power": {}, "standard": {}, "quantile": {}},
            "report": {"customers": True},
        }
        self.provenance = {
            "command": "segkit sweep experiment=synthetic",
            "started": "2025-01-01T10:00:00+00:00",
            "finished": "2025-01-01T10:05:00+00:00",
            "state": "finished",
            "segkit": "0.1.0",
            "commit": "0123abc",
            "python": "3.11.2",
            "versions": {"numpy": "2.4.6", "scikit-learn": "1.9.0"},
            "machine": {"system": "Linux", "cores": 2, "memory_gb": 8.0},
            "data": {
                "source": "simulated customers",
                "fingerprint": "ab" * 32,
                "n_customers": n,
                "columns": list(columns),
                "missing": {columns[0]: 3},
                "skew": {name: float(self.frame[name].skew()) for name in columns},
                "warnings": [],
                "variance_shares": {
                    "all/none": {name: 0.9 if i == 0 else 0.1 / (len(columns) - 1) for i, name in enumerate(columns)},
                    "all/standard": {name: 1 / len(columns) for name in columns},
                },
            },
            "seeds": {"seed": 42},
            "counts": {"ok": 0, "failed": 0, "skipped": 0},
            "seconds": {"projection": 61.5, "clustering": 20.25, "scoring": 8.0},
            "wall_seconds": 62.0,
            "efficiency": 0.72,
            "workers": 2,
        }

    def add(self, labels: np.ndarray | None = None, status: str = "ok", **values: Any) -> str:
        """Add a run; its scores are given, or empty."""
        row = {"status": status, "reason": "", "seed": 42, "data": "simulated", "features": "all", "scaler": "power"}
        row |= {"projection": "none", "clusterer": "kmeans"} | values
        row["run"] = hashlib.sha256(repr([len(self.rows), sorted(row.items())]).encode()).hexdigest()[:12]
        if labels is not None:
            labels = np.asarray(labels)
            kept = labels[labels >= 0]
            row["n_clusters"] = len(np.unique(kept))
            row["noise_fraction"] = 1 - len(kept) / len(labels)
            row["smallest_cluster"] = np.unique(kept, return_counts=True)[1].min() / len(labels) if len(kept) else None
            self.partitions[row["run"]] = labels
        self.rows.append(row)
        return row["run"]

    def table(self) -> pd.DataFrame:
        """Return the runs table with every column that a study writes."""
        runs = pd.DataFrame(self.rows)
        scores = [f"{score}_{where}" for score in SCORES for where in WHERE]
        for column in [
            *scores,
            "stability_ari",
            "stability_ari_sd",
            "stability_ari_q05",
            "stability_ari_q95",
            "stability_jaccard_min",
            "n_clusters",
            "noise_fraction",
            "smallest_cluster",
            "inertia",
            "weight_share",
            "seconds",
            "truth_ari",
        ]:
            if column not in runs:
                runs[column] = np.nan
        for column in [*scores, "stability_ari"]:
            name = "stability_status" if column == "stability_ari" else f"{column}_status"
            runs[name] = np.where(runs[column].notna(), "ok", "not_feasible")
        for column, empty in {"stability_jaccard": None, "pareto": False, "confirmed": False, "rank": None}.items():
            runs[column] = runs.get(column, pd.Series([empty] * len(runs), dtype="object"))
        runs["pareto"] = runs["pareto"].fillna(False).astype(bool)
        runs["confirmed"] = runs["confirmed"].fillna(False).astype(bool)
        runs["rank"] = runs["rank"].astype("Int64")
        runs["n_clusters"] = runs["n_clusters"].astype("Int64")
        return runs

    def write(self, folder: Path) -> Path:
        """Write the folder."""
        from segkit.segments.profiles import profile

        folder.mkdir(parents=True, exist_ok=True)
        runs = self.table()
        runs.to_parquet(folder / "runs.parquet", index=False)
        labels = {run: pd.array(values, dtype="Int16") for run, values in self.partitions.items()}
        pd.DataFrame({"id": self.ids, **labels}).to_parquet(folder / "partitions.parquet", index=False)
        (folder / "study.yaml").write_text(yaml.safe_dump(self.study), encoding="utf-8")
        self.provenance["counts"] = runs["status"].value_counts().to_dict()
        (folder / "provenance.json").write_text(json.dumps(self.provenance), encoding="utf-8")
        configurations = "".join(f"{json.dumps({'run': run})}\n" for run in runs["run"])
        (folder / "configs.jsonl").write_text(configurations, encoding="utf-8")
        (folder / "recommendation.json").write_text(json.dumps(self.recommendation), encoding="utf-8")
        if self.nulls:
            pd.DataFrame(self.nulls).to_parquet(folder / "nulls.parquet", index=False)
        if self.planes:
            planes = {
                f"{name}:{axis}": xy[:, i] for name, (_, xy, _) in self.planes.items() for i, axis in enumerate("xy")
            }
            pd.DataFrame({"id": self.ids, **planes}).to_parquet(folder / "embeddings.parquet", index=False)
            spaces = {name: {"label": label, "runs": runs} for name, (label, _, runs) in self.planes.items()}
            (folder / "embeddings.json").write_text(json.dumps(spaces), encoding="utf-8")
        if self.profiled:
            told = profile(self.frame, self.partitions[self.profiled]).assign(run=self.profiled)
            told.to_parquet(folder / "profiles.parquet", index=False)
        return folder

    def confirm(self, run: str, against: list[float], permuted: tuple[float, ...] = (), **values: Any) -> None:
        """Write what a confirmation finds of a run: real excess over the given null silhouettes, and the rest given."""
        row = next(row for row in self.rows if row["run"] == run)
        self.nulls += [
            {"run": run, "kind": kind, "index": i, "silhouette": value, "davies_bouldin": 2.0, "calinski_harabasz": 9.0}
            for kind, found in (("copula", against), ("permuted", permuted))
            for i, value in enumerate(found)
        ]
        observed, k = row["silhouette_reference"], row["n_clusters"]
        over = observed - np.mean(against)
        row |= {"silhouette_null_mean": np.mean(against), "silhouette_excess": over, "confirmed": True}
        row |= {"silhouette_z": over / np.std(against, ddof=1), "davies_bouldin_excess": over, "davies_bouldin_z": 2.0}
        row |= {"silhouette_pooled_z": row["silhouette_z"], "davies_bouldin_pooled_z": 2.0}
        row |= {"silhouette_p": (1 + sum(v >= observed for v in against)) / (1 + len(against))}
        for level, ari in {"fresh": 0.95, "refit": 0.8, "seed": 0.99}.items():
            row |= {f"stability_ari_{level}": ari, f"stability_ari_{level}_sd": 0.02, f"stability_{level}_draws": 7.0}
            row |= {f"stability_ari_{level}_q05": ari - 0.03, f"stability_ari_{level}_q95": ari + 0.01}
            row[f"stability_{level}_status"] = "ok"
        for level, jaccard in {"fresh": 0.9, "refit": 0.7}.items():
            row |= {f"stability_jaccard_{level}": json.dumps([jaccard + i / 100 for i in range(k)])}
            row |= {f"stability_jaccard_min_{level}": jaccard, f"dissolved_{level}": json.dumps([1] * k)}
            row[f"recovered_{level}"] = json.dumps([5] * k)
        row |= {"screen_rank": row.get("rank"), "screen_pareto": bool(row.get("pareto"))} | values

    def conclude(self, run: str | None, level: float = 0.05) -> None:
        """Write the recommendation of a confirmed study."""
        confirmed = [row for row in self.rows if row.get("confirmed")]
        held = [row["run"] for row in confirmed if row["p_adjusted"] <= level]
        least = min(row["p_adjusted"] for row in confirmed)
        null = {"test": "max-T", "p": least, "level": level, "statistic": 3.0, "tables": 19, "holding_up": held}
        null["shortlist"] = [row["run"] for row in confirmed]
        gone = {"criterion": "p_adjusted", "value": least, "bar": level, "passed": run is not None}
        eligible = sum(other.get("rank") is not None for other in self.rows)
        self.recommendation = {"run": run, "runner_up": None, "eligible": eligible, "pareto": [], "null": null}
        if run is None:
            self.recommendation |= {"verdict": "no_structure", "reasons": [gone | {"reason": "no better"}]}
            return
        row = next(row for row in confirmed if row["run"] == run)
        placed = [
            {"criterion": name, "value": row[name], "place": 1, "of": len(held)}
            for name in ("silhouette_pooled_z", "davies_bouldin_pooled_z", "stability_ari_refit", "weight_share")
        ]
        gates = [{"gate": "coverage", "value": 1 - row["noise_fraction"], "bar": 0.7, "passed": True}]
        self.recommendation |= {"verdict": "recommended", "reasons": [*gates, *placed, gone]}

    def recommend(self, run: str | None, runner_up: str | None = None) -> None:
        """Write the recommendation that goes with the rows."""
        if run is None:
            gates = [
                {"gate": name, "bar": bar, "runs_passing": 0, "runs": len(self.rows)} for name, bar in GATES.items()
            ]
            self.recommendation = {"run": None, "verdict": "nothing_eligible", "reasons": gates, "runner_up": None}
            self.recommendation |= {"eligible": 0, "pareto": []}
            return
        row = next(row for row in self.rows if row["run"] == run)
        self.recommendation = {
            "run": run,
            "verdict": "screened_only",
            "reasons": [
                {"gate": "coverage", "value": 1 - row["noise_fraction"], "bar": 0.7, "passed": True},
                {"gate": "smallest_cluster", "value": row["smallest_cluster"], "bar": 0.01, "passed": True},
                {"gate": "clusters", "value": row["n_clusters"], "bar": [2, 12], "passed": True},
                {"criterion": "silhouette_reference", "value": row["silhouette_reference"], "place": 2, "of": 90},
                {"criterion": "stability_ari", "value": row.get("stability_ari"), "place": 1, "of": 90},
            ],
            "runner_up": {"run": runner_up, "ari_to_recommended": 0.71} if runner_up else None,
            "eligible": sum(other.get("rank") is not None for other in self.rows),
            "pareto": [other["run"] for other in self.rows if other.get("pareto")],
        }


def canonical(labels: np.ndarray) -> np.ndarray:
    """Number the clusters by decreasing size."""
    found, sizes = np.unique(labels[labels >= 0], return_counts=True)
    numbers = {-1: -1} | {int(label): place for place, label in enumerate(found[np.argsort(-sizes, kind="stable")])}
    return np.array([numbers[int(label)] for label in labels])


def scores(rng: np.random.Generator, X: np.ndarray, space: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Real silhouettes, and stability that looks like it."""
    from sklearn.metrics import davies_bouldin_score, silhouette_score

    kept = labels >= 0
    k = len(np.unique(labels[kept]))
    if not 2 <= k < kept.sum():
        return {}
    values = {f"silhouette_{where}": silhouette_score(X[kept], labels[kept]) for where in WHERE[1:2]}
    values |= {f"silhouette_{where}": values["silhouette_reference"] + rng.normal(scale=0.02) for where in WHERE[2:]}
    values["silhouette_native"] = silhouette_score(space[kept], labels[kept])
    values["davies_bouldin_reference"] = davies_bouldin_score(X[kept], labels[kept])
    values["calinski_harabasz_reference"] = 1000 / k
    ari = float(np.clip(0.4 + values["silhouette_reference"] + rng.normal(scale=0.1), 0, 1))
    jaccards = np.clip(ari + rng.normal(scale=0.12, size=k), 0.05, 1)
    values |= {"stability_ari": ari, "stability_ari_sd": 0.05, "stability_ari_q05": ari - 0.08}
    values |= {"stability_ari_q95": min(ari + 0.07, 1.0), "stability_jaccard_min": jaccards.min()}
    return values | {"stability_jaccard": json.dumps(jaccards.round(4).tolist()), "seconds": float(rng.gamma(2.0))}


def sweep(study: Study, ks: range = range(2, 8)) -> Study:
    """Run a small sweep: 2 feature sets x 2 scalers x 4 projections x 4 clusterers."""
    from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(1)
    X = study.scaled
    plane = PCA(2).fit_transform(X)
    bend = np.column_stack([np.tanh(plane[:, 0]), np.tanh(plane[:, 1] + 0.3 * plane[:, 0])]) * 5
    for features in ("all", "behaviour"):
        for scaler in ("power", "standard"):
            noise = rng.normal(scale=0.25 if features == "all" else 0.6, size=X.shape)
            spaces = {
                "none": ({}, X + noise),
                "pca": ({"projection.n_components": 2}, plane + noise[:, :2]),
                "umap": ({"projection.n_neighbors": 15}, bend + noise[:, :2]),
                "tsne": ({"projection.perplexity": 30.0}, 8 * np.sign(bend) * np.abs(bend) ** 0.7 + noise[:, 2:4]),
            }
            for projection, (options, space) in spaces.items():
                made = []
                fits = [("kmeans", {"clusterer.n_clusters": k}, KMeans(k, n_init=1, random_state=0)) for k in ks]
                fits += [
                    (
                        "agglomerative",
                        {"clusterer.n_clusters": k, "clusterer.linkage": "ward"},
                        AgglomerativeClustering(k),
                    )
                    for k in (3, 5)
                ]
                fits += [
                    ("dbscan", {"clusterer.eps": e, "clusterer.min_samples": 10}, DBSCAN(eps=e, min_samples=10))
                    for e in (1.0, 2.0)
                ]
                fits += [
                    ("hdbscan", {"clusterer.min_cluster_size": m}, DBSCAN(eps=m / 20, min_samples=5)) for m in (25,)
                ]
                for clusterer, parameters, model in fits:
                    labels = canonical(model.fit_predict(space))
                    values = scores(rng, X, space, labels)
                    if clusterer == "kmeans":
                        values["inertia"] = float(model.inertia_)
                    made.append(
                        study.add(
                            labels,
                            features=features,
                            scaler=scaler,
                            projection=projection,
                            clusterer=clusterer,
                            **options,
                            **parameters,
                            **values,
                        )
                    )
                if projection != "none":
                    label = f"{features} > {scaler} > {projection}"
                    study.planes[f"{projection}-{features[:2]}{scaler[:2]}"] = (label, space, made)
    for k in (400, 500):
        study.add(status="skipped", reason=f"{k} clusters of 300 customers", **{"clusterer.n_clusters": k})
    study.add(status="failed", reason="ValueError: perplexity must be less than n_samples", projection="tsne")
    eligible = [row for row in study.rows if row.get("silhouette_reference") and row["noise_fraction"] <= 0.3]
    eligible.sort(key=lambda row: row["silhouette_reference"] + row["stability_ari"], reverse=True)
    for place, row in enumerate(eligible, start=1):
        row |= {"rank": place, "weight_share": 0.42 / place, "pareto": place <= 4}
    study.recommend(eligible[0]["run"], eligible[1]["run"])
    study.profiled = eligible[0]["run"]
    return study


def planted(study: Study, p: float = 0.05) -> Study:
    """Confirm two of six K-Means runs: five clusters stand out by as much as ``p`` says, two do not."""
    silhouettes = {2: 0.45, 3: 0.3, 4: 0.35, 5: 0.4, 6: 0.33}
    null_means = {2: 0.44, 3: 0.29, 4: 0.25, 5: 0.2, 6: 0.21}
    rng = np.random.default_rng(3)
    for place, (k, silhouette) in enumerate(silhouettes.items(), start=1):
        values = {"silhouette_reference": silhouette, "silhouette_native": 0.6, "stability_ari": 0.97, "rank": place}
        values |= {
            "clusterer.n_clusters": k,
            "projection": "umap",
            "davies_bouldin_reference": 1.0,
            "weight_share": 0.2,
        }
        quality = {"trustworthiness": 0.98, "continuity": 0.97, "r_nx_area": 0.5, "distance_spearman": 0.6}
        quality["triplet_accuracy"] = 0.7
        for name, random in {"trustworthiness": 0.8, "r_nx_area": 0.2, "distance_spearman": 0.65}.items():
            quality |= {f"{name}_control_random": random, f"{name}_control_identity": 1.0}
        run = study.add(np.arange(len(study.ids)) % k, **values, **quality)
        against = list(null_means[k] + rng.normal(scale=0.01, size=19))
        if k in (2, 5):
            told = {"p_adjusted": p if k == 5 else 0.6, "answer": int(k == 2)}
            study.confirm(run, against, tuple(rng.normal(0.1, 0.01, 9)), **told)
        else:
            study.confirm(run, against)
            row = study.rows[-1]
            study.rows[-1] = {name: value for name, value in row.items() if "stability_ari_" not in name}
            study.rows[-1]["confirmed"] = False
    best = next(row for row in study.rows if row["n_clusters"] == 5)
    for row in study.rows:
        row["rank"] = 1 if row is best else row["screen_rank"] + (row["screen_rank"] < best["screen_rank"])
    best |= {"rank_low": 1, "rank_high": 2, "pareto": True}
    study.profiled = best["run"]
    study.provenance["confirm_seconds"] = {"refit": 30.0, "null": 10.0}
    study.conclude(best["run"] if p <= 0.05 else None)
    return study


@pytest.fixture(scope="session")
def new_study() -> Callable[..., Study]:
    """An empty study."""
    return Study


@pytest.fixture(scope="session")
def new_planted() -> Callable[..., Study]:
    """A study of six runs, two of them confirmed."""
    return lambda p=0.05, **options: planted(Study(**{"n": 120} | options), p)


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    """A small sweep, written to a folder."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        study = sweep(Study())
    return study, study.write(tmp_path_factory.mktemp("swept") / "study")


@pytest.fixture(scope="session")
def built(swept: tuple[Study, Path]) -> Path:
    """Its report, built once."""
    from segkit.report import build

    return build(swept[1]).parent


def cannot_run(reason: str) -> None:
    """Skip a test in the browser; fail where all of them must run."""
    if os.environ.get("SEGKIT_REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which looks for barriers in a page."""
    path = Path(os.environ.get("SEGKIT_AXE", "missing"))
    if not path.is_file():
        cannot_run("SEGKIT_AXE names no axe.min.js")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Debian's Chromium without a window, driven by Selenium; its logs hold every request and console message."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    for name, path in programs.items():
        if path is None:
            cannot_run(f"{name} is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    profile = tmp_path_factory.mktemp("chromium")
    for flag in (*CHROMIUM, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs["chromedriver"]))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()
