"""Message structures prepared for `hl7_gateway.er7.grouping`: which child of a group takes which segment.

Computed once for each version and structure from `hl7_gateway.er7.definitions`. Names of groups are
hl7apy's without the name of the structure; where versions or their transcription differ, the name of the
later versions is used for all.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from hl7_gateway.er7.definitions import Element, at_or_after, before, definitions, nearest_version

_NAMES = {
    "TIIMING": "TIMING",  # OML_O21 of 2.5 and 2.6
    "RESPONSE": "PATIENT_RESULT",  # ORU_R01 of 2.3
}
_UNNAMED = "_SUPPGRP"
_CHOICE = "CHOICE"
_LONGEST = 20


class Rank(IntEnum):
    """How well a place suits a segment, best first; the meaning of each is in `hl7_gateway.er7.grouping`."""

    EXACT = 0
    OPTIONAL_SEGMENT_SKIPPED = 1
    LATE = 2
    INCOMPLETE = 3
    SEEN = 4
    OPTIONAL_GROUP_SKIPPED = 5
    UNEXPECTED = 6


@dataclass(slots=True)
class Plan:
    """An element of a structure.

    `places[name]` are the indexes of the children that can take the segment, in order; `entry[name]` says
    how well the group begins with it, `way[name]` is the index of the child that it then enters; `required`
    are the indexes of the required children; `needs_opener` says whether the first segment of the group is
    required.
    """

    name: str
    is_group: bool
    is_choice: bool
    repeats: bool
    needs_opener: bool
    children: "list[Plan]" = field(default_factory=list)
    required: list[int] = field(default_factory=list)
    places: dict[str, list[int]] = field(default_factory=dict)
    entry: dict[str, Rank] = field(default_factory=dict)
    way: dict[str, int] = field(default_factory=dict)


def plan(version: str, structure: str) -> Plan | None:
    """Return the plan of a structure from the nearest version that defines it, None when none does."""
    return _nearest(nearest_version(version), structure) if len(structure) <= _LONGEST else None


@lru_cache(maxsize=512)
def _nearest(version: str, structure: str) -> Plan | None:
    for tables in map(definitions, [*at_or_after(version), *before(version)]):
        tree = tables.structure(structure)
        if tree:
            return _plan(tree, structure)
    return None


def group_name(name: str, structure: str) -> str:
    """Return the name of a group without the name of its structure, as the later versions call it.

    >>> group_name("ORU_R01_PATIENT_RESULT", "ORU_R01"), group_name("ORU_R01_RESPONSE", "ORU_R01")
    ('PATIENT_RESULT', 'PATIENT_RESULT')
    """
    short = name.removeprefix(f"{structure}_")
    return _CHOICE if short.endswith(_UNNAMED) else _NAMES.get(short, short)


def _plan(element: Element, structure: str) -> Plan:
    made = Plan(
        group_name(element.name, structure),
        element.is_group,
        element.kind == "choice",
        element.repeats,
        _needs_opener(element),
    )
    skipped = Rank.EXACT
    for at, inner in enumerate(element.children):
        child = _plan(inner, structure)
        made.children.append(child)
        if inner.minimum:
            made.required.append(at)
        for name, rank in (child.entry if child.is_group else {child.name: Rank.EXACT}).items():
            made.places.setdefault(name, []).append(at)
            reached = max(skipped, rank)
            if reached < made.entry.get(name, Rank.UNEXPECTED):
                made.entry[name] = reached
                made.way[name] = at
        if not made.is_choice:
            skipped = max(skipped, _skipping(inner))
    return made


def _needs_opener(element: Element) -> bool:
    while element.children:
        element = element.children[0]
    return element.minimum > 0


def _skipping(element: Element) -> Rank:
    if element.minimum:
        return Rank.INCOMPLETE
    return Rank.OPTIONAL_GROUP_SKIPPED if element.is_group else Rank.OPTIONAL_SEGMENT_SKIPPED
