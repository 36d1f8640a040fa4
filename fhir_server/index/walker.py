"""A tree of element names that one pass over a resource follows.

All paths of all search parameters of a type share one tree, so that the cost of
indexing is the number of elements that are present, not the number of
parameters (measured against one walk for each path: `tests/benchmarks/bench_search.py`).
"""

from collections.abc import Callable
from typing import Final

from fhir_server.index.rows import IndexRows
from hie.core.fhir.json import Json

# Adds the rows of one value; ignores a value that is not of the element's type.
Emit = Callable[[Json, IndexRows], None]
Predicate = Callable[[Json, IndexRows], bool]


class Node:
    """What to do with the values of one element, and how to go on below it."""

    __slots__ = ("children", "emits", "guards", "position")

    def __init__(self, position: int | None = None) -> None:
        """Take the one position of the list that is meant, None for all."""
        self.position: Final = position
        self.emits: list[Emit] = []
        self.guards: list[tuple[Predicate, Node]] = []
        self.children: dict[str, list[Node]] = {}

    def child(self, name: str, position: int | None = None) -> "Node":
        """Return the node of element `name`, made when there is none yet."""
        nodes = self.children.setdefault(name, [])
        for node in nodes:
            if node.position == position:
                return node
        nodes.append(Node(position))
        return nodes[-1]


def walk(node: Node, value: Json, rows: IndexRows) -> None:
    """Add to `rows` what `value`, an element or a list of them, gives below `node`."""
    if type(value) is list:
        if node.position is not None:
            value = value[node.position : node.position + 1]
        for item in value:
            _visit(node, item, rows)
    else:
        _visit(node, value, rows)


def _visit(node: Node, value: Json, rows: IndexRows) -> None:
    for emit in node.emits:
        emit(value, rows)
    for predicate, below in node.guards:
        if predicate(value, rows):
            _visit(below, value, rows)
    children = node.children
    if children and type(value) is dict:
        for name, item in value.items():
            nodes = children.get(name)
            if nodes is not None:
                for child in nodes:
                    walk(child, item, rows)
