"""SciPy's sparse eigenvectors, the same at every call.

From SciPy 1.17 on ARPACK draws fresh random numbers where it has to begin anew, as with the equal
eigenvalues of integer or repeated data, and neither umap-learn nor scikit-learn can hand it a seed.
Where it does not begin anew nothing is drawn, and the seed changes no digit.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator
from functools import wraps

# Who has the function under a name of its own.
_USERS = (
    "scipy.sparse.linalg",
    "sklearn.manifold._spectral_embedding",
    "sklearn.manifold._locally_linear",
)
_USERS += ("sklearn.decomposition._kernel_pca",)


@contextlib.contextmanager
def repeatable_eigenvectors(seed: int = 0) -> Iterator[None]:
    """Have ``scipy.sparse.linalg.eigsh`` draw the same random numbers at every call within the block."""
    import numpy as np
    import scipy.sparse.linalg

    plain = scipy.sparse.linalg.eigsh
    if "rng" not in inspect.signature(plain).parameters:
        yield
        return

    @wraps(plain)
    def seeded(*given: object, **named: object) -> object:
        return plain(*given, **{"rng": np.random.default_rng(seed), **named})

    users = [
        sys.modules[name]
        for name in _USERS
        if getattr(sys.modules.get(name), "eigsh", None) is plain
    ]
    for user in users:
        user.eigsh = seeded
    try:
        yield
    finally:
        for user in users:
            user.eigsh = plain
