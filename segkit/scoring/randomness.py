"""Random numbers that belong to what they are drawn for: the same in every run."""

from __future__ import annotations

import numpy as np

from segkit.hashing import seed_of


def generator(*identity: object) -> np.random.Generator:
    """Return the generator of an identity.

    Parameters
    ----------
    *identity : str or int
        What the numbers are for: the data or the seed, the purpose, the number of the draw. Equal
        identities have equal generators; different ones are independent.
    """
    text = "\0".join(str(part) for part in identity)
    return np.random.default_rng(seed_of(text, 16))
