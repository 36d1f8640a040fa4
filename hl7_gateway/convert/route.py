"""The way of a message through its map: which place takes each segment, and what it stands below.

It depends on the names of the segments in their order alone, and senders send the same ones again and again:
a route is found once for each sequence.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hl7_gateway.convert.maps import Node

_ANYWHERE = frozenset({"ARV", "NTE"})


class Stop(NamedTuple):
    """One segment: its position in the message, the place that takes it (None: none does), where that stands.

    `frame` counts the open places in the order in which they were opened, 0 is the message itself; `opens`
    says whether segments may hang below this one.
    """

    position: int
    node: Node | None
    frame: int
    opens: bool


class _Open:
    """A place of the message under which segments may stand, and how many of each do."""

    __slots__ = ("children", "counts", "number", "parent")

    def __init__(self, children: dict[str, Node], parent: "_Open | None", number: int) -> None:
        self.children = children
        self.parent = parent
        self.number = number
        self.counts: dict[str, int] = {}

    def accepts(self, name: str) -> bool:
        node = self.children.get(name)
        return node is not None and (not node.limit or self.counts.get(name, 0) < node.limit)


def route(names: Sequence[str], children: dict[str, Node]) -> tuple[Stop, ...]:
    """Return where the segments called `names` belong below `children`, in the order of reading."""
    opened = [_Open(children, None, 0)]
    current = opened[0]
    stops: list[Stop] = []
    for position in _in_order(names, children):
        name = names[position]
        accepting = _accepting(current, opened, name)
        if accepting is None:
            stops.append(Stop(position, None, 0, opens=False))
            continue
        node = accepting.children[name]
        accepting.counts[name] = accepting.counts.get(name, 0) + 1
        stops.append(Stop(position, node, accepting.number, opens=bool(node.children)))
        if node.children:
            current = _Open(node.children, accepting, len(opened))
            opened.append(current)
        else:
            current = accepting
    return tuple(stops)


def _in_order(names: Sequence[str], children: dict[str, Node]) -> list[int]:
    """Return the positions, the first PID before all that is the patient's: some put it behind an order."""
    patients = children.get("PID")
    place = names.index("PID") if "PID" in names else 0
    positions = list(range(len(names)))
    if patients is None or not place:
        return positions
    # ARV and NTE also stand in the header, before any patient.
    begin = next(
        (n for n in range(place) if names[n] in patients.children and names[n] not in _ANYWHERE), place
    )
    return [*positions[:begin], place, *positions[begin:place], *positions[place + 1 :]]


def _accepting(current: _Open, opened: list[_Open], name: str) -> _Open | None:
    """Return where a segment belongs: the nearest open place, else the latest of all that takes it."""
    nearest: _Open | None = current
    while nearest is not None:
        if nearest.accepts(name):
            return nearest
        nearest = nearest.parent
    # Senders put segments after groups that they should precede; they still say what they say.
    return next((earlier for earlier in reversed(opened) if earlier.accepts(name)), None)
