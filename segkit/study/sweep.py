"""A study from its plan to its folder: screen every run, confirm the best, write the results."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from segkit.errors import UsageError, WorkersLost
from segkit.files import DiskFull
from segkit.signals import ends_here, held, last_words
from segkit.study.forecast import expected_seconds
from segkit.study.judge.agreement import agreement_of
from segkit.study.judge.conclusion import conclude
from segkit.study.judge.racing import drawn_further, schedule, still_racing
from segkit.study.judge.ranking import best_first, recommend
from segkit.study.judge.selection import confirmation_of, runs_to_confirm
from segkit.study.keep.customers import (
    customers_frame,
    drawn_customers,
    load_customers,
    pictures,
    strata,
)
from segkit.study.keep.finished import Finished
from segkit.study.keep.provenance import Launch, provenance
from segkit.study.keep.runs_table import mark_lost, status_counts
from segkit.study.keep.state import StudyState
from segkit.study.keep.study_folder import claimed
from segkit.study.keep.writer import FlushSchedule, StudyWriter
from segkit.study.plan.cost import task_seconds
from segkit.study.plan.graph import Task, make_tasks, wanted_keys
from segkit.study.plan.planner import Plan
from segkit.study.plan.schedule import priorities
from segkit.study.plan.stage import Node
from segkit.study.run.engine import Engine
from segkit.study.run.outcome import Outcome
from segkit.study.run.preparation import Prepared
from segkit.study.run.settled import settled_outcomes
from segkit.study.run.stages import KINDS

if TYPE_CHECKING:
    import pandas as pd

    from segkit.study.compose import Composition

# On a disk that damages whatever it stores, trying again must end.
_ATTEMPTS = 3


class Watch(Protocol):
    """Receives a study's progress."""

    def expect(
        self,
        prepared: Prepared,
        running: Callable[[], Sequence[str]],
        screen: float,
        confirmation: float | None,
    ) -> None:
        """Begin a study: what is at work, and the expected wall seconds of both parts."""

    def start(
        self, prepared: Prepared, tasks: Sequence[Task], finished: Mapping[str, int], part: str
    ) -> None:
        """Begin a part: its tasks, and the number of runs by status that need none."""

    def compiling(self, expected: float | None) -> None:
        """Begin the compilation of kernels, in so many expected wall seconds, or (None) end it."""

    def advance(self, task: Task, outcomes: Sequence[Outcome], counts: Mapping[str, int]) -> None:
        """Take a finished task, its outcomes, and the number of runs by status."""

    def stop(self) -> None:
        """End: nothing is computed any more, for whatever reason."""


def launch(prepared: Prepared, command: Sequence[str], watch: Watch) -> Finished:
    """Run what is not stored and write the study's folder.

    Whatever ends the study early (an interrupt, a full disk), what was finished is written before
    the exception goes on.
    """
    with claimed(prepared) as ready:
        sweep = _Sweep(ready, command, watch)
        with last_words(lambda: sweep.write_provenance("interrupted")):
            return sweep.run()


class _Sweep:
    """One launch of a study: its steps, in their order."""

    def __init__(self, prepared: Prepared, command: Sequence[str], watch: Watch):
        self.prepared = prepared
        self.watch = watch
        self.scoring = prepared.composition.study["scoring"]
        self.launch = Launch(list(command), prepared.engine.description)
        self.writer = StudyWriter(prepared.folder)
        self.flushes = FlushSchedule()
        # Loaded now: the data may be gone when the study ends.
        customers = load_customers(prepared.plan)
        self.study = StudyState(prepared.plan, prepared.store, customers, self.scoring["gates"])

    def run(self) -> Finished:
        """Compute what is missing and write everything; an exception is raised after that."""
        state = "finished"
        try:
            with Engine(self.prepared.engine, str(self.prepared.store.root)) as engine, ends_here():
                self._compute_all(engine)
        except KeyboardInterrupt:
            state = "interrupted"
            raise
        except DiskFull:
            state = "stopped: disk full"
            raise
        except WorkersLost as error:
            state = "stopped: workers lost"
            raise WorkersLost(
                f"{error}; what was finished is kept in {self.prepared.folder}"
            ) from error
        except UsageError:
            state = "stopped: no workers"
            raise
        except BaseException:
            state = "stopped: internal error"
            raise
        finally:
            with held():
                self.watch.stop()
                finished = self._end(state)
        return finished

    def _compute_all(self, engine: Engine) -> None:
        """Screen, race and confirm; repair between them what turned out to be damaged."""
        self.launch.work, engine.compiling = engine.work, self.watch.compiling
        self.watch.expect(self.prepared, engine.running, *expected_seconds(self.prepared))
        self._screen(engine)
        self._mend(engine)
        if self.scoring["racing"]:
            self._race(engine)
        if self.scoring["confirm"]:
            self._confirm(engine)
        self._mend(engine)

    def _screen(self, engine: Engine) -> None:
        """Compute what every run needs; a run's row is complete as soon as its stages are."""
        plan, store = self.prepared.plan, self.prepared.store
        self.study.take(settled_outcomes(plan.nodes, store, self.prepared.stored).values())
        self._begin()
        self._compute(engine, plan.nodes, plan.leaves, "screen")

    def _race(self, engine: Engine) -> None:
        """Recluster draws, more and more of them, for the runs that can still be shortlisted."""
        study, store = self.study, self.prepared.store
        # By run: how many draws it has, and the key of their stage.
        done: dict[str, tuple[int, str]] = {}
        for draws in schedule(self.scoring["draws"]):
            runs = still_racing(study.collector.frame(), study.partition_identity, self.scoring)
            racing = [study.plans[run] for run in runs if not done or run in done]
            plan, done = drawn_further(study.plan, racing, draws, done)
            self.prepared = replace(self.prepared, plan=plan)
            study.adopt(plan)
            added = {key: plan.nodes[key] for _, key in done.values()}
            stored = frozenset(store.keys(("stability",)))
            study.take(settled_outcomes(added, store, stored).values())
            self._compute(engine, plan.nodes, plan.leaves, "race")

    def _confirm(self, engine: Engine) -> None:
        """Confirm the best of the screen; nothing is done if no run passed the gates."""
        study, store = self.study, self.prepared.store
        chosen = self._shortlist()
        if not chosen:
            return
        planner, runs = study.plan.planner, study.ranked()
        confirmation = confirmation_of(chosen, runs, study.plans, planner, self.scoring)
        nodes, known = confirmation.nodes, study.collector.outcomes
        stored = frozenset(store.keys(KINDS))
        study.confirm(confirmation, settled_outcomes(nodes, store, stored, known))
        if wanted_keys(nodes, confirmation.leaves, study.outcomes):
            self._write_screen()
        self._compute(engine, nodes, confirmation.leaves, "confirmation")

    def _shortlist(self) -> list[str]:
        """Return the runs to confirm, best first."""
        # All partitions of a large study take gigabytes: they are not held while it is confirmed.
        partitions, _ = self.study.partitions()
        return runs_to_confirm(self.study.ranked(), partitions, self.scoring["shortlist"])

    def _mend(self, engine: Engine) -> None:
        """Compute again the damaged results that the study's tables are made of."""
        attempts: Counter[str] = Counter()
        while keys := [key for key in self.study.unreadable() if attempts[key] < _ATTEMPTS]:
            attempts.update(keys)
            self.study.forget(keys)
            self._compute(engine, self.study.nodes, keys, "mending")

    def _compute(
        self, engine: Engine, nodes: Mapping[str, Node], leaves: Sequence[str], part: str
    ) -> None:
        """Compute the leaves and what they need, as far as it has no outcome.

        Results that turn out to be damaged on the way are computed again, and so are the stages
        that failed for them.
        """
        study = self.study
        attempts: Counter[str] = Counter()
        wanted = list(leaves)
        while True:
            tasks = make_tasks(nodes, wanted, study.outcomes)
            self.watch.start(self.prepared, tasks, study.collector.counts(), part)
            waiting = self._run(engine, tasks)
            damaged = {key for outcome in waiting for key in outcome.damaged if key in nodes}
            attempts.update(damaged)
            # On a disk that keeps nothing, what was computed again is damaged again.
            if not damaged or max(attempts[key] for key in damaged) > _ATTEMPTS:
                study.take(waiting)
                return
            study.forget(damaged)
            wanted = [*leaves, *damaged]

    def _run(self, engine: Engine, tasks: Sequence[Task]) -> list[Outcome]:
        """Run tasks and take in their outcomes; return those that wait for damaged inputs."""
        study = self.study
        order, seconds = _estimates(tasks, study.plan)
        waiting: list[Outcome] = []
        with closing(engine.run(tasks, order, seconds, study.outcomes.values())) as results:
            for task, outcomes in results:
                waiting += [outcome for outcome in outcomes if outcome.waits]
                study.take(outcome for outcome in outcomes if not outcome.waits)
                self.watch.advance(task, outcomes, study.collector.counts())
                self.flushes.flush(self._write_rows)
        return waiting

    def _begin(self) -> None:
        """Write the settings and the runs, before anything is computed."""
        self.writer.settings(_settings(self.prepared.composition))
        self.writer.remove_verdict()
        self.writer.configurations(self.study.configurations())
        self.write_provenance("running")
        # Where every run is settled, the table is written at once with its ranks.
        if self.study.collector.counts()["waiting"]:
            self.writer.runs(self.study.collector.frame())

    def _write_rows(self) -> None:
        """Write the rows so far."""
        self.writer.runs(self.study.collector.frame())
        self.write_provenance("running")

    def _write_screen(self) -> None:
        """Write the results of the screen, in case that the confirmation is cut short."""
        runs = self.study.ranked()
        self.writer.runs(runs)
        partitions, _ = self.study.partitions()
        # A study of many runs would hold gigabytes while the confirmation is computed.
        self.study.release_partitions()
        self.writer.partitions(partitions)
        self.writer.recommendation(recommend(runs, self.scoring["gates"], agreement_of(partitions)))
        self.write_provenance("running")

    def write_provenance(self, state: str) -> None:
        """Write the study's state, and what is known of its origin before it ends."""
        self.writer.provenance(provenance(self.launch, self.study, state, self.scoring["draws"]))

    def _end(self, state: str) -> Finished:
        """Write everything that is known."""
        try:
            return self._write_results(state)
        except BaseException:
            if state == "finished":
                state = "stopped: its tables could not be written"
            with contextlib.suppress(Exception):
                self.write_provenance(state)
            raise

    def _write_results(self, state: str) -> Finished:
        study, writer = self.study, self.writer
        # First of all, so that the state is right even if the rest cannot be written.
        self.write_provenance("concluding" if state == "finished" else state)
        runs = study.ranked()
        try:
            writer.configurations(study.configurations())
            partitions, damaged = study.partitions()
            runs = mark_lost(runs, damaged)
            writer.partitions(partitions)
            runs = self._conclude(runs, partitions)
        finally:
            # Whatever else cannot be written, the finished runs are not lost.
            writer.runs(runs)
        best = best_first(runs)
        drawn = drawn_customers(strata(partitions, best))
        writer.customers(customers_frame(study.customers, drawn))
        best_plans = [study.plans[run] for run in best]
        writer.embeddings(*pictures(best_plans, study.store, study.customers, drawn))
        # Counted in the table that was written: some damage shows only while it is made.
        counts = status_counts(runs, len(study.plan.runs))
        draws, tables = self.scoring["draws"], study.customers.tables
        writer.provenance(provenance(self.launch, study, state, draws, tables, counts))
        return Finished(
            folder=self.prepared.folder,
            runs=runs,
            customers=study.customers,
            plan=study.plan,
            store=study.store,
            state=state,
            counts=counts,
            lost_stages=study.lost_stages,
            damaged=study.damaged_by_kind(),
            work=self.launch.work.figures(),
        )

    def _conclude(self, runs: pd.DataFrame, partitions: pd.DataFrame) -> pd.DataFrame:
        """Write the recommendation and return the runs table with all that is known."""
        study, agreement = self.study, agreement_of(partitions)
        if study.confirmation is None or not study.is_confirmed:
            self.writer.recommendation(recommend(runs, self.scoring["gates"], agreement))
            return runs
        confirmed = conclude(
            study.confirmation,
            study.confirm_outcomes,
            study.store,
            runs,
            study.plans,
            self.scoring,
            agreement,
        )
        self.writer.nulls(confirmed.nulls)
        self.writer.recommendation(confirmed.recommendation)
        return confirmed.runs


def _settings(composition: Composition) -> dict[str, Any]:
    """Return what was asked, as ``study.yaml`` has it."""
    return {
        "experiment": composition.experiment,
        "question": composition.question,
        "overrides": list(composition.asked),
        "axes": composition.axes,
        **composition.study,
        "references": composition.references,
    }


def _estimates(tasks: Sequence[Task], plan: Plan) -> tuple[dict[str, float], dict[str, float]]:
    """Return the priority and the estimated CPU seconds of each task, by its name."""
    shapes = plan.planner.shapes
    seconds = {task.name: task_seconds(task, shapes) for task in tasks}
    return priorities(tasks, shapes), seconds
