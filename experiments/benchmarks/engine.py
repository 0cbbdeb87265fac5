"""Measure the engine's overhead on stages that do nothing, with and without TLS.

    python experiments/benchmarks/engine.py
    python experiments/benchmarks/engine.py --stages 500 --repeats 1

Each stage is sent by itself. Start-up is the time until all workers are ready. A stage's time is
that from sending the first one to the outcome of the last one, divided by their number. Runs with
and without TLS alternate, so that both meet the same conditions; the least of each is printed.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from unittest.mock import patch

from segkit.study.plan.graph import Task
from segkit.study.run import cluster, engine, rounds
from segkit.study.run.outcome import Outcome
from segkit.study.run.settings import EngineSettings
from segkit.study.run.stages import node_of


def nothing(bundle, *_others, **_compiled):
    return [[Outcome(node.key, "ok") for node in task.nodes] for task in bundle]


def measured(tasks, workers, tls):
    """Return seconds to start, and milliseconds a stage."""
    # Without: as it was before there were keys.
    plain = patch.object(cluster, "temporary_security", lambda: None)
    same = dict.fromkeys((task.name for task in tasks), 0.0)
    with nullcontext() if tls else plain:
        begun = time.perf_counter()
        with engine.Engine(EngineSettings(workers=workers), "unused") as running:
            (_,) = running.run(tasks[:1], same)
            started = time.perf_counter()
            done = sum(1 for _ in running.run(tasks[1:], same))
            ended = time.perf_counter()
    assert done == len(tasks) - 1
    return started - begun, 1000 * (ended - started) / done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    rounds.run_bundle = nothing
    keys = [f"features-{number:08x}" for number in range(arguments.stages + 1)]
    tasks = [Task(key, (node_of(key, {}, {}),), ()) for key in keys]
    times = {True: [], False: []}
    for _ in range(arguments.repeats):
        for tls, runs in times.items():
            runs.append(measured(tasks, arguments.workers, tls))
    least = {
        tls: [min(column) for column in zip(*runs, strict=True)] for tls, runs in times.items()
    }
    print(
        f"{arguments.stages} stages that do nothing, {arguments.workers} workers, least of"
        f" {arguments.repeats}"
    )
    for tls, name in ((False, "without keys"), (True, "with TLS")):
        print(f"{name:<14} start {least[tls][0]:6.2f} s   {least[tls][1]:6.2f} ms a stage")
    (start, each), (plain_start, plain_each) = least[True], least[False]
    more = f"{each - plain_each:6.2f} ms a stage, ratio {each / plain_each:.2f}"
    print(f"{'difference':<14} start {start - plain_start:6.2f} s   {more}")


if __name__ == "__main__":
    main()
