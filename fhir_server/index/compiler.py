"""Compiles the search parameters of one resource type into a tree for `walker`.

Each path is followed through R4's element types, so that choice elements
(`value[x]`) become the names they have in JSON, and each value is read by what
fits its type. A parameter that leads to nothing that can be indexed is kept in
`refused` with the reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fhir_server.definitions.search_parameters import ElementTypes, SearchParameter
from fhir_server.index import dates, quantities, references, strings, tokens, uris
from fhir_server.index.expression import (
    At,
    Child,
    ExpressionError,
    IsTrue,
    OfType,
    Path,
    WhereEquals,
    WhereTarget,
    parse,
)
from fhir_server.index.hashing import NO_SYSTEM, hash64, param_id
from fhir_server.index.rows import IndexRows
from fhir_server.index.walker import Emit, Node, Predicate
from hie.core.fhir.json import Json

_CANONICALS = frozenset({"canonical", "uri", "url", "oid", "uuid"})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a path has led: an element `key` of `parent` (or `node` itself) of FHIR type `kind`.

    The node is made only when something is done there.
    """

    node: Node
    key: str
    position: int | None
    kind: str
    path: str

    def open(self) -> Node:
        return self.node.child(self.key, self.position) if self.key else self.node


class TypeCompiler:
    """The tree of one type in `root`, and in `refused` what could not be compiled: (type, code) -> reason."""

    def __init__(
        self,
        resource_type: str,
        parameters: Iterable[SearchParameter],
        elements: ElementTypes,
        base_url: str,
        zone: ZoneInfo,
    ) -> None:
        self.root = Node()
        self.refused: dict[tuple[str, str], str] = {}
        self._elements = elements
        self._base_url = base_url
        self._zone = zone
        # Parameters that read the same values in the same way share one emit.
        self._leaves: dict[tuple[int, str, str, str], tuple[_Place, list[SearchParameter]]] = {}
        for parameter in parameters:
            try:
                self._add(parameter, resource_type)
            except ExpressionError as error:
                self.refused[resource_type, parameter.code] = str(error)
        for place, group in self._leaves.values():
            emit = self._emit(place, group)
            if emit is not None:
                place.open().emits.append(emit)

    def _add(self, parameter: SearchParameter, resource_type: str) -> None:
        if not parameter.expression:
            raise ExpressionError("has no expression")
        if parameter.type in {"composite", "special"}:
            raise ExpressionError(f"is of type {parameter.type}")
        if parameter.code == "phonetic":
            raise ExpressionError("needs a phonetic algorithm")
        is_found = False
        start = _Place(self.root, "", None, resource_type, resource_type)
        for path in parse(parameter.expression, resource_type):
            if path and isinstance(path[-1], IsTrue):
                self._add_is_true(parameter, start, path)
                is_found = True
                continue
            for place in self._follow(start, path, parameter.expression):
                if self._emit(place, [parameter]) is not None:
                    system = self._elements.system_of(place.path) or ""
                    key = (id(place.open()), parameter.type, place.kind, system)
                    self._leaves.setdefault(key, (place, []))[1].append(parameter)
                    is_found = True
        if not is_found:
            raise ExpressionError(
                f"`{parameter.expression}` has no value that a {parameter.type} search reads"
            )

    def _add_is_true(self, parameter: SearchParameter, start: _Place, path: Path) -> None:
        *before, last = path[:-1]
        if not isinstance(last, Child) or parameter.type != "token":
            raise ExpressionError(f"`{parameter.expression}` does not end in an element")
        for place in self._follow(start, tuple(before), parameter.expression):
            keys = tuple(key for key, _ in self._elements.children(place.kind, last.name))
            place.open().emits.append(_presence_emit(keys, parameter.number))

    def _follow(self, start: _Place, path: Path, expression: str) -> list[_Place]:
        places = [start]
        for step in path:
            if isinstance(step, Child):
                places = [below for place in places for below in self._children(place, step.name)]
            elif isinstance(step, OfType):
                wanted = step.name.lower()
                places = [place for place in places if place.kind.lower() == wanted]
            elif isinstance(step, At):
                places = [_Place(each.node, each.key, step.position, each.kind, each.path) for each in places]
            else:
                places = [self._guard(place, step) for place in places]
            if not places:
                raise ExpressionError(f"`{expression}` names an element that R4 does not have")
        return places

    def _children(self, place: _Place, name: str) -> list[_Place]:
        return [
            _Place(place.open(), key, None, kind, f"{place.kind}.{name}")
            for key, kind in self._elements.children(place.kind, name)
        ]

    def _guard(self, place: _Place, step: object) -> _Place:
        predicate: Predicate
        if isinstance(step, WhereEquals):
            predicate = _child_equals(step.name, step.value)
        elif isinstance(step, WhereTarget):
            if place.kind != "Reference":
                # A canonical does not say what it leads to; the parameter's targets do.
                return place
            predicate = references.leads_to(step.name, self._base_url)
        else:
            raise ExpressionError(f"{step} is not a condition")
        below = Node()
        place.open().guards.append((predicate, below))
        return _Place(below, "", None, place.kind, place.path)

    def _emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        """Return what adds the rows of `group`, all of one type; None when values at `place` give none."""
        make = {
            "token": self._token_emit,
            "reference": self._reference_emit,
            "string": self._string_emit,
            "date": self._date_emit,
            "quantity": self._quantity_emit,
            "number": self._number_emit,
            "uri": self._uri_emit,
        }[group[0].type]
        return make(place, group)

    def _token_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        read = tokens.tokens_of(place.kind, self._elements.system_of(place.path))
        if read is None:
            return None
        plain = tokens.token_emit(read, _numbers(group))
        if place.kind != "Identifier":
            return plain
        by_type = tokens.token_emit(tokens.of_type_tokens, _derived(group, "of-type"))

        def emit(value: Json, rows: IndexRows) -> None:
            plain(value, rows)
            if type(value) is dict and "type" in value:
                by_type(value, rows)

        return emit

    def _reference_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        if place.kind == "Reference":
            return references.reference_emit(_numbers(group), _derived(group, "identifier"), self._base_url)
        if place.kind == "Resource":
            return references.resource_emit(_numbers(group))
        if place.kind in _CANONICALS:
            return references.canonical_emit(_numbers(group), self._base_url)
        return None

    def _string_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        texts = strings.texts_of(place.kind)
        if texts is None:
            return None
        windows = (strings.window_param(each.resource_type, each.code) for each in group)
        return strings.string_emit(texts, tuple(zip(_numbers(group), windows, strict=True)))

    def _date_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        spans = dates.spans_of(place.kind)
        return None if spans is None else dates.date_emit(spans, _numbers(group), self._zone)

    def _quantity_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        measures = quantities.measures_of(place.kind)
        return None if measures is None else quantities.quantity_emit(measures, _numbers(group))

    def _number_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        return quantities.number_emit(_numbers(group)) if place.kind in quantities.NUMBER_TYPES else None

    def _uri_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        return uris.uri_emit(_numbers(group)) if place.kind in uris.URI_TYPES else None


def _numbers(group: list[SearchParameter]) -> tuple[int, ...]:
    return tuple(each.number for each in group)


def _derived(group: list[SearchParameter], modifier: str) -> tuple[int, ...]:
    return tuple(param_id(each.resource_type, f"{each.code}:{modifier}") for each in group)


def _child_equals(name: str, literal: str) -> Predicate:
    def predicate(value: Json) -> bool:
        return type(value) is dict and bool(value.get(name) == literal)

    return predicate


def _presence_emit(keys: tuple[str, ...], param: int) -> Emit:
    """Return what adds one boolean token: whether one of `keys` is there and not false."""
    yes, no = hash64("true"), hash64("false")

    def emit(value: Json, rows: IndexRows) -> None:
        if type(value) is dict:
            is_there = any(value.get(key, False) is not False for key in keys)
            rows.token.append((param, yes if is_there else no, NO_SYSTEM))

    return emit
