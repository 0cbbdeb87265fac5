"""What results of several kinds of stages have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from segkit.study.plan.stage import Growth, Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from segkit.scoring.contract import Score
    from segkit.scoring.stability import Stability

_SKETCH_SIGNS = 4
# Of one draw on disk: an index, its status, and a figure for each of eight clusters.
_DRAW_BYTES = 2 * 8 + 8 + 8 * 8


class Family(NamedTuple):
    """CPU seconds of a task's first node and of each further one, and their power of n."""

    first: float
    further: float
    power: float

    def growth(self, further: bool) -> Growth:
        """Return the growth of the first node or of a further one."""
        return Growth(self.further if further else self.first, self.power)


def sketch(matrix: NDArray[np.float64]) -> list[list[float]]:
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

    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(_SKETCH_SIGNS, len(matrix)))
    # Huge values overflow here before a later stage says that they do.
    with np.errstate(over="ignore", invalid="ignore"):
        sums = signs @ matrix / np.sqrt(len(matrix))
        aggregates = np.vstack([matrix.mean(axis=0), matrix.std(axis=0), sums]).T
    rows: list[list[float]] = aggregates.tolist()
    return rows


def score_facts(score: Score) -> dict[str, Any]:
    """Return a score as plain facts."""
    facts: dict[str, Any] = {
        "value": score.value,
        "status": str(score.status),
        "n_scored": score.n_scored,
        "coverage": score.coverage,
    }
    if score.n_used is not None:
        facts["interval"] = None if score.interval is None else list(score.interval)
        facts["n_used"] = score.n_used
        facts["n_unrepresented"] = score.n_unrepresented
    return facts


def stability_result(stability: Stability | Exception) -> Result:
    """Return the result of a comparison with draws or seeds; raise where there is none."""
    import numpy as np

    if isinstance(stability, Exception):
        raise stability
    arrays = {name: np.asarray(array) for name, array in vars(stability).items()}
    return Result(arrays, stability.summary())


def draws_size(draws: int) -> int:
    """Return the bytes on disk of a comparison with so many draws or seeds."""
    return _DRAW_BYTES * draws
