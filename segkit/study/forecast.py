"""What a sweep would do, told before it runs: counts, what is stored, what is impossible, estimated time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from segkit.study.cost import duration
from segkit.study.graph import KINDS, counts, make_tasks

if TYPE_CHECKING:
    from segkit.study.prepare import Prepared


def forecast(prepared: Prepared) -> dict[str, Any]:
    """Return the counts of runs and stages, stored and to compute, the reasons of skipped runs and the estimated time.

    Returns
    -------
    dict
        ``seconds`` is CPU time over all workers, ``wall_seconds`` its share of each worker, both estimates.
    """
    plan = prepared.plan
    tasks = make_tasks(plan.nodes, plan.leaves, prepared.stored)
    wanted = [node.key for task in tasks for node in task.nodes]
    skipped = Counter(run.reason for run in plan.runs if run.reason)
    seconds = prepared.seconds(tasks)
    return {
        "experiment": prepared.composition.experiment,
        "runs": len(plan.runs),
        "skipped": sum(skipped.values()),
        "impossible": [{"reason": reason, "runs": count} for reason, count in skipped.most_common()],
        "stages": counts(plan.nodes),
        "stored": counts(key for key in plan.nodes if key in prepared.stored),
        "to_compute": counts(wanted),
        "tasks": len(tasks),
        "customers": dict(plan.customers),
        "drawn": _drawn(prepared),
        "approximate": sorted({node.kind for node in plan.nodes.values() if node.config.get("approximate")}),
        "engine": prepared.engine.description,
        "seconds": round(seconds, 1),
        "wall_seconds": round(seconds / prepared.engine.n_workers, 1),
        "racing": _racing(prepared),
        "confirm": _confirmation(prepared),
        "warnings": list(prepared.warnings),
    }


def _drawn(prepared: Prepared) -> dict[str, int]:
    """Return on how many drawn customers each kind of stage is done, where it is not done on all."""
    sizes = {node.kind: node.sample for node in prepared.plan.nodes.values() if node.sample}
    return {kind: sizes[kind] for kind in KINDS if kind in sizes}


def _racing(prepared: Prepared) -> dict[str, int] | None:
    """Return how many draws how many runs may still have in a race; which ones go on is known as it goes."""
    scoring = prepared.composition.study["scoring"]
    if not scoring["racing"]:
        return None
    return {"draws": scoring["draws"], "runs": sum(not run.reason for run in prepared.plan.runs)}


def _confirmation(prepared: Prepared) -> dict[str, Any] | None:
    """Return what the confirmation will do; which runs it is about, and so its time, is known after the screen."""
    scoring = prepared.composition.study["scoring"]
    if not scoring["confirm"]:
        return None
    names = ("shortlist", "confirm_draws", "refits", "seeds", "nulls")
    return {name: scoring[name] for name in names}


def forecast_text(found: dict[str, Any]) -> str:
    """Return a forecast in lines for people."""
    stages = [
        f"  {kind:<12} {count:>8} {found['stored'].get(kind, 0):>8} {found['to_compute'].get(kind, 0):>10}"
        for kind, count in found["stages"].items()
    ]
    impossible = [f"  {item['runs']} x {item['reason']}" for item in found["impossible"]]
    left = "nothing to compute"
    if found["tasks"]:
        wall, cpu = duration(found["wall_seconds"]), duration(found["seconds"])
        left = f"estimated: {wall} {found['engine']} ({cpu} of CPU, {found['tasks']} tasks)"
    skipped = [f"skipped: {found['skipped']}, which cannot be done:", *impossible] if impossible else []
    lines = [
        f"{found['experiment'] or 'study'}: {found['runs']} runs",
        f"  {'stage':<12} {'unique':>8} {'stored':>8} {'to compute':>10}",
        *stages,
        *skipped,
        *(f"warning: {text}" for text in found["warnings"]),
        *_drawn_lines(found),
        *_approximate_lines(found),
        left,
    ]
    if found["skipped"] < found["runs"]:
        lines += [*_racing_lines(found["racing"]), *_confirmation_lines(found["confirm"])]
    return "\n".join(lines)


def _drawn_lines(found: dict[str, Any]) -> list[str]:
    if not found["drawn"]:
        return []
    sizes = ", ".join(f"{kind} {size:,}" for kind, size in found["drawn"].items())
    return [f"drawn customers stand for all {max(found['customers'].values()):,} in: {sizes} (sampling=none: never)"]


def _approximate_lines(found: dict[str, Any]) -> list[str]:
    told = "the neighbours of UMAP and t-SNE are searched approximately (sampling.neighbours=null: exactly)"
    return [told] if found["approximate"] else []


def _racing_lines(race: dict[str, int] | None) -> list[str]:
    if race is None:
        return []
    return [f"then, not in the estimate: a race of {race['runs']:,} runs over up to {race['draws']} draws each"]


def _confirmation_lines(confirm: dict[str, Any] | None) -> list[str]:
    if confirm is None:
        return ["screen only (scoring.confirm=false)"]
    tables = sum(confirm["nulls"].values())
    how = f"{confirm['confirm_draws']} fresh draws, {confirm['refits']} refits, {confirm['seeds']} other seeds"
    runs = f"up to {confirm['shortlist']} runs are confirmed"
    return [f"then, not in the estimate: {runs} with {how} and {tables} tables without segments"]
