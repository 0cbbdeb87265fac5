"""What a sweep would do: counts of runs and stages, what is stored, estimated time and disk."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segkit.study.judge.selection import runs_by_embedding, runs_to_confirm
from segkit.study.keep.customers import load_customers
from segkit.study.keep.state import StudyState
from segkit.study.plan.confirmation import ConfirmSettings, plan_confirmation, siblings
from segkit.study.plan.cost import Pace, duration, node_seconds, task_class, task_seconds
from segkit.study.plan.disk import amount, bytes_by_kind
from segkit.study.plan.graph import Task, counts, make_tasks, wanted_keys
from segkit.study.plan.planner import Planner, RunPlan, space_of
from segkit.study.run.settled import settled_outcomes
from segkit.study.run.stages import KINDS

if TYPE_CHECKING:
    from segkit.study.run.preparation import Prepared


# Tasks of each kind and class whose records are read.
_LEARNED = 5


def forecast(prepared: Prepared) -> dict[str, Any]:
    """Return what a sweep would do: counts of runs and stages, and estimates.

    Returns
    -------
    dict
        ``seconds`` is the CPU time of all workers, ``wall_seconds`` the share of each of them, and
        ``disk_bytes`` what is added to the store by kind of stage: estimates. ``confirm`` has the
        same for the confirmation; its ``exact`` says that the screen is stored, so that the runs
        to confirm are known.
    """
    plan = prepared.plan
    tasks = make_tasks(plan.nodes, plan.leaves, prepared.stored)
    wanted = [node for task in tasks for node in task.nodes]
    skipped = Counter(run.reason for run in plan.runs if run.reason)
    pace = _stored_pace(prepared)
    seconds = _paced(tasks, plan.planner, pace)
    return {
        "experiment": prepared.composition.experiment,
        "runs": len(plan.runs),
        "skipped": sum(skipped.values()),
        "impossible": [
            {"reason": reason, "runs": count} for reason, count in skipped.most_common()
        ],
        "stages": counts(plan.nodes.values()),
        "stored": counts(node for key, node in plan.nodes.items() if key in prepared.stored),
        "to_compute": counts(wanted),
        "tasks": len(tasks),
        "customers": dict(plan.customers),
        "drawn": _drawn(prepared),
        "approximate": sorted(
            {node.kind for node in plan.nodes.values() if node.config.get("approximate")}
        ),
        "engine": prepared.engine.description,
        "seconds": round(seconds, 1),
        "wall_seconds": round(seconds / prepared.engine.n_workers, 1),
        "disk_bytes": bytes_by_kind(wanted, plan.planner.shapes),
        "racing": _racing(prepared),
        "confirm": _confirmation(prepared, pace),
        "warnings": list(prepared.warnings),
    }


def expected_seconds(prepared: Prepared) -> tuple[float, float | None]:
    """Return the estimated wall seconds of the screen, and of the confirmation if there is one."""
    tasks = make_tasks(prepared.plan.nodes, prepared.plan.leaves, prepared.stored)
    # With the screen stored, the confirmation is planned at once, with an estimate of its own.
    if not tasks:
        return 0.0, None
    pace, workers = _stored_pace(prepared), prepared.engine.n_workers
    expected = expected_confirmation(prepared, pace)
    screen = _paced(tasks, prepared.plan.planner, pace) / workers
    return screen, None if expected is None else expected.seconds / workers


def _paced(tasks: Sequence[Task], planner: Planner, pace: Pace) -> float:
    """Return the estimated CPU seconds of tasks, corrected by what similar ones took."""
    estimates: dict[tuple[str, str], float] = defaultdict(float)
    for task in tasks:
        estimates[task_class(task)] += task_seconds(task, planner.shapes)
    return pace.seconds(estimates)


def _stored_pace(prepared: Prepared) -> Pace:
    """Learn from the stages of this plan that are stored, a few of each kind and class."""
    plan, pace = prepared.plan, Pace()
    learned: Counter[tuple[str, str]] = Counter()
    for task in make_tasks(plan.nodes, plan.leaves, ()):
        name = task_class(task)
        if learned[name] < _LEARNED:
            seconds = _stored_seconds(task, prepared)
            if seconds is not None:
                learned[name] += 1
                pace.learn(task, task_seconds(task, plan.planner.shapes), seconds)
    return pace


def _stored_seconds(task: Task, prepared: Prepared) -> float | None:
    """Return the CPU seconds that a task's stages took; None if not all of them are stored."""
    if not all(node.key in prepared.stored for node in task.nodes):
        return None
    seconds = 0.0
    for node in task.nodes:
        record = prepared.store.record(node.key)
        if not record:
            return None
        seconds += record["seconds"]
    return seconds


@dataclass(frozen=True)
class ExpectedConfirmation:
    """What the confirmation is expected to take.

    Attributes
    ----------
    seconds
        CPU seconds.
    tasks
        The number of tasks.
    stages, to_compute
        The number of its stages by kind: of all, and of those that are not stored.
    size
        Bytes that are added to the store by kind.
    exact
        Whether the screen is stored, so that the runs to confirm are known.
    """

    seconds: float
    tasks: int
    stages: Mapping[str, int]
    to_compute: Mapping[str, int]
    size: Mapping[str, int]
    exact: bool


def expected_confirmation(prepared: Prepared, pace: Pace) -> ExpectedConfirmation | None:
    """Return what the confirmation is expected to take; None where nothing is confirmed.

    Which runs are confirmed is known after the screen. Before that, the confirmation is planned for
    as many typical runs, so that the estimate includes what runs share.
    """
    study = prepared.composition.study["scoring"]
    able = [run for run in prepared.plan.runs if run.stages]
    if not study["confirm"] or not able:
        return None
    planner = prepared.plan.planner.branch()
    known = set(prepared.plan.leaves) <= prepared.stored
    chosen = _shortlisted(prepared) if known else _typical(able, planner, study["shortlist"])
    if chosen is None:
        return None
    pictured = [runs[0] for runs in runs_by_embedding(able).values()]
    settings = ConfirmSettings.of(study)
    confirmation = plan_confirmation(planner, chosen, siblings(able, chosen), pictured, settings)
    own = wanted_keys(confirmation.nodes, confirmation.leaves, prepared.plan.nodes)
    tasks = make_tasks(
        confirmation.nodes, confirmation.leaves, {*prepared.stored, *prepared.plan.nodes}
    )
    return ExpectedConfirmation(
        seconds=_paced(tasks, planner, pace),
        tasks=len(tasks),
        stages=counts(confirmation.nodes[key] for key in own),
        to_compute=counts(node for task in tasks for node in task.nodes),
        size=bytes_by_kind((node for task in tasks for node in task.nodes), planner.shapes),
        exact=known,
    )


def _shortlisted(prepared: Prepared) -> list[RunPlan] | None:
    """Return the runs that a stored screen leads to; None if none passes the gates."""
    plan, store = prepared.plan, prepared.store
    scoring = prepared.composition.study["scoring"]
    state = StudyState(plan, store, load_customers(plan), scoring["gates"])
    state.take(settled_outcomes(plan.nodes, store, prepared.stored).values())
    partitions, _ = state.partitions()
    chosen = runs_to_confirm(state.ranked(), partitions, scoring["shortlist"])
    return [state.plans[run] for run in chosen] or None


def _typical(able: Sequence[RunPlan], planner: Planner, size: int) -> list[RunPlan]:
    """Return runs from the cheapest to the most costly, and as many again in the same spaces.

    The best runs of a study share their spaces: the 20 confirmed ones of the card customers have
    about half as many.
    """

    def cost(run: RunPlan) -> tuple[float, str]:
        roles = ("neighbours", "projection", "clustering")
        keys = {run.stages[role] for role in roles if role in run.stages}
        seconds = [node_seconds(planner.nodes[key], planner.shapes[key].customers) for key in keys]
        # By id too, so that equal costs have an order.
        return sum(seconds), run.id

    ordered = sorted(able, key=cost)
    size = min(size, len(ordered))
    spread = (size + 1) // 2
    chosen = {run.id: run for run in _evenly(ordered, spread)}
    spaces = {space_of(run.stages) for run in chosen.values()}
    others = [run for run in ordered if run.id not in chosen]
    same_space = [run for run in others if space_of(run.stages) in spaces]
    return [*chosen.values(), *_evenly(same_space or others, size - len(chosen))]


def _evenly(runs: Sequence[RunPlan], count: int) -> list[RunPlan]:
    """Return so many runs at even distances: of each part of the list, the middle one."""
    count = min(count, len(runs))
    return [runs[(2 * place + 1) * len(runs) // (2 * count)] for place in range(count)]


def _drawn(prepared: Prepared) -> dict[str, int]:
    """Return the number of drawn customers of each kind of stage that is not done on all."""
    sizes = {node.kind: node.sample for node in prepared.plan.nodes.values() if node.sample}
    return {kind: sizes[kind] for kind in KINDS if kind in sizes}


def _racing(prepared: Prepared) -> dict[str, int] | None:
    """Return the most draws of a race and the runs that enter it; None without one."""
    scoring = prepared.composition.study["scoring"]
    if not scoring["racing"]:
        return None
    return {"draws": scoring["draws"], "runs": sum(not run.reason for run in prepared.plan.runs)}


def _confirmation(prepared: Prepared, pace: Pace) -> dict[str, Any] | None:
    """Return what the confirmation will do, and what it is expected to take."""
    scoring = prepared.composition.study["scoring"]
    if not scoring["confirm"]:
        return None
    names = ("shortlist", "confirm_draws", "refits", "seeds", "nulls")
    asked = {name: scoring[name] for name in names}
    expected = expected_confirmation(prepared, pace)
    if expected is None:
        return {**asked, "tasks": 0}
    return {
        **asked,
        "stages": dict(expected.stages),
        "to_compute": dict(expected.to_compute),
        "tasks": expected.tasks,
        "seconds": round(expected.seconds, 1),
        "wall_seconds": round(expected.seconds / prepared.engine.n_workers, 1),
        "disk_bytes": dict(expected.size),
        "exact": expected.exact,
    }


def forecast_text(forecast: Mapping[str, Any]) -> str:
    """Return a forecast in lines for people."""
    lines = [
        f"{forecast['experiment'] or 'study'}: {forecast['runs']} runs",
        f"  {'stage':<12} {'unique':>8} {'stored':>8} {'to compute':>10}",
        *_stage_lines(forecast),
        *_skipped_lines(forecast),
        *(f"warning: {text}" for text in forecast["warnings"]),
        *_drawn_lines(forecast),
        *_approximate_lines(forecast),
        _estimate_line(forecast),
    ]
    if forecast["skipped"] < forecast["runs"]:
        lines += [*_racing_lines(forecast["racing"]), *_confirmation_lines(forecast["confirm"])]
    return "\n".join(lines)


def _stage_lines(forecast: Mapping[str, Any]) -> list[str]:
    stored, to_compute = forecast["stored"], forecast["to_compute"]
    return [
        f"  {kind:<12} {count:>8} {stored.get(kind, 0):>8} {to_compute.get(kind, 0):>10}"
        for kind, count in forecast["stages"].items()
    ]


def _skipped_lines(forecast: Mapping[str, Any]) -> list[str]:
    if not forecast["impossible"]:
        return []
    reasons = [f"  {entry['runs']} x {entry['reason']}" for entry in forecast["impossible"]]
    return [f"skipped: {forecast['skipped']}, which cannot be done:", *reasons]


def _estimate_line(forecast: Mapping[str, Any]) -> str:
    if not forecast["tasks"]:
        return "nothing to compute"
    wall, cpu = duration(forecast["wall_seconds"]), duration(forecast["seconds"])
    disk = amount(sum(forecast["disk_bytes"].values()))
    return (
        f"estimated: {wall} {forecast['engine']} ({cpu} of CPU, {forecast['tasks']} tasks), "
        f"{disk} of disk"
    )


def _drawn_lines(forecast: Mapping[str, Any]) -> list[str]:
    if not forecast["drawn"]:
        return []
    sizes = ", ".join(f"{kind} {size:,}" for kind, size in forecast["drawn"].items())
    return [
        f"drawn customers stand for all {max(forecast['customers'].values()):,} in: {sizes} "
        "(sampling=none: never)"
    ]


def _approximate_lines(forecast: Mapping[str, Any]) -> list[str]:
    if not forecast["approximate"]:
        return []
    return [
        "the neighbours of UMAP and t-SNE are searched approximately (sampling.neighbours=null: "
        "exactly)"
    ]


def _racing_lines(race: Mapping[str, int] | None) -> list[str]:
    if race is None:
        return []
    return [
        f"then, not in the estimate: a race of {race['runs']:,} runs over up to {race['draws']} "
        "draws each"
    ]


def _confirmation_lines(confirm: Mapping[str, Any] | None) -> list[str]:
    if confirm is None:
        return ["screen only (scoring.confirm=false)"]
    if "stages" not in confirm:
        return ["no run of the stored screen passes the gates: nothing will be confirmed"]
    tables = sum(confirm["nulls"].values())
    runs = (
        f"then up to {confirm['shortlist']} runs are confirmed with {confirm['confirm_draws']} "
        f"fresh draws, {confirm['refits']} refits, {confirm['seeds']} other seeds and {tables} "
        "tables without segments"
    )
    stages, to_compute = sum(confirm["stages"].values()), sum(confirm["to_compute"].values())
    if not to_compute:
        return [f"{runs}: {stages:,} stages, all stored"]
    wall, cpu = duration(confirm["wall_seconds"]), duration(confirm["seconds"])
    disk = amount(sum(confirm["disk_bytes"].values()))
    basis = "which runs is known after the screen: typical ones"
    if confirm["exact"]:
        basis = "the runs are known"
    return [
        f"{runs}:",
        f"  {stages:,} stages, {to_compute:,} to compute ({basis})",
        f"  estimated: {wall} ({cpu} of CPU), {disk} of disk",
    ]
