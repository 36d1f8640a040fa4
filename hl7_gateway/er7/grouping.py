"""Puts the flat segments of a message into the groups of its structure, without ever losing one.

The structure trees are hl7apy's (HL7 v2.8.2 section 2.12 "Chapter formats for defining HL7 messages"); the
walk is ours, because real messages leave out required segments, change the order and add Z-segments. Every
segment ends in exactly one group; among the places that could take it the first of these is chosen, and of
two equal ones the innermost:

1. the place that is next in an open group, or the begin of a group, new or repeated;
2. the begin of a group whose optional first segments were left out;
3. a place in an open group that was passed over: the segment is out of order;
4. a group of which a required segment is missing, or a repetition while the last one is not complete;
5. a repetition of a group whose last instance has such a segment already;
6. a group of which an optional group was left out before the segment;
7. none: the segment is unexpected and hangs where it was met.

Segments that speak of the one before them (NTE, PRT, ROL) take one of the first two places or stay with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from hl7_gateway.er7.message import Message, Segment
from hl7_gateway.er7.plan import Plan, Rank, plan

_ATTACHED = frozenset({"NTE", "PRT", "ROL"})


@dataclass(slots=True)
class Group:
    """A group of a message, the outermost one being the message itself.

    `name` is "ORU_R01" for the message, "PATIENT_RESULT" or "OBSERVATION" for its groups. `children` are in
    message order but for what was sent out of order; `unexpected` lists those segments among them that the
    structure has no place for.
    """

    name: str
    children: "list[Segment | Group]" = field(default_factory=list)
    unexpected: list[Segment] = field(default_factory=list)

    def segments(self, name: str) -> list[Segment]:
        """Return the segments of that name directly in this group."""
        return [child for child in self.children if isinstance(child, Segment) and child.name == name]

    def groups(self, name: str) -> "list[Group]":
        """Return the groups of that name directly in this group."""
        return [child for child in self.children if isinstance(child, Group) and child.name == name]

    def first(self, name: str) -> Segment | None:
        """Return the first segment of that name directly in this group."""
        return next(
            (child for child in self.children if isinstance(child, Segment) and child.name == name), None
        )

    def leaves(self) -> Iterator[Segment]:
        """Iterate over all segments of this group and of the groups in it, depth first."""
        for child in self.children:
            if isinstance(child, Group):
                yield from child.leaves()
            else:
                yield child


def group(message: Message) -> Group:
    """Return the message as a tree.

    Where no version of the standard defines the structure, all segments are directly in the outermost group.
    """
    name = message.structure
    structure = plan(message.version, name)
    if structure is None:
        return Group(name, [*message.segments])
    root = _Instance(structure, 0, "")
    walk = _Walk(root)
    for segment in message.segments:
        walk.place(segment)
    return root.group


class _Instance:
    """One occurrence of a group: what has been put into it and how far the walk has come in it."""

    __slots__ = ("filled", "group", "index", "last", "opener", "plan", "position", "seen")

    def __init__(self, structure: Plan, index: int, opener: str) -> None:
        self.plan = structure
        self.index = index
        self.opener = opener
        self.group = Group(structure.name)
        self.position = -1
        self.filled: set[int] = set()
        self.seen: set[str] = set()
        self.last: dict[int, _Instance] = {}

    def is_complete(self) -> bool:
        """Whether no required child is missing."""
        return bool(self.filled) if self.plan.is_choice else self.filled.issuperset(self.plan.required)


class _Walk:
    """The groups that are open, outermost first, and the group of the segment placed last."""

    def __init__(self, root: _Instance) -> None:
        self._path = [root]
        self._here = root.group

    def place(self, segment: Segment) -> None:
        """Put the segment into the group where it belongs."""
        name = segment.name
        best = Rank.LATE if name in _ATTACHED else Rank.UNEXPECTED
        way: list[_Instance] = []
        at = -1
        inner: _Instance | None = None
        for depth in range(len(self._path) - 1, -1, -1):
            instance = self._path[depth]
            for child in instance.plan.places.get(name, ()):
                rank = _forward(instance, child, name)
                if rank < best:
                    best, way, at = rank, self._path[: depth + 1], child
            if best > Rank.LATE:
                vacant = _vacant(instance, name, instance.position, inner)
                if vacant:
                    best, way, at = Rank.LATE, [*self._path[:depth], *vacant[0]], vacant[1]
            if best == Rank.EXACT:
                break
            inner = instance
        if way:
            self._put(way, at, segment)
        else:
            self._here.children.append(segment)
            self._here.unexpected.append(segment)

    def _put(self, way: list[_Instance], at: int, segment: Segment) -> None:
        """Put the segment into a child of the innermost group of `way`, opening the groups it begins."""
        # A group that is opened again moves the position of the groups around it back to where it stands.
        for outer, inner in pairwise(way):
            outer.position = inner.index
        instance = way[-1]
        while True:
            instance.filled.add(at)
            instance.position = at
            child = instance.plan.children[at]
            if not child.is_group:
                break
            opened = _Instance(child, at, segment.name)
            instance.group.children.append(opened.group)
            instance.last[at] = opened
            way.append(opened)
            instance = opened
            at = child.way[segment.name]
        for instance in way:
            instance.seen.add(segment.name)
        self._path = way
        self._here = instance.group
        self._here.children.append(segment)


def _forward(instance: _Instance, at: int, name: str) -> Rank:
    """Return how well a child of an open group takes the segment from the current position on."""
    structure, filled = instance.plan, instance.filled
    child = structure.children[at]
    if (
        at < instance.position
        or (at in filled and not child.repeats)
        or (structure.is_choice and filled and at not in filled)
    ):
        return Rank.UNEXPECTED
    last = instance.last.get(at)
    rank = child.entry[name] if child.is_group else Rank.EXACT
    if last is not None:
        return _repeated(last, rank, name)
    if at > instance.position + 1 and not structure.is_choice:
        for before in structure.required:
            if instance.position < before < at and before not in filled:
                return Rank.INCOMPLETE
    return rank


def _repeated(last: _Instance, rank: Rank, name: str) -> Rank:
    """Return how well a segment begins another repetition of a group that it enters with `rank`."""
    if last.opener == name:
        return Rank.EXACT
    if rank == Rank.EXACT:
        return rank if last.is_complete() or not last.plan.needs_opener else Rank.INCOMPLETE
    if name in last.seen:
        return min(rank, Rank.SEEN)
    if rank == Rank.OPTIONAL_SEGMENT_SKIPPED:
        return rank if last.is_complete() else Rank.INCOMPLETE
    return Rank.UNEXPECTED


def _vacant(
    instance: _Instance, name: str, until: int, open_: _Instance | None = None
) -> tuple[list[_Instance], int] | None:
    """Return the way to a place for the segment that was passed over.

    Looked for among the children before `until` and in groups that were begun and left; `open_` is the
    group inside `instance` that is not left yet.
    """
    structure, filled = instance.plan, instance.filled
    for at in structure.places.get(name, ()):
        child = structure.children[at]
        if structure.is_choice and filled and at not in filled:
            continue
        last = instance.last.get(at)
        if last is not None and last is not open_:
            inner = _vacant(last, name, len(last.plan.children))
            if inner:
                return [instance, *inner[0]], inner[1]
        again = child.repeats and (not child.is_group or child.entry[name] == Rank.EXACT)
        if at < until and (again or at not in filled):
            return [instance], at
    return None
