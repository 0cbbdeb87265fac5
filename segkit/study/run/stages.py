"""What each kind of stage computes: from stored inputs to stored results, on any worker.

``run_task`` is all that an engine calls. It never raises for a stage that fails: each node's
outcome says ``ok``, ``failed`` (a bug, or a lost input; tried again at the next launch) or
``skipped`` (this data cannot do it, or this worker; only the latter is tried again), with the
reason.
"""

from __future__ import annotations

import json
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from segkit import clustering, projection, scoring
from segkit.clustering.partition import attempt
from segkit.errors import Infeasible, NoRoom, UsageError
from segkit.files import DiskFull
from segkit.study.plan.keys import canonical
from segkit.study.run.resources import memory, one_thread
from segkit.study.run.store import Damaged, Store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from segkit.data import Table
    from segkit.projection.landmarks import Landmarks
    from segkit.scoring.embedding import EmbeddingQuality
    from segkit.scoring.stability import Stability
    from segkit.study.plan.graph import Node, Task

CACHED_BYTES = 256 * 1024**2
SKETCH_SIGNS = 4


@dataclass(frozen=True)
class Outcome:
    """What became of one node: its status and reason, or its record (facts, seconds of CPU, digest).

    ``again`` says that the next launch tries it again, on another machine perhaps. ``damaged`` has
    the keys of stored results that were found damaged on the way: of an outcome that is ok what was
    computed anew, of one that failed what has to be computed before it can be tried again.
    """

    key: str
    status: str
    reason: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    details: str = ""
    again: bool = False
    damaged: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether it failed for nothing but damaged inputs."""
        return self.status == "failed" and bool(self.damaged)


def outcome_of(key: str, record: Mapping[str, Any]) -> Outcome:
    """Return the outcome that a stored record tells of: done, or known to be impossible on this data."""
    reason = record["facts"].get("skipped", "")
    return Outcome(key, "skipped" if reason else "ok", reason, record)


@dataclass(frozen=True)
class Result:
    """A stage's arrays (kept in the store) and facts (small, plain; also passed on)."""

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]


class _Inputs:
    """Reads stored arrays, keeping the latest in memory up to a number of bytes: neighbours in a task share inputs."""

    def __init__(self, store: Store, impossible: Collection[str] = (), limit: int = CACHED_BYTES):
        self.store = store
        self.impossible = impossible
        self.limit = limit
        self.held: OrderedDict[str, dict[str, np.ndarray]] = OrderedDict()

    def arrays(self, key: str) -> dict[str, np.ndarray]:
        if key not in self.held:
            self.held[key] = self.store.arrays(key)
            while len(self.held) > 1 and self._bytes() > self.limit:
                self.held.popitem(last=False)
        self.held.move_to_end(key)
        return self.held[key]

    def _bytes(self) -> int:
        return sum(array.nbytes for arrays in self.held.values() for array in arrays.values())

    def matrix(self, key: str) -> np.ndarray:
        return self.arrays(key)["matrix"]

    def facts(self, key: str) -> dict[str, Any]:
        return self.store.facts(key)


def sketch(matrix: np.ndarray) -> list[list[float]]:
    """Return a few aggregates that tell two matrices apart without keeping either.

    Parameters
    ----------
    matrix
        Shape (n, d).

    Returns
    -------
    list of lists
        By column: mean, standard deviation and four sums with fixed random signs, divided by the
        root of n.
    """
    import numpy as np

    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(SKETCH_SIGNS, len(matrix)))
    # Huge values overflow here before a later stage says that they do.
    with np.errstate(over="ignore", invalid="ignore"):
        sums = signs @ matrix / np.sqrt(len(matrix))
        return np.vstack([matrix.mean(axis=0), matrix.std(axis=0), sums]).T.tolist()


def load_unchanged(data: Mapping[str, Any], root: str) -> Table:
    """Load a table and check that it is still the one that was planned for.

    Raises
    ------
    UsageError
        If the data changed, before it was read or meanwhile: its results would be stored under
        another's name.
    """
    from segkit.data import source

    found = source(data)
    table = found.load()
    if found.identity() != root:
        raise UsageError(
            f"{data.get('path') or table.source}: the data changed after the study was planned;"
            " launch again"
        )
    return table


def _table(config: Mapping[str, Any]) -> Table:
    table = _loaded(canonical(config["data"]), config["root"])
    return _drawn(table, **config["draw"]) if "draw" in config else table


@lru_cache(maxsize=2)
def _loaded(config_text: str, root: str) -> Table:
    return load_unchanged(json.loads(config_text), root)


def _drawn(table: Table, identity: str, index: int, size: int | None = None) -> Table:
    from segkit.scoring.stability import draw

    rows = draw(identity, index, table.n_customers, size)
    truth = None if table.truth is None else table.truth[rows]
    frame = table.frame.iloc[rows].reset_index(drop=True)
    return replace(table, frame=frame, ids=table.ids[rows], truth=truth)


def _copula(nodes: Sequence[Node], _inputs: _Inputs) -> list[Result | Exception]:
    from segkit.scoring.null import calibrate

    (node,) = nodes
    found = calibrate(_table(node.config).frame, _seed(node.key))
    return [Result({"correlation": found.correlation}, {**asdict(found), "correlation": None})]


def _null(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    import numpy as np

    from segkit.scoring.null import Copula, permuted, simulate

    (node,) = nodes
    frame = _table(node.config).frame
    rng = np.random.default_rng(_seed(node.key))
    if node.config["kind"] == "permuted":
        return [_table_result(permuted(frame, rng))]
    facts = inputs.facts(node.inputs["copula"])
    copula = Copula(**facts | {"correlation": inputs.arrays(node.inputs["copula"])["correlation"]})
    return [_table_result(simulate(copula, frame, rng))]


def _seed(key: str) -> int:
    """Return a seed that belongs to what is computed, so that adding a run changes nobody else's numbers."""
    return int.from_bytes(sha256(key.encode()).digest()[:8])


def _table_result(frame: pd.DataFrame) -> Result:
    """Keep a table's columns; text as the position of its value, so that nothing has to be unpickled."""
    arrays, categories = {}, {}
    for index, name in enumerate(frame.columns):
        column = frame[name]
        if column.dtype.kind in "fb":
            arrays[f"c{index}"] = column.to_numpy()
        else:
            codes, values = column.factorize(sort=True)
            arrays[f"c{index}"] = codes.astype("int32")
            categories[str(index)] = [str(value) for value in values]
    return Result(
        arrays, {"columns": [str(name) for name in frame.columns], "categories": categories}
    )


def _made(inputs: _Inputs, key: str) -> Table:
    import numpy as np
    import pandas as pd

    from segkit.data import Table

    facts, arrays = inputs.facts(key), inputs.arrays(key)
    columns: dict[str, Any] = {}
    for index, name in enumerate(facts["columns"]):
        values = arrays[f"c{index}"]
        if str(index) in facts["categories"]:
            known = np.array([*facts["categories"][str(index)], None], dtype=object)
            columns[name] = pd.Series(known[values], dtype=object)
        else:
            columns[name] = values
    frame = pd.DataFrame(columns)
    return Table(
        frame=frame,
        ids=np.arange(len(frame)),
        truth=None,
        warnings=(),
        source="a table without segments",
    )


def _features(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    from segkit.features import build_features

    (node,) = nodes
    table = _made(inputs, node.inputs["table"]) if "table" in node.inputs else _table(node.config)
    built = build_features(table, node.config["features"])
    arrays = {"matrix": built.matrix, "rows": built.rows}
    if table.truth is not None:
        arrays["truth"] = table.truth[built.rows]
    facts = {
        "sketch": sketch(built.matrix),
        "names": list(built.names),
        "customers": table.n_customers,
        "kept": len(built.rows),
        "warnings": [*table.warnings, *built.warnings],
    }
    return [Result(arrays, facts)]


def _scaling(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    from segkit.features import variance_shares
    from segkit.scaling import scale

    (node,) = nodes
    features = node.inputs["features"]
    matrix = scale(inputs.matrix(features), node.config, inputs.facts(features)["names"])
    facts = {"variance_shares": variance_shares(matrix).tolist(), "sketch": sketch(matrix)}
    return [Result({"matrix": matrix}, facts)]


def _landmarks(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    from segkit.projection.landmarks import nearest
    from segkit.scoring.stability import draw

    (node,) = nodes
    features = node.inputs["features"]
    customers = inputs.facts(features)["customers"]
    picked = draw(node.config["identity"], 0, customers, node.config["count"])
    found = nearest(inputs.matrix(node.inputs["space"]), _positions(picked, features, inputs))
    arrays = {"rows": found.rows, "indices": found.indices, "distances": found.distances}
    return [Result(arrays, {"customers": len(found.rows)})]


def _drawn_rows(node: Node, inputs: _Inputs) -> np.ndarray:
    """Return the positions of the customers that a sampled stage is done on."""
    from segkit.scoring.stability import draw

    features = node.inputs["features"]
    customers = inputs.facts(features)["customers"]
    return _positions(draw(node.config["identity"], 0, customers, node.sample), features, inputs)


def _landmarks_of(node: Node, inputs: _Inputs) -> Landmarks:
    from segkit.projection.landmarks import Landmarks

    return Landmarks(**inputs.arrays(node.inputs["landmarks"]))


def _positions(picked: np.ndarray, features: str, inputs: _Inputs) -> np.ndarray:
    """Return the positions of drawn customers of the table in a run's space, which may lack some of the customers."""
    import numpy as np

    rows = inputs.arrays(features)["rows"]
    customers = inputs.facts(features)["customers"]
    return (
        picked
        if len(rows) == customers
        else np.flatnonzero(np.isin(rows, picked, assume_unique=True))
    )


def _neighbours(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    from segkit.projection.neighbours import KD_TREE_COLUMNS, LEAST_RECALL, descend, search

    (node,) = nodes
    matrix = inputs.matrix(node.inputs["scaling"])
    if node.sample:
        matrix = matrix[inputs.arrays(node.inputs["landmarks"])["rows"]]
    if node.config.get("approximate") and matrix.shape[1] > KD_TREE_COLUMNS:
        found, recall = descend(matrix, node.config["count"])
    else:
        found, recall = None, 0.0
    told = {"recall": recall} if recall >= LEAST_RECALL else {}
    found = found if told else search(matrix, node.config["count"])
    facts = {"sketch": sketch(found.distances.mean(axis=1, keepdims=True)), **told}
    return [Result({"indices": found.indices, "distances": found.distances}, facts)]


def _projection(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    from segkit.projection.landmarks import placed
    from segkit.projection.neighbours import Neighbours

    (node,) = nodes
    matrix = inputs.matrix(node.inputs["scaling"])
    if node.sample:
        matrix = matrix[inputs.arrays(node.inputs["landmarks"])["rows"]]
    reason = projection.infeasible(node.config, *matrix.shape)
    if reason:
        raise Infeasible(reason)
    graph = (
        Neighbours(**inputs.arrays(node.inputs["neighbours"]))
        if "neighbours" in node.inputs
        else None
    )
    found = projection.project(node.config, matrix, graph)
    space, figures = found.coordinates, dict(found.figures)
    recall = inputs.facts(node.inputs["neighbours"]).get("recall") if graph else None
    figures |= {} if recall is None else {"neighbours_recall": recall}
    if node.sample:
        space, r2 = placed(space, _landmarks_of(node, inputs))
        figures |= {"fitted_customers": len(matrix), "placement_r2": r2}
    return [Result({"matrix": space}, {"figures": figures, "sketch": sketch(space)})]


def _clustering(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    from segkit.scoring.stability import draw

    space = inputs.matrix(nodes[0].inputs["space"])
    truth = inputs.arrays(nodes[0].inputs["features"]).get("truth")
    configs = [node.config for node in nodes]
    if "landmarks" in nodes[0].inputs:
        found = clustering.fit_drawn(space, configs, _landmarks_of(nodes[0], inputs))
    elif nodes[0].sample and nodes[0].sample < len(space):
        # The same draw for every space of so many customers: a run's labels hang on nothing but the
        # run.
        found = clustering.fit_from(space, configs, draw("starts", 0, len(space), nodes[0].sample))
    else:
        found = clustering.fit_many(space, configs)
    return [item if isinstance(item, Exception) else _partition(item, truth) for item in found]


def _partition(found: clustering.Partition, truth: np.ndarray | None) -> Result:
    import numpy as np

    from segkit.scoring.agreement import truth_ari

    labels = found.labels
    sizes = np.bincount(labels[labels >= 0])
    facts: dict[str, Any] = {
        "n_clusters": len(sizes),
        "noise_fraction": float(np.mean(labels < 0)),
        "smallest_cluster": float(sizes.min() / len(labels)) if len(sizes) else None,
        **found.figures,
    }
    if truth is not None:
        facts["truth_ari"] = truth_ari(labels, truth).value
    smallest = np.int16 if len(sizes) < np.iinfo(np.int16).max else np.int32
    return Result({"labels": labels.astype(smallest)}, facts)


def _scoring(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    partitions = [inputs.arrays(node.inputs["partition"])["labels"] for node in nodes]
    space = _scored_space(nodes[0], inputs, len(partitions[0]))
    rows = _drawn_rows(nodes[0], inputs) if nodes[0].sample else None
    scores = scoring.score_many(space, partitions, rows)
    return [Result({}, {name: _told(score) for name, score in item.items()}) for item in scores]


def _scored_space(node: Node, inputs: _Inputs, customers: int) -> np.ndarray:
    """Return the space to score in: a reference has every customer, a run may have dropped some with missing values."""
    space = inputs.matrix(node.inputs["space"])
    return (
        space if len(space) == customers else space[inputs.arrays(node.inputs["features"])["rows"]]
    )


def _told(score: scoring.Score) -> dict[str, Any]:
    told = {
        "value": score.value,
        "status": str(score.status),
        "n_scored": score.n_scored,
        "coverage": score.coverage,
    }
    if score.n_used is not None:
        interval = None if score.interval is None else list(score.interval)
        told |= {
            "interval": interval,
            "n_used": score.n_used,
            "n_unrepresented": score.n_unrepresented,
        }
    return told


def _stability(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    from segkit.scoring.stability import join, stability_many

    first = nodes[0]
    space = inputs.matrix(first.inputs["space"])
    draws = _draws(first, inputs)[first.config.get("done", 0) :]
    partitions = [inputs.arrays(node.inputs["partition"])["labels"] for node in nodes]
    configs = [node.config["clusterer"] for node in nodes]
    share = first.sample / _customers(first, inputs) if first.sample else None
    found = stability_many(space, configs, partitions, draws, share)
    if "before" in first.inputs:
        found = [
            item if isinstance(item, Exception) else join([_kept_draws(node, inputs), item])
            for node, item in zip(nodes, found, strict=True)
        ]
    return [item if isinstance(item, Exception) else _stable(item) for item in found]


def _kept_draws(node: Node, inputs: _Inputs) -> Stability:
    from segkit.scoring.stability import Stability

    kept = dict(inputs.arrays(node.inputs["before"]))
    return Stability(**kept | {"ari_status": tuple(kept["ari_status"].tolist())})


def _draws(node: Node, inputs: _Inputs) -> list[np.ndarray]:
    """Return the study's draws of customers of the table, as positions in this run's space."""
    from segkit.scoring.stability import draw

    features, customers = node.inputs["features"], _customers(node, inputs)
    drawn = (
        draw(node.config["identity"], index, customers, node.sample)
        for index in range(node.config["draws"])
    )
    return [_positions(picked, features, inputs) for picked in drawn]


def _customers(node: Node, inputs: _Inputs) -> int:
    """Return how many customers the table has, of which a run may have dropped some."""
    return inputs.facts(node.inputs["features"])["customers"]


def _refit(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    """Compare a partition with those of the whole pipeline fitted anew on draws of the customers."""
    import numpy as np

    from segkit.scoring.stability import collect, compare_draw, draw

    (node,) = nodes
    labels = inputs.arrays(node.inputs["partition"])["labels"]
    features, customers = node.inputs["features"], _customers(node, inputs)
    place = np.full(customers, -1)
    place[inputs.arrays(features)["rows"]] = np.arange(len(labels))
    outcomes: list[Any] = []
    for index in range(node.config["draws"]):
        if not _is_there(node, f"partition:{index}", inputs):
            outcomes.append(Infeasible("the draw cannot be clustered"))
            continue
        found = inputs.arrays(node.inputs[f"partition:{index}"])["labels"]
        picked = draw(node.config["identity"], index, customers, node.sample)
        drawn = picked[inputs.arrays(node.inputs[f"features:{index}"])["rows"]]
        both = place[drawn] >= 0
        outcomes.append(compare_draw(labels, place[drawn][both], found[both]))
    return [_stable(collect(outcomes, labels))]


def _is_there(node: Node, role: str, inputs: _Inputs) -> bool:
    """Tell whether an input that may be impossible is there.

    Raises
    ------
    Damaged
        If it is possible and yet not there: a draw without a value would be another result.
    """
    key = node.inputs.get(role)
    if key is None or key in inputs.impossible:
        return False
    return "skipped" not in inputs.facts(key)


def _reseed(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    """Compare a partition with those that other seeds give on the same customers."""
    import numpy as np

    from segkit.scoring.stability import collect, compare_draw

    (node,) = nodes
    labels = inputs.arrays(node.inputs["partition"])["labels"]
    everyone = np.arange(len(labels))
    outcomes: list[Any] = []
    for index in range(node.config["seeds"]):
        if not _is_there(node, f"partition:{index}", inputs):
            outcomes.append(Infeasible("it cannot be clustered with that seed"))
            continue
        found = inputs.arrays(node.inputs[f"partition:{index}"])["labels"]
        outcomes.append(compare_draw(labels, everyone, found))
    return [_stable(collect(outcomes, labels))]


def _prediction(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    from segkit.clustering.drawn import thin_many
    from segkit.scoring.prediction_strength import prediction_strength_many

    first = nodes[0]
    space, share = inputs.matrix(first.inputs["space"]), 1.0
    if first.sample:
        rows = _drawn_rows(first, inputs)
        space, share = space[rows], len(rows) / len(space)
    configs = thin_many([node.config["clusterer"] for node in nodes], share)
    possible = [config for config in configs if not isinstance(config, Infeasible)]
    strengths = iter(prediction_strength_many(space, possible, first.config["identity"]))
    found = [config if isinstance(config, Infeasible) else next(strengths) for config in configs]
    return [item if isinstance(item, Exception) else Result({}, item.summary()) for item in found]


def _density(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    from segkit.scoring.dbcv import dbcv

    (node,) = nodes
    labels = inputs.arrays(node.inputs["partition"])["labels"]
    space = _scored_space(node, inputs, len(labels))
    if node.sample:
        rows = _drawn_rows(node, inputs)
        space, labels = space[rows], labels[rows]
    return [Result({}, _told(dbcv(space, labels)))]


def _quality(nodes: Sequence[Node], inputs: _Inputs) -> list[Result | Exception]:
    """Compare projections of one matrix with it; where one cannot be read or compared, each by itself."""
    try:
        return _qualities(nodes, inputs)
    except Exception:
        if len(nodes) == 1:
            raise
        return [attempt(lambda node: _qualities([node], inputs)[0], node) for node in nodes]


def _qualities(nodes: Sequence[Node], inputs: _Inputs) -> list[Result]:
    """Compare projections of one matrix with it, and with what learns nothing and what loses nothing."""
    from segkit.scoring.embedding import control_identity, control_random_projection, quality_many

    high, identity = inputs.matrix(nodes[0].inputs["scaling"]), nodes[0].config["identity"]
    lows = [inputs.matrix(node.inputs["space"]) for node in nodes]
    controls = {
        q: control_random_projection(high, q, seed=identity) for q in {low.shape[1] for low in lows}
    }
    found = iter(
        quality_many(high, [control_identity(high), *controls.values(), *lows], seed=identity)
    )
    same, random = next(found), {q: next(found) for q in controls}
    return [
        _picture({"picture": picture, "random_projection": random[low.shape[1]], "identity": same})
        for low, picture in zip(lows, found, strict=True)
    ]


def _picture(found: Mapping[str, EmbeddingQuality]) -> Result:
    arrays = {f"r_nx_{name}": item.r_nx for name, item in found.items()}
    facts = {name: item.summary() for name, item in found.items()}
    return Result(
        arrays, {**facts, "customers": found["picture"].n_used, "sampled": found["picture"].sampled}
    )


def _stable(found: Any) -> Result:
    import numpy as np

    arrays = {name: np.asarray(array) for name, array in vars(found).items()}
    return Result(arrays, found.summary())


COMPUTE: Mapping[str, Callable[[Sequence[Any], _Inputs], list[Result | Exception]]] = {
    "copula": _copula,
    "null": _null,
    "features": _features,
    "scaling": _scaling,
    "landmarks": _landmarks,
    "neighbours": _neighbours,
    "projection": _projection,
    "clustering": _clustering,
    "scoring": _scoring,
    "stability": _stability,
    "refit": _refit,
    "reseed": _reseed,
    "prediction": _prediction,
    "density": _density,
    "quality": _quality,
}


def run_task(task: Task, store_root: str, *before: Sequence[Outcome]) -> list[Outcome]:
    """Compute a task's nodes and store their results.

    Parameters
    ----------
    task
        Nodes of one kind that share their inputs' work.
    store_root
        The store's folder.
    before
        The outcomes of the tasks that this one comes after.

    Returns
    -------
    list of Outcome
        One for each node, in order.

    Raises
    ------
    DiskFull
        If the store's disk is full: the study cannot go on.
    """
    store = Store(store_root)
    lost = {
        outcome.key: outcome
        for outcomes in before
        for outcome in outcomes
        if outcome.status != "ok"
    }
    done: dict[str, Outcome] = {}
    open_nodes = []
    for node in task.nodes:
        gone = ((role, lost[key]) for role, key in node.inputs.items() if key in lost)
        stopped = next(
            (outcome for role, outcome in gone if node.stops(role, again=outcome.again)), None
        )
        # A task may be run again after its worker was lost.
        record = None if stopped else store.record(node.key)
        if stopped:
            done[node.key] = replace(stopped, key=node.key, record={})
        elif record:
            done[node.key] = outcome_of(node.key, record)
        else:
            open_nodes.append(node)
    if open_nodes:
        done |= _compute(open_nodes, _Inputs(store, lost))
    return [done[node.key] for node in task.nodes]


def _compute(nodes: Sequence[Node], inputs: _Inputs) -> dict[str, Outcome]:
    store, start = inputs.store, time.thread_time()
    with memory() as used:
        try:
            with one_thread():
                results = COMPUTE[nodes[0].kind](nodes, inputs)
        except DiskFull:
            raise
        except Exception as error:
            results = [error] * len(nodes)
    share = (time.thread_time() - start) / len(nodes)
    outcomes = {}
    for node, result in zip(nodes, results, strict=True):
        outcome = _keep(node, result, store, share, used)
        # What was dropped here is told by whoever is made of it, or in its place.
        outcomes[node.key] = replace(outcome, damaged=tuple(dict.fromkeys(store.damaged)))
    return outcomes


def _keep(
    node: Node, result: Result | Exception, store: Store, seconds: float, used: Mapping[str, float]
) -> Outcome:
    if isinstance(result, NoRoom):
        return Outcome(node.key, "skipped", f"{node.kind}: {result}", again=True)
    if isinstance(result, Infeasible):
        result = Result({}, {"skipped": f"{node.kind}: {result}"})
    if not isinstance(result, Result):
        return _failed(node, result)
    try:
        return outcome_of(
            node.key, store.save(node.key, result.arrays, result.facts, seconds, used)
        )
    except OSError as error:
        return _failed(
            node, UsageError(f"store={store.root}: the result cannot be written ({error.strerror})")
        )


def _failed(node: Node, error: Exception) -> Outcome:
    expected = isinstance(error, UsageError | Damaged)
    reason = (
        f"{node.kind}: {error}" if expected else f"{node.kind}: {type(error).__name__}: {error}"
    )
    details = "" if expected else "".join(traceback.format_exception(error))
    return Outcome(node.key, "failed", " ".join(reason.split()), details=details, again=True)
