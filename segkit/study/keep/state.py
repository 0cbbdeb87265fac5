"""What is known of a study while it runs: outcomes, ranked runs, partitions, damaged results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from segkit.study.judge.ranking import best_first, places_by_space, rank_runs
from segkit.study.judge.selection import runs_by_embedding
from segkit.study.keep.customers import Customers, partitions_frame
from segkit.study.keep.runs_table import Collector, space_suffix
from segkit.study.plan.confirmation import Confirmation
from segkit.study.plan.keys import kind_of
from segkit.study.plan.planner import Plan, RunPlan
from segkit.study.plan.stage import Node
from segkit.study.run.hashes import content_digest
from segkit.study.run.outcome import Outcome
from segkit.study.run.store import Damaged, Store

if TYPE_CHECKING:
    import pandas as pd


class StudyState:
    """Knows the outcomes of a study's stages so far, and what follows from them.

    Parameters
    ----------
    plan
        The study's plan; its runs stay the same when another plan is adopted.
    store
        Where the results are.
    customers
        The customers of the study's tables.
    gates
        What a run must pass to have a rank, as for ``gate_values``.
    """

    def __init__(self, plan: Plan, store: Store, customers: Customers, gates: Mapping[str, Any]):
        self.plan = plan
        self.store = store
        self.customers = customers
        self.gates = gates
        self.plans: dict[str, RunPlan] = {run.id: run for run in plan.runs}
        self.collector = Collector(plan)
        self.confirmation: Confirmation | None = None
        self.confirm_outcomes: dict[str, Outcome] = {}
        self._identities: dict[str, str] = {}
        self._ranked: tuple[tuple[Collector, int], pd.DataFrame] | None = None
        self._partitions: tuple[tuple[str, ...], tuple[pd.DataFrame, dict[str, Damaged]]] | None = (
            None
        )
        # A dict, for its order.
        self._damaged: dict[str, None] = {}

    def adopt(self, plan: Plan) -> None:
        """Go on with another plan of the same runs; outcomes stay known."""
        outcomes = self.collector.outcomes
        self.plan = plan
        self.plans = {run.id: run for run in plan.runs}
        self.collector = Collector(plan)
        self.collector.add(outcomes.values())

    def confirm(self, confirmation: Confirmation, settled: Mapping[str, Outcome]) -> None:
        """Begin the confirmation, with the outcomes of it that are known already."""
        self.confirmation = confirmation
        self.confirm_outcomes = dict(settled)

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All stages of the study so far, by key."""
        return self.confirmation.nodes if self.confirmation else self.plan.nodes

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The outcomes of those stages, as far as they are known, by key."""
        return self.confirm_outcomes if self.confirmation else self.collector.outcomes

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Take in outcomes, and the results that were found damaged on the way."""
        outcomes = list(outcomes)
        self._damaged |= {key: None for outcome in outcomes for key in outcome.damaged}
        if self.confirmation:
            self.confirm_outcomes |= {outcome.key: outcome for outcome in outcomes}
        # Stages of the confirmation alone belong to no row.
        screened = self.plan.nodes
        self.collector.add(outcome for outcome in outcomes if outcome.key in screened)

    def forget(self, damaged: Iterable[str]) -> None:
        """Drop the outcomes of damaged results: they are computed again, and labels read again."""
        for key in damaged:
            self._damaged[key] = None
            self.collector.forget(key)
            self.confirm_outcomes.pop(key, None)
        self.release_partitions()

    @property
    def is_confirmed(self) -> bool:
        """Whether there is a confirmation and every stage of it has an outcome."""
        return self.confirmation is not None and all(
            key in self.confirm_outcomes for key in self.confirmation.leaves
        )

    @property
    def lost_stages(self) -> int:
        """Number of stages of the confirmation that the next launch tries again."""
        return sum(outcome.again for outcome in self.confirm_outcomes.values())

    def ranked(self) -> pd.DataFrame:
        """Return the runs table with places and ranks, computed again when runs have finished."""
        # An adopted plan has a collector of its own, perhaps with as many rows.
        version = self.collector, len(self.collector.rows)
        if self._ranked is None or self._ranked[0] != version:
            self._ranked = version, self._with_ranks(self.collector.frame())
        return self._ranked[1]

    def _with_ranks(self, runs: pd.DataFrame) -> pd.DataFrame:
        ranks = rank_runs(runs, self.gates)
        references = self.plan.references
        places = places_by_space(runs, [space_suffix(name, references) for name in references])
        return runs.join(places).join(ranks[["pareto", "weight_share", "rank"]])

    def partitions(self) -> tuple[pd.DataFrame, dict[str, Damaged]]:
        """Return the partitions of the runs that are ok, and the damage of those without labels."""
        runs = self.ranked()
        ok = tuple(runs.loc[runs["status"] == "ok", "run"])
        if self._partitions is None or self._partitions[0] != ok:
            plans = [self.plans[run] for run in ok]
            self._partitions = ok, partitions_frame(plans, self.store, self.customers)
        return self._partitions[1]

    def release_partitions(self) -> None:
        """Free the memory of the partitions; they are read again when they are needed."""
        self._partitions = None

    def partition_identity(self, run: str) -> str:
        """Return a digest that runs with the same labels of the same customers share."""
        if run not in self._identities:
            self._identities[run] = _partition_identity(self.store, self.plans[run])
        return self._identities[run]

    def unreadable(self) -> list[str]:
        """Return the keys of damaged results that the study's tables are made of."""
        _, damaged = self.partitions()
        keys = list(dict.fromkeys(error.key for error in damaged.values()))
        others = [key for key in self._read_at_the_end() if key not in keys]
        return keys + [key for key in others if not self.store.intact(key)]

    def _read_at_the_end(self) -> list[str]:
        """Return the keys of the results, beside labels, that tables and pictures are made of."""
        best = [self.plans[run] for run in best_first(self.ranked())]
        keys = dict.fromkeys(runs_by_embedding(best))
        if best and not keys:
            # Where nothing was projected, the best run's scaled features are drawn.
            keys[best[0].stages["scaling"]] = None
        reference = f"scoring:{self.plan.references[0]}"
        for run in best:
            if reference in run.stages:
                keys[self.nodes[run.stages[reference]].inputs["space"]] = None
        if self.confirmation:
            for stages in self.confirmation.stages.values():
                outcome = self.confirm_outcomes.get(stages["refit"])
                if outcome is not None and outcome.status == "ok":
                    keys[stages["refit"]] = None
        return list(keys)

    def damaged_by_kind(self) -> dict[str, int]:
        """Return how many stored results were damaged, by kind of stage."""
        keys = dict.fromkeys([*self._damaged, *self.store.damaged])
        return dict(Counter(map(kind_of, keys)))

    def facts(self, name: str) -> dict[str, Any]:
        """Return one fact of the stages of the screen that have it, by key."""
        values = {}
        for key in self.plan.nodes:
            if key in self.collector.outcomes:
                facts = self.collector.outcomes[key].record.get("facts", {})
                if name in facts:
                    values[key] = facts[name]
        return values

    def configurations(self) -> Iterator[dict[str, Any]]:
        """Yield each run's full configuration, with the digests of its results so far."""
        outcomes = self.collector.outcomes
        for run in self.plan.runs:
            stages = {
                role: {"key": key, "digest": outcomes[key].record.get("digest")}
                for role, key in run.stages.items()
                if key in outcomes
            }
            yield {
                "run": run.id,
                "choices": dict(run.choices),
                "seed": run.seed,
                "data_identity": run.data,
                "groups": dict(run.groups),
                "stages": stages,
            }


def _partition_identity(store: Store, run: RunPlan) -> str:
    """Return a digest that runs with the same labels share; a run's own id if unreadable."""
    try:
        labels = store.arrays(run.stages["clustering"])["labels"].astype("int64")
        rows = store.arrays(run.stages["features"])["rows"]
    except Damaged:
        return run.id
    return content_digest({"labels": labels, "rows": rows}, {"data": run.data})
