"""Writes a study's folder: at the beginning, while it runs, at the end."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit import features
from segkit.data import Table
from segkit.files import write_text
from segkit.scoring.agreement import partition_agreement
from segkit.study.judge.conclusion import conclude
from segkit.study.judge.racing import at_best, contenders, racing_view
from segkit.study.judge.ranking import gate_values, places_by_space, rank_runs, recommend, shortlist
from segkit.study.keep.customers import (
    Customers,
    customers_frame,
    drawing_frame,
    drawn_customers,
    embedding_runs,
    embeddings_frame,
    partitions_frame,
)
from segkit.study.keep.provenance import data_facts, surroundings
from segkit.study.keep.reader import FORMAT
from segkit.study.keep.runs_table import Collector, space_suffix, write_table
from segkit.study.plan.confirmation import (
    Confirmation,
    ConfirmSettings,
    plan_confirmation,
    siblings,
)
from segkit.study.plan.graph import counts
from segkit.study.plan.keys import kind_of
from segkit.study.plan.planner import Plan, RunPlan
from segkit.study.plan.stage import Node
from segkit.study.run.hashes import content_digest
from segkit.study.run.outcome import Outcome
from segkit.study.run.store import Damaged, Store
from segkit.study.run.tables import load_unchanged
from segkit.study.run.work import Work

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from segkit.study.run.preparation import Prepared

_UNWRITTEN = "its tables could not be written"
FLUSH_SECONDS = 10.0
# Writing the table of finished runs may take at most this share of the study's time.
FLUSH_SHARE = 0.01


@dataclass
class Finished:
    """A study that ended: its folder, its runs table and the customers' tables."""

    folder: Path
    runs: pd.DataFrame
    customers: Customers
    plan: Plan
    store: Store
    state: str
    counts: Mapping[str, int] = field(default_factory=dict)
    lost_stages: int = 0
    damaged: Mapping[str, int] = field(default_factory=dict)
    work: Mapping[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is there: no run, nor a stage of the confirmation, was lost or failed.

        Runs that this data cannot have are skipped, which is an answer; a study of none but those
        has no result.
        """
        lost = self.counts["failed"] + self.counts["waiting"] + self.lost_stages
        return self.counts["ok"] > 0 and not lost


class Record:
    """Writes the study's folder: at the beginning, while it runs, at the end."""

    def __init__(self, prepared: Prepared, command: Sequence[str], collector: Collector):
        self.prepared = prepared
        self.folder = prepared.folder
        self.collector = collector
        self.command = list(command)
        self.started = datetime.now(UTC)
        self.clock = time.monotonic()
        self.flushed = time.monotonic()
        self.flush_cost = 0.0
        self.work = Work()
        self.surroundings = surroundings()
        # Kept from here on: the data may be gone when the study ends.
        self.customers = Customers(self._load_tables())
        self.confirmation: Confirmation | None = None
        self.confirm_outcomes: dict[str, Outcome] = {}
        self._plans = {run.id: run for run in self.prepared.plan.runs}
        self._identities: dict[str, str] = {}
        self._places: tuple[tuple[Collector, int], pd.DataFrame] | None = None
        self._labels: tuple[tuple[str, ...], pd.DataFrame, dict[str, Damaged]] | None = None
        self._damaged: dict[str, None] = {}

    def begin(self) -> None:
        """Write what was asked, before anything is computed."""
        import yaml

        composition = self.prepared.composition
        asked = {
            "experiment": composition.experiment,
            "question": composition.question,
            "overrides": list(composition.asked),
            "axes": composition.axes,
            **composition.study,
            "references": composition.references,
        }
        write_text(
            yaml.safe_dump(asked, sort_keys=False, allow_unicode=True), self.folder / "study.yaml"
        )
        for stale in ("recommendation.json", "nulls.parquet"):
            (self.folder / stale).unlink(missing_ok=True)
        self._configurations()
        self._provenance("running", {})
        # Where every run is settled, the table is written at once with its ranks.
        if self.collector.counts()["waiting"]:
            self._tables(self.collector.frame())

    def adopt(self, plan: Plan) -> None:
        """Go on with another plan of the same runs; what is known of their stages stays known."""
        known = self.collector.outcomes
        self.prepared = replace(self.prepared, plan=plan)
        self._plans = {run.id: run for run in plan.runs}
        self.collector = Collector(plan)
        self.collector.add(known.values())

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All stages of the study so far, by key."""
        return self.confirmation.nodes if self.confirmation else self.prepared.plan.nodes

    def settled(self) -> dict[str, Outcome]:
        """Return what became of the stages that nothing more is to be done for."""
        return self.confirm_outcomes if self.confirmation else self.collector.outcomes

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Take in what became of stages, and what was damaged on the way."""
        outcomes = list(outcomes)
        self._damaged |= {key: None for outcome in outcomes for key in outcome.damaged}
        if self.confirmation:
            self.confirm_outcomes |= {outcome.key: outcome for outcome in outcomes}
        own = self.prepared.plan.nodes
        self.collector.add(outcome for outcome in outcomes if outcome.key in own)

    def forget(self, damaged: Iterable[str]) -> None:
        """Take note that results are gone: they are to be computed again, and what was made of them is read again."""
        for key in damaged:
            self._damaged[key] = None
            self.collector.forget(key)
            self.confirm_outcomes.pop(key, None)
        self._labels = None

    def unreadable(self) -> list[str]:
        """Return the keys of stored results that the study's tables are made of and that are damaged."""
        runs = self._ranked()
        _partitions, damaged = self._partitions(runs)
        keys = {error.key: None for error in damaged.values()}
        store = self.prepared.store
        return [
            *keys,
            *(
                key
                for key in self._read_at_the_end(runs)
                if key not in keys and not store.intact(key)
            ),
        ]

    def _read_at_the_end(self, runs: pd.DataFrame) -> list[str]:
        """Return the keys of the results, beside labels, that tables and pictures are made of."""
        best = [self._plans[run] for run in best_first(runs)]
        keys = dict.fromkeys(embedding_runs(best))
        # Where nothing was projected, the best run's scaled features are drawn.
        keys |= {run.stages["scaling"]: None for run in best[:1] if not keys}
        reference = f"scoring:{next(iter(self.prepared.plan.references))}"
        keys |= {
            self.nodes[run.stages[reference]].inputs["space"]: None
            for run in best
            if reference in run.stages
        }
        if self.confirmation:
            refits = (stages["refit"] for stages in self.confirmation.stages.values())
            settled = self.confirm_outcomes
            keys |= {key: None for key in refits if key in settled and settled[key].status == "ok"}
        return list(keys)

    def damaged(self) -> dict[str, int]:
        """Return how many stored results were damaged, by kind."""
        keys = dict.fromkeys([*self._damaged, *self.prepared.store.damaged])
        return dict(Counter(map(kind_of, keys)))

    def contenders(self, drawn: Collection[str]) -> list[RunPlan]:
        """Return the runs that can still reach the shortlist, of those drawn last (at first, of all)."""
        study = self.prepared.composition.study["scoring"]
        runs = self.collector.frame()
        runs = runs[gate_values(at_best(runs, study["draws"]), study["gates"]).all(axis=1)]
        for run in set(runs["run"]) - set(self._identities):
            self._identities[run] = _partition_identity(self.prepared.store, self._plans[run])
        view = racing_view(runs, self._identities, study["racing_confidence"])
        able = runs.loc[contenders(view, study["shortlist"]), "run"]
        return [self._plans[run] for run in able if not drawn or run in drawn]

    def shortlist(self) -> Confirmation | None:
        """Choose the runs to confirm and plan how; None if no run passed the gates."""
        study = self.prepared.composition.study["scoring"]
        runs = self._ranked()
        plans = self._plans
        labels, _damaged = self._partitions(runs)
        ranked = runs.loc[runs["rank"].notna(), "run"]
        partitions = {run: _identity_of(labels[run]) if run in labels else run for run in ranked}
        chosen = [plans[run] for run in shortlist(runs, partitions, study["shortlist"])]
        if not chosen:
            return None
        pictured = [
            spaces[0]
            for spaces in embedding_runs([plans[run] for run in best_first(runs)]).values()
        ]
        ok = [plans[run] for run in runs.loc[runs["status"] == "ok", "run"]]
        settings = ConfirmSettings.of(study)
        planner = self.prepared.plan.planner
        self.confirmation = plan_confirmation(
            planner, chosen, siblings(ok, chosen), pictured, settings
        )
        return self.confirmation

    def screened(self) -> None:
        """Write what the screen found, in case that nothing comes after it."""
        runs = self._ranked()
        self._tables(runs)
        partitions, _damaged = self._partitions(runs)
        # Not held while the confirmation is computed.
        self._labels = None
        write_table(partitions, self.folder / "partitions.parquet")
        gates = self.prepared.composition.study["scoring"]["gates"]
        found = recommend(runs, gates, agreement_of(partitions))
        write_text(json.dumps(found, indent=1), self.folder / "recommendation.json")
        self._provenance("running", {})

    def _partitions(self, runs: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Damaged]]:
        """Return the partitions of the runs that came through, and what is wrong with those that cannot be read."""
        ok = tuple(runs.loc[runs["status"] == "ok", "run"])
        if self._labels is None or self._labels[0] != ok:
            plans = [self._plans[run] for run in ok]
            self._labels = (ok, *partitions_frame(plans, self.prepared.store, self.customers))
        return self._labels[1:]

    def confirming(self, settled: Mapping[str, Outcome]) -> dict[str, Outcome]:
        """Take in what is settled of the confirmation, and return where its outcomes go."""
        self.confirm_outcomes = dict(settled)
        return self.confirm_outcomes

    def flush(self) -> None:
        """Write the rows so far, now and then."""
        now = time.monotonic()
        if now - self.flushed < max(FLUSH_SECONDS, self.flush_cost / FLUSH_SHARE):
            return
        self._tables(self.collector.frame())
        self._provenance("running", {})
        self.flushed = time.monotonic()
        self.flush_cost = self.flushed - now

    def interrupted(self) -> None:
        """Write that the study was interrupted, where nothing else can be written any more."""
        self._provenance("interrupted", {})

    def end(self, state: str) -> Finished:
        """Write everything that is known."""
        try:
            return self._end(state)
        except BaseException:
            with contextlib.suppress(Exception):
                self._provenance(f"stopped: {_UNWRITTEN}" if state == "finished" else state, {})
            raise

    def _end(self, state: str) -> Finished:
        # First of all, so that the state is right even if the rest cannot be written.
        self._provenance("concluding" if state == "finished" else state, {})
        runs, customers = self._ranked(), self.customers
        try:
            self._configurations()
            partitions, damaged = self._partitions(runs)
            runs = _without(runs, damaged)
            write_table(partitions, self.folder / "partitions.parquet")
            runs = self._conclusion(runs, partitions)
        finally:
            # Whatever else cannot be written, the finished runs are not lost.
            self._tables(runs)
        drawn = drawn_customers(_strata(partitions, best_first(runs)))
        write_table(customers_frame(customers, drawn), self.folder / "customers.parquet")
        self._embeddings([self._plans[run] for run in best_first(runs)], customers, drawn)
        # Of the table that was written: what is damaged in the store is only found while it is
        # made.
        found = _status_counts(runs, len(self.prepared.plan.runs))
        self._provenance(state, customers.tables, found)
        lost = sum(outcome.again for outcome in self.confirm_outcomes.values())
        return Finished(
            folder=self.folder,
            runs=runs,
            customers=customers,
            plan=self.prepared.plan,
            store=self.prepared.store,
            state=state,
            counts=found,
            lost_stages=lost,
            damaged=self.damaged(),
            work=self.work.figures(),
        )

    def _tables(self, runs: pd.DataFrame) -> None:
        write_table(runs, self.folder / "runs.parquet")
        write_table(runs, self.folder / "runs.csv")

    def _load_tables(self) -> dict[str, Table]:
        found: dict[str, Table] = {}
        for run in self.prepared.plan.runs:
            if run.data not in found:
                found[run.data] = load_unchanged(run.groups["data"], run.data)
        return found

    def _configurations(self) -> None:
        lines = (json.dumps(self._configuration(run)) for run in self.prepared.plan.runs)
        write_text("".join(f"{line}\n" for line in lines), self.folder / "configs.jsonl")

    def _configuration(self, run: RunPlan) -> dict[str, Any]:
        outcomes = self.collector.outcomes
        stages = {
            role: {"key": key, "digest": outcomes[key].record.get("digest")}
            for role, key in run.stages.items()
            if key in outcomes
        }
        told = {
            "run": run.id,
            "choices": dict(run.choices),
            "seed": run.seed,
            "data_identity": run.data,
        }
        return told | {"groups": dict(run.groups), "stages": stages}

    def _embeddings(
        self, best_first: Sequence[RunPlan], customers: Customers, drawn: np.ndarray
    ) -> None:
        store = self.prepared.store
        frame, index = embeddings_frame(embedding_runs(best_first), store, customers, drawn)
        if best_first and not index:
            frame, index = drawing_frame(best_first[0], store, customers, drawn)
        write_table(frame, self.folder / "embeddings.parquet")
        write_text(json.dumps(index, indent=1), self.folder / "embeddings.json")

    def _ranked(self) -> pd.DataFrame:
        """Return the runs table with places and ranks, made anew where runs finished meanwhile."""
        known = self.collector, len(self.collector.rows)
        if self._places is None or self._places[0] != known:
            self._places = known, self._placed(self.collector.frame())
        return self._places[1]

    def _placed(self, runs: pd.DataFrame) -> pd.DataFrame:
        ranks = rank_runs(runs, self.prepared.composition.study["scoring"]["gates"])
        references = self.prepared.plan.references
        places = places_by_space(runs, [space_suffix(name, references) for name in references])
        return runs.join(places).join(ranks[["pareto", "weight_share", "rank"]])

    def _conclusion(self, runs: pd.DataFrame, partitions: pd.DataFrame) -> pd.DataFrame:
        """Write the recommendation and return the runs table with all that is known."""
        study = self.prepared.composition.study["scoring"]
        agreement = agreement_of(partitions)
        if self.confirmation and all(
            key in self.confirm_outcomes for key in self.confirmation.leaves
        ):
            store, outcomes = self.prepared.store, self.confirm_outcomes
            found = conclude(
                self.confirmation, outcomes, store, runs, self._plans, study, agreement
            )
            write_table(found.nulls, self.folder / "nulls.parquet")
            runs, recommendation = found.runs, found.recommendation
        else:
            recommendation = recommend(runs, study["gates"], agreement)
        write_text(json.dumps(recommendation, indent=1), self.folder / "recommendation.json")
        return runs

    def _provenance(
        self, state: str, tables: Mapping[str, Table], by_status: Mapping[str, int] | None = None
    ) -> None:
        composition = self.prepared.composition
        wall = time.monotonic() - self.clock
        told = {
            "format": FORMAT,
            "state": state,
            "command": self.command,
            "started": self.started.isoformat(timespec="seconds"),
            "finished": (
                None if state == "running" else datetime.now(UTC).isoformat(timespec="seconds")
            ),
            "wall_seconds": round(wall, 2),
            "seconds": self.collector.seconds(),
            **self.work.figures(),
            "workers": self.work.workers,
            "engine": self.prepared.engine.description,
            "counts": (
                dict(by_status or self.collector.counts()) | {"runs": len(self.prepared.plan.runs)}
            ),
            "stages": counts(self.prepared.plan.nodes.values()),
            "confirm_seconds": self._confirm_seconds(),
            "seeds": sorted({run.seed for run in self.prepared.plan.runs}),
            "draws": composition.study["scoring"]["draws"],
            **self.surroundings,
            "data": data_facts(tables) if tables else {},
            "failures": self._failures(),
            "damaged": self.damaged(),
        }
        if tables:
            told["data"] |= {
                "variance_shares": self._variance_shares(),
                "feature_warnings": self._warnings(),
            }
            told["sketches"] = self._facts("sketch")
        write_text(json.dumps(told, indent=1), self.folder / "provenance.json")

    def _confirm_seconds(self) -> dict[str, float]:
        """Return the CPU seconds of the stages that only the confirmation needs, by kind."""
        own = {
            key: item
            for key, item in self.confirm_outcomes.items()
            if key not in self.prepared.plan.nodes
        }
        total = dict.fromkeys(counts(self.nodes[key] for key in own), 0.0)
        for key, outcome in own.items():
            total[kind_of(key)] += outcome.record.get("seconds", 0.0)
        return {kind: round(seconds, 3) for kind, seconds in total.items()}

    def _failures(self) -> dict[str, str]:
        """One traceback for each reason of a failure that was not foreseen."""
        return {
            item.reason: item.details
            for item in (*self.collector.outcomes.values(), *self.confirm_outcomes.values())
            if item.details
        }

    def _facts(self, name: str) -> dict[str, Any]:
        outcomes = self.collector.outcomes
        records = {
            key: outcomes[key].record.get("facts", {})
            for key in self.prepared.plan.nodes
            if key in outcomes
        }
        return {key: facts[name] for key, facts in records.items() if name in facts}

    def _variance_shares(self) -> dict[str, dict[str, float]]:
        shares, names = self._facts("variance_shares"), self._facts("names")
        found = {}
        for run in self.prepared.plan.runs:
            scaled, made = run.stages.get("scaling"), run.stages.get("features")
            if scaled in shares and made in names:
                space = f"{run.choices['features']}/{run.choices['scaler']}"
                found.setdefault(space, dict(zip(names[made], shares[scaled], strict=True)))
        return found

    def _warnings(self) -> list[str]:
        """Warnings of the feature sets, and of each scaled feature set that one feature decides."""
        told = [text for texts in self._facts("warnings").values() for text in texts]
        for space, shares in self._variance_shares().items():
            warning = features.dominant(list(shares), list(shares.values()))
            if warning:
                told.append(f"{space}: {warning}")
        return list(dict.fromkeys(told))


def best_first(runs: pd.DataFrame) -> list[str]:
    """Ids of the ok runs: those with a rank first, then by the reference silhouette."""
    ok = runs[runs["status"] == "ok"]
    return ok.sort_values(["rank", "silhouette_reference"], ascending=[True, False])["run"].tolist()


def _status_counts(runs: pd.DataFrame, total: int) -> dict[str, int]:
    """Return the number of a table's runs by status, and of those that it lacks as ``waiting``."""
    found = Counter(runs["status"])
    return {status: found[status] for status in ("ok", "failed", "skipped")} | {
        "waiting": total - len(runs)
    }


def _without(runs: pd.DataFrame, damaged: Mapping[str, Damaged]) -> pd.DataFrame:
    """Mark runs whose stored labels could not be read as failed: the next launch makes them again."""
    lost = runs["run"].isin(list(damaged))
    if not lost.any():
        return runs
    runs = runs.copy()
    runs.loc[lost, "status"] = "failed"
    runs.loc[lost, "reason"] = runs.loc[lost, "run"].map(
        {run: str(error) for run, error in damaged.items()}
    )
    runs.loc[lost, ["rank", "pareto", "weight_share"]] = [None, False, None]
    return runs


def _strata(partitions: pd.DataFrame, best_first: Sequence[str]) -> np.ndarray:
    """Return what customers are drawn by: their segment in the best run, -2 where it left them out."""
    best = next((run for run in best_first if run in partitions), None)
    labels = partitions[best] if best else partitions["id"].isna()
    return labels.astype("Int64").fillna(-2).to_numpy(dtype="int64")


def _partition_identity(store: Store, run: RunPlan) -> str:
    """Return what is the same for two runs with the same labels of the same customers; a run's own id if unreadable."""
    try:
        labels = store.arrays(run.stages["clustering"])["labels"].astype("int64")
        rows = store.arrays(run.stages["features"])["rows"]
    except Damaged:
        return run.id
    return content_digest({"labels": labels, "rows": rows}, {"data": run.data})


def _identity_of(labels: pd.Series) -> str:
    """Return what is the same for two columns of partitions with the same labels of the same customers."""
    here = labels.notna().to_numpy()
    return content_digest({"here": here, "labels": labels.to_numpy(dtype="int64", na_value=0)}, {})


def agreement_of(partitions: pd.DataFrame) -> Callable[[str, str], float]:
    """Return what gives the ARI of the partitions of two runs, over the customers that both clustered."""

    def agreement(first: str, second: str) -> float:
        if not {first, second} <= set(partitions.columns):
            return 0.0
        (a, here_a), (b, here_b) = known(first), known(second)
        both = here_a & here_b
        return partition_agreement(a[both], b[both]) if both.any() else 0.0

    @cache
    def known(run: str) -> tuple[np.ndarray, np.ndarray]:
        labels = partitions[run]
        return labels.to_numpy(dtype="int64", na_value=0), labels.notna().to_numpy()

    return agreement
