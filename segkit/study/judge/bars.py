"""The bars by which figures are read, each with its source; scores and the report share them."""

from __future__ import annotations

# Hennig (2007), on a segment's mean Jaccard over the draws: below the first it is not to be
# trusted, from there it is a pattern with doubtful members.
PATTERN = 0.6
VALID = 0.75
HIGHLY_STABLE = 0.85
# A refitted partition with a lower adjusted Rand index is in part another one.
AGREES = 0.75
# Runs whose partitions agree at least so far on average (ARI) give the same answer.
SAME_ANSWER = 0.8
