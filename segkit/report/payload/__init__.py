"""What the page's linked views are made of: inert blocks of compressed numbers, from the study's folder alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from segkit.report import words
from segkit.report.payload.codec import as_json, block, text_size
from segkit.report.payload.columns import meta_columns, run_columns
from segkit.report.payload.material import Material, read_material

if TYPE_CHECKING:
    from segkit.report.gather import Summary

__all__ = ["BLOCKS", "payload"]

VERSION = 1
BLOCKS = ("meta", "runs", "labels", "planes", "values", "ids")
# What is cut first, and down to how many.
CUTS = (("runs", 30), ("planes", 6), ("runs", 10), ("planes", 1), ("runs", 1))


@dataclass(frozen=True)
class _Share:
    """How much of the material goes into the page."""

    runs: int
    planes: int
    features: int
    customers: bool


def payload(summary: Summary, room: int | None = None) -> tuple[dict[str, str], str | None]:
    """Make the blocks of the page.

    Parameters
    ----------
    summary : Summary
        Of the study's folder, from which customers, partitions and planes are read.
    room : int, optional
        How many characters all blocks may have together; more only for the leaderboard, which is whole in any case.

    Returns
    -------
    blocks : dict of str
        Base64 of gzip by the block's name: ``meta``, ``runs``, ``labels``, ``planes``, and where customers are
        embedded ``values`` and ``ids``.
    cut : str or None
        What was left out to keep to the room, in a sentence.
    """
    found = read_material(summary)
    runs = block(as_json(run_columns(summary)))
    columns = meta_columns(summary)
    left = None if room is None else room - len(runs)
    for share in _shares(found, columns, left):
        cut = _cut(share, found, summary)
        blocks = _blocks(found, share, columns, cut)
        if left is None or sum(map(len, blocks.values())) <= left:
            break
    return {"meta": blocks.pop("meta"), "runs": runs, **blocks}, cut


def _blocks(found: Material, share: _Share, columns: list[dict[str, Any]], cut: str | None) -> dict[str, str]:
    runs = found.runs_of(share.runs)
    labels, partitions = found.labels(runs)
    planes, placed = found.planes_of(share.planes)
    features, values = found.values_of(share.features)
    meta = _meta(found, columns, cut) | {
        "ids": share.customers,
        "values": share.customers and bool(features),
        "features": features,
        "runs": partitions["runs"],
        "partitions": partitions["partitions"],
        "planes": placed,
        "profiles": found.portraits_of(runs),
        "agreement": found.agreement_of(runs),
    }
    blocks = {"meta": block(as_json(meta)), "labels": block(labels), "planes": block(planes)}
    if meta["values"]:
        blocks["values"] = block(values)
    if meta["ids"]:
        blocks["ids"] = block(as_json(found.ids))
    return blocks


def _meta(found: Material, columns: list[dict[str, Any]], cut: str | None) -> dict[str, Any]:
    return {
        "version": VERSION,
        "customers": found.customers,
        "shown": found.shown,
        "sampled": found.shown < found.customers,
        "best": found.best,
        "recommended": found.recommended,
        "columns": columns,
        "cut": cut,
    }


def _shares(found: Material, columns: list[dict[str, Any]], left: int | None) -> Iterator[_Share]:
    """Yield how much to put in: everything, then what should fit, then ever less."""
    whole = _Share(len(found.shortlist), len(found.planes), len(found.features), found.ids is not None)
    yield whole
    if left is None:
        return
    costs = _costs(found, columns)
    fitting = whole
    for share in _smaller(replace(whole, features=_affordable(costs["features"], left // 3))):
        fitting = share
        if costs["meta"] + _cost(costs, found, share) <= left:
            yield share
    yield replace(fitting, runs=0, planes=0, features=0, customers=False)


def _smaller(share: _Share) -> Iterator[_Share]:
    """Yield shares with ever fewer runs and planes, in turn, then without values, then without ids and planes."""
    yield share
    for name, least in CUTS:
        while (now := getattr(share, name)) > least:
            share = replace(share, **{name: now - 1})
            yield share
    for nothing in ({"features": 0}, {"customers": False}, {"planes": 0}):
        share = replace(share, **nothing)
        yield share


def _affordable(costs: list[int], room: int) -> int:
    total = 0
    for count, cost in enumerate(costs):
        total += cost
        if total > room:
            return count
    return len(costs)


def _costs(found: Material, columns: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what each piece takes by itself, in characters; together they take a little less."""
    return {
        "meta": text_size(as_json(_meta(found, columns, None))) + 2_000,
        "partitions": {place: text_size(codes.tobytes()) for place, codes in enumerate(found.codes)},
        "portraits": {place: text_size(as_json(told)) for place, told in found.portraits.items()},
        "planes": [text_size(data) for data in found.plane_bytes],
        "features": [text_size(data) + text_size(as_json(told)) for told, data in found.features],
        "ids": 0 if found.ids is None else text_size(as_json(found.ids)),
    }


def _cost(costs: dict[str, Any], found: Material, share: _Share) -> int:
    places = {found.places[run] for run in found.runs_of(share.runs)}
    total = sum(costs["partitions"][place] + costs["portraits"].get(place, 0) for place in places)
    total += sum(costs["planes"][: share.planes]) + sum(costs["features"][: share.features])
    return total + (costs["ids"] if share.customers else 0)


def _cut(share: _Share, found: Material, summary: Summary) -> str | None:
    told = []
    wanted = {
        "{} of {} segmentations": (share.runs, len(found.shortlist)),
        "{} of {} pictures": (share.planes, len(found.planes)),
        "{} of {} features' values": (share.features, len(found.features)),
    }
    told = [text.format(some, every) for text, (some, every) in wanted.items() if some < every]
    if found.ids is not None and not share.customers:
        told.append("no customer's id")
    if not told:
        return None
    size = f"{summary.options.max_mb:g} MB"
    # With nothing left to cut, the leaderboard alone may be larger than that.
    lead = f"To keep the page within {size} it" if share.runs else f"Asked to keep to {size}, the page"
    return f"{lead} holds {words.listed(told)}; the leaderboard is whole."
