"""FHIRPath expressions, compiled and cached: the one module that others need.

Normative release: https://hl7.org/fhirpath/N1/; what FHIR adds: https://hl7.org/fhir/R4/fhirpath.html.
Elements are named and typed as R4 defines them. An evaluation never changes what it is given, and its cost is
bounded: by steps, by the length of texts, by depth.
"""

from functools import lru_cache
from typing import Any

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.compiler import compile_expression, names_of
from hie.core.fhirpath.evaluation import NOTHING_KNOWN, Environment, Frame, Run
from hie.core.fhirpath.node import Items, Node
from hie.core.fhirpath.parser import parse
from hie.core.fhirpath.resources import node_of, resource_shape
from hie.core.fhirpath.shape import Shape
from hie.core.fhirpath.syntax import Chain, Member, This
from hie.core.fhirpath.syntax import Expression as Tree
from hie.core.fhirpath.values import truth
from hie.core.fhirpath.walkers import ABSENT, Walker, walker_of
from hie.core.language_errors import FhirPathError, FhirPathLimitError, FhirPathSyntaxError

__all__ = ["Environment", "Expression", "compiled", "list_at"]


class Expression:
    """A compiled expression; `text` is as it was written."""

    __slots__ = ("_closure", "_plain", "_walks", "text")

    def __init__(self, text: str, tree: Tree | None = None) -> None:
        """Compile `text`, or `tree` for which messages say `text`. Raises FhirPathSyntaxError."""
        self.text = text
        try:
            found = parse(text) if tree is None else tree
            self._closure = compile_expression(found)
        except RecursionError as error:
            raise FhirPathSyntaxError(f"`{text[:100]}...` is nested too deeply") from error
        # An expression of names alone is walked through the JSON, from resources of one type or of any.
        self._plain = _plain_path(found)
        self._walks: dict[Shape, Walker] = {}

    def evaluate(self, resource: JsonObject, environment: Environment | None = None) -> list[Any]:
        """Return what the expression finds, beginning at `resource`.

        Values of the resource come as the JSON that they are, without primitives that have only extensions;
        what is computed comes as bool, int, Decimal, str, Date, DateTime, Time, Quantity or TypeInfo. Raises
        FhirPathError where an operator or function does not take what it meets.
        """
        if resource.__class__ is not dict:
            raise _no_beginning("resource", resource)
        shape = resource_shape(resource)
        if self._plain is not None:
            walk = self._walks.get(shape) or self._walk_from(shape)
            if walk is not None:
                return _walked(walk, resource, None)
        return _values(self._items(Node(resource, shape), environment, has_places=False))

    def evaluate_at(
        self,
        element: Json,
        type_path: str,
        environment: Environment | None = None,
        *,
        extra: JsonObject | None = None,
    ) -> list[Any]:
        """Return what the expression finds, beginning at `element`, whose content is that of `type_path`.

        `type_path` is a data type ("HumanName", "code") or the path of an element with content of its own
        ("Patient.contact"); `extra` the id and extensions of a primitive. ``%resource`` is
        `environment.resource`, or `environment.root`.
        """
        start = _start(element, type_path, extra)
        if self._plain is not None:
            walk = self._walks.get(start.shape) or self._walk_from(start.shape)
            if walk is not None:
                return _walked(walk, element, extra)
        return _values(self._items(start, environment, has_places=False))

    def nodes(self, resource: JsonObject, environment: Environment | None = None) -> list[Node]:
        """Return the pieces of `resource` that the expression finds: their types, and where they stand.

        ``node.value`` is the very JSON object in the resource, ``node.type_name`` its type,
        ``node.shape.path`` the path of its content, ``node.path`` its place ("Patient.name[0].given[1]");
        ``node.parent``, ``node.key`` and ``node.index`` lead there: ``parent.value[key]``, then ``[index]``
        where that is a list. A primitive's extensions are ``node.extra``, beside it under ``_key``. Values
        that are computed are left out.
        """
        found = self._items(_start(resource, None, None), environment, has_places=True)
        return [item for item in found if isinstance(item, Node)]

    def items(self, start: Node, environment: Environment | None = None, *, has_places: bool = True) -> Items:
        """Return nodes and System values, beginning at `start`; with places, nodes know theirs below it."""
        return self._items(start, environment, has_places=has_places)

    def is_true(self, resource: JsonObject, environment: Environment | None = None) -> bool:
        """Return whether an invariant holds: nothing is false, one item that is no Boolean is true."""
        return self.is_true_at(resource, None, environment)

    def is_true_at(
        self,
        element: Json,
        type_path: str | None,
        environment: Environment | None = None,
        *,
        extra: JsonObject | None = None,
    ) -> bool:
        """Return whether an invariant holds for `element` of `type_path` (None: a resource)."""
        found = self._items(_start(element, type_path, extra), environment, has_places=False)
        return truth(found, f"`{self.text}`") is True

    def _walk_from(self, shape: Shape) -> Walker | None:
        """Return the walker of an expression of names alone, None for any other and for other types."""
        if self._plain is None:
            return None
        type_name, names = self._plain
        if type_name is not None and type_name not in shape.ancestors:
            return None
        walk = walker_of(shape, names, is_raw=True)
        if shape.is_known:
            self._walks[shape] = walk
        return walk

    def _items(self, start: Node, environment: Environment | None, *, has_places: bool) -> Items:
        items = [start]
        run = Run(environment or NOTHING_KNOWN, items, has_places)
        try:
            return self._closure(Frame(items, run))
        except RecursionError as error:
            raise FhirPathLimitError(f"`{self.text[:100]}` nests too deeply on this resource") from error


@lru_cache(maxsize=5000)
def compiled(text: str) -> Expression:
    """Return the expression of `text`, compiled once. Raises FhirPathSyntaxError.

    >>> compiled("name.given").evaluate({"resourceType": "Patient", "name": [{"given": ["Ada"]}]})
    ['Ada']
    """
    return Expression(text)


def list_at(expression: Expression, resource: JsonObject) -> tuple[Node, str] | None:
    """Return the one node that has the list at the end of `expression`, and the name of the list.

    None where the expression does not end in a name, or what comes before leads to no node or to several.
    """
    tree = parse(expression.text)
    if not isinstance(tree, Chain):
        return None
    start, steps = tree.start, tree.steps
    last = steps[-1] if steps else start
    if not isinstance(last, Member):
        return None
    before = Chain(start, steps[:-1]) if steps else This("this")
    found = Expression(expression.text, before).nodes(resource)
    return (found[0], last.name) if len(found) == 1 else None


def _plain_path(tree: Tree) -> tuple[str | None, tuple[str, ...]] | None:
    """Return the type that a tree of names alone begins with, if any, and the names; None for others."""
    names = names_of(tree)
    if names is not None:
        return None, names
    if not isinstance(tree, Chain) or not isinstance(tree.start, Member) or not tree.steps:
        return None
    names = tuple(step.name for step in tree.steps if isinstance(step, Member))
    return (tree.start.name, names) if len(names) == len(tree.steps) else None


def _start(element: Json, type_path: str | None, extra: JsonObject | None) -> Node:
    start = node_of(element, type_path)
    start.extra = extra
    if element.__class__ is not dict and not start.shape.is_primitive:
        raise _no_beginning(type_path or "resource", element)
    return start


def _no_beginning(wanted: str, value: Json) -> FhirPathError:
    return FhirPathError(f"An expression begins at a {wanted}, not at a {type(value).__name__}")


def _walked(walk: Walker, value: Json, extra: JsonObject | None) -> list[Any]:
    found: list[Any] = []
    walk(value, extra, found)
    return [one for one in found if one is not ABSENT] if ABSENT in found else found


def _values(items: Items) -> list[Any]:
    return [
        item.value if item.__class__ is Node else item
        for item in items
        if item.__class__ is not Node or item.value is not None
    ]
