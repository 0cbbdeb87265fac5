"""Parts that several projections share are computed once, and change no coordinate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from segkit import projection
from segkit.projection import shared, tsne, umap
from segkit.projection.neighbours import search
from segkit.projection.shared import Memo

SEED = {"random_state": 3}
UMAPS = [
    {"_target_": "umap.UMAP", "n_neighbors": 10, "min_dist": m, "n_epochs": 30, **SEED}
    for m in (0, 0.1, 0.5)
]
TSNES = [
    {"_target_": "openTSNE.TSNE", "perplexity": 15, "exaggeration": by, "n_iter": 40, **SEED}
    for by in (None, 2, 4)
]
DATA = ("normal", "rounded", "repeated", "apart")


def points(kind: str) -> np.ndarray:
    rng = np.random.default_rng(8)
    X = rng.normal(size=(240, 4))
    match kind:
        case "rounded":
            return X.round(1)
        case "repeated":
            return X[rng.integers(0, 150, size=240)]
        case "apart":  # several components, each with a spectral start of its own
            return X * 0.1 + np.repeat(np.eye(4) * 100, 60, axis=0)
    return X


@pytest.fixture
def fresh(monkeypatch):
    """Return a function that forgets what earlier projections left."""

    def forget() -> None:
        for family in (umap, tsne):
            monkeypatch.setattr(family, "_MEMO", Memo())

    forget()
    return forget


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("configs", [UMAPS, TSNES], ids=["umap", "tsne"])
def test_one_after_another_gives_the_bits_of_each_alone(configs, kind, fresh):
    X = points(kind)
    graph = search(X, 128)
    together = [
        projection.project(config, X, graph).coordinates for config in (*configs, configs[0])
    ]
    for config, coordinates in zip((*configs, configs[0]), together, strict=True):
        fresh()
        assert projection.project(config, X, graph).coordinates.tobytes() == coordinates.tobytes()


@pytest.mark.parametrize(
    ("configs", "module", "part"),
    [
        (UMAPS, "umap.umap_", "fuzzy_simplicial_set"),
        (UMAPS, "umap.umap_", "spectral_layout"),
        (TSNES, "openTSNE.affinity", "joint_probabilities_nn"),
    ],
)
def test_the_shared_part_is_computed_once(configs, module, part, fresh, monkeypatch):
    calls = []
    plain = getattr(__import__(module, fromlist=[part]), part)

    def counted(*given, **named):
        calls.append(part)
        return plain(*given, **named)

    counted.__module__, counted.__qualname__ = plain.__module__, plain.__qualname__
    monkeypatch.setattr(f"{module}.{part}", counted)
    X = points("normal")
    graph = search(X, 128)
    for config in configs:
        projection.project(config, X, graph)
    assert len(calls) == 1
    wider = {"n_neighbors": 12} if configs is UMAPS else {"perplexity": 20}
    projection.project({**configs[0], **wider}, X, graph)
    projection.project(configs[0], X + 1e-9 * np.arange(240)[:, None], search(X[::-1], 128))
    assert len(calls) == 3


def drawn(state: np.random.RandomState, scale: float, *, options: dict | None = None) -> np.ndarray:
    return state.normal(size=3) * scale + (options or {}).get("shift", 0)


def test_what_is_held_leaves_the_random_generator_as_computing_it_would():
    remembered = Memo().remembering(drawn)
    states = [np.random.RandomState(1) for _ in range(3)]
    expected = drawn(states[0], 2.0)
    values = [remembered(state, 2.0) for state in states[1:]]
    values[0][:] = 0  # each caller has a copy of its own
    assert (values[1] == expected).all()
    assert len({state.randint(10**9) for state in states}) == 1


def test_other_arguments_are_another_result():
    remembered = Memo().remembering(drawn)
    given = [
        (1, 2.0, None),
        (2, 2.0, None),
        (1, 3.0, None),
        (1, 2.0, {"shift": 1}),
        (1, 2.0, {"shift": 2}),
    ]
    for _ in range(2):
        for seed, scale, options in given:
            state = np.random.RandomState(seed)
            assert (
                remembered(state, scale, options=options)
                == drawn(np.random.RandomState(seed), scale, options=options)
            ).all()


def test_a_memo_holds_no_more_than_its_limit():
    calls = []

    def ones(n):
        calls.append(n)
        return np.ones(n), csr_matrix(np.ones((1, n)))

    remembered = Memo(limit=5000).remembering(ones)
    for n in (100, 100, 150, 100, 1000, 1000, 100):
        assert remembered(n)[0].sum() == n
    assert calls == [100, 150, 100, 1000, 1000]


def test_an_argument_whose_content_cannot_be_read_makes_a_plain_call():
    class Odd:
        pass

    calls = []
    remembered = Memo().remembering(calls.append)
    odd = Odd()
    remembered(odd)
    remembered(odd)
    assert calls == [odd, odd]
    assert shared.HELD_BYTES < 2**30
