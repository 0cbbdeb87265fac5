from __future__ import annotations

from hashlib import sha256

import numpy as np

from segkit.scoring.randomness import generator


def test_a_generator_is_seeded_by_the_digest_of_its_identity():
    seed = int(sha256(b"table\0draw\x003").hexdigest()[:32], 16)
    expected = np.random.default_rng(seed).random(5)
    assert np.array_equal(generator("table", "draw", 3).random(5), expected)


def test_parts_of_an_identity_are_told_apart():
    first = {generator(*parts).integers(2**62) for parts in (("ab", 1), ("a", "b1"), ("ab1",))}
    assert len(first) == 3
