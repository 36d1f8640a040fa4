"""Compiles the search parameters of one resource type into a tree for `walker`.

Each path is followed through R4's element types, so that choice elements
(`value[x]`) become the names they have in JSON, and each value is read by what
fits its type. A parameter that leads to nothing that can be indexed is kept in
`refused` with the reason.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from fhir_server.definitions import elements
from fhir_server.definitions.search_parameters import SearchParameter, SearchParamType
from fhir_server.index import (
    dates,
    phonetics,
    positions,
    quantities,
    references,
    strings,
    tokens,
    uris,
    words,
)
from fhir_server.index.composites import (
    COMPONENT_PARAM,
    Component,
    collect,
    composite_emit,
    slots_of,
)
from fhir_server.index.expression import (
    At,
    Child,
    ExpressionError,
    IsTrue,
    OfType,
    Path,
    WhereEquals,
    WhereTarget,
    is_path,
    parse,
)
from fhir_server.index.hashing import NO_SYSTEM, hash64, param_id
from fhir_server.index.rows import IndexRows
from fhir_server.index.walker import Emit, Node, Predicate
from hie.core.fhir.json import Json
from hie.core.fhirpath.expression import compiled
from hie.core.language_errors import FhirPathError

# How a component names an element that lies outside the composite's own.
_OF_RESOURCE = "%resource."
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
        parameters: Mapping[str, SearchParameter],
        base_url: str,
        zone: ZoneInfo,
        *,
        without: Collection[str] = (),
        has_full_text: bool = False,
    ) -> None:
        """Take the type's parameters by code, of which those in `without` get no rows of their own."""
        self.root = Node()
        self.refused: dict[tuple[str, str], str] = {}
        self._base_url = base_url
        self._zone = zone
        self._has_full_text = has_full_text
        # Parameters that read the same values in the same way share one emit.
        self._leaves: dict[tuple[int, str, str, str], tuple[_Place, list[SearchParameter]]] = {}
        for parameter in (each for code, each in parameters.items() if code not in without):
            try:
                if parameter.type == "composite":
                    self._add_composite(parameter, resource_type)
                elif parameter.code in words.NAMES:
                    self._refuse_text()
                else:
                    self._add(parameter, resource_type)
            except ExpressionError as error:
                self.refused[resource_type, parameter.code] = str(error)
        for place, group in self._leaves.values():
            emit = self._emit(place, group)
            if emit is not None:
                place.open().emits.append(emit)

    def _refuse_text(self) -> None:
        """Say why there is no full text, or nothing: its words are indexed apart (`Indexer.words`)."""
        if not self._has_full_text:
            raise ExpressionError("full-text search is off (setting `full_text`)")

    def _add(self, parameter: SearchParameter, resource_type: str) -> None:
        if not parameter.expression:
            raise ExpressionError("has no expression")
        if parameter.is_stored and not is_path(parameter.expression, resource_type):
            self._add_expression(parameter)
            return
        is_found = False
        start = _Place(self.root, "", None, resource_type, resource_type)
        for path in parse(parameter.expression, resource_type):
            if path and isinstance(path[-1], IsTrue):
                self._add_is_true(parameter, start, path)
                is_found = True
                continue
            for place in self._follow(start, path, parameter.expression):
                if self._emit(place, [parameter]) is not None:
                    system = elements.system_of(place.path) or ""
                    key = (id(place.open()), parameter.type, place.kind, system)
                    self._leaves.setdefault(key, (place, []))[1].append(parameter)
                    is_found = True
        if not is_found:
            raise ExpressionError(
                f"`{parameter.expression}` has no value that a {parameter.type} search reads"
            )

    def _add_expression(self, parameter: SearchParameter) -> None:
        """Add what evaluates an expression that is more than paths; a value that fails it gives no row."""
        try:
            expression = compiled(parameter.expression)
        except FhirPathError as error:
            raise ExpressionError(f"`{parameter.expression}` is not FHIRPath: {error.message}") from error
        emits: dict[str, Emit | None] = {}

        def emit(value: Json, rows: IndexRows) -> None:
            if type(value) is not dict:
                return
            try:
                nodes = expression.nodes(value)
            except FhirPathError:
                return  # what the expression cannot be asked of, it does not find
            for node in nodes:
                kind = node.shape.path
                if kind not in emits:
                    emits[kind] = self._emit(_Place(Node(), "", None, kind, kind), [parameter])
                found = emits[kind]
                if found is not None:
                    found(node.value, rows)

        self.root.emits.append(emit)

    def _add_composite(self, parameter: SearchParameter, resource_type: str) -> None:
        """Add what reads the components inside each element; raises ExpressionError."""
        kinds = [each.type for each in parameter.component_parameters]
        if len(kinds) < len(parameter.components):
            raise ExpressionError("has a component that is no search parameter of the type")
        if slots_of(kinds) is None:
            raise ExpressionError(f"is composed of {', '.join(kinds)}")
        for path in parse(parameter.expression, resource_type):
            base = Node() if path else None
            start = _Place(base or Node(), "", None, resource_type, resource_type)
            for place in self._follow(start, path, parameter.expression):
                if base is not None:
                    place.open().emits.append(collect)
                components = [
                    self._component(parameter, kind, expression, place.kind)
                    for kind, (_, expression) in zip(kinds, parameter.components, strict=True)
                ]
            self.root.emits.append(composite_emit(parameter.number, base, components))

    def _component(
        self, composite: SearchParameter, kind: SearchParamType, expression: str, base: str
    ) -> Component:
        """Return how the values of a component of type `kind` are read from an element of type `base`."""
        is_of_resource = expression.startswith(_OF_RESOURCE)
        start = composite.resource_type if is_of_resource else base
        tree = Node()
        reader = replace(composite, type=kind, number=COMPONENT_PARAM, code="")
        is_found = False
        for path in parse(expression.removeprefix(_OF_RESOURCE), start):
            for place in self._follow(_Place(tree, "", None, start, start), path, expression):
                emit = self._emit(place, [reader])
                if emit is not None:
                    place.open().emits.append(emit)
                    is_found = True
        if not is_found:
            raise ExpressionError(f"`{expression}` has no value that a {kind} search reads")
        return Component(kind, tree, is_of_resource)

    def _add_is_true(self, parameter: SearchParameter, start: _Place, path: Path) -> None:
        *before, last = path[:-1]
        if not isinstance(last, Child) or parameter.type != "token":
            raise ExpressionError(f"`{parameter.expression}` does not end in an element")
        for place in self._follow(start, tuple(before), parameter.expression):
            keys = tuple(key for key, _ in elements.children(place.kind, last.name))
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
        found = elements.children(place.kind, name)
        if not found:
            # Published definitions (US Core) name a choice as JSON does: `valueDateTime`.
            found = elements.choice(place.kind, name)
        return [_Place(place.open(), key, None, kind, f"{place.kind}.{name}") for key, kind in found]

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
            "special": self._position_emit,
        }[group[0].type]
        return make(place, group)

    def _token_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        read = tokens.tokens_of(place.kind, elements.system_of(place.path))
        if read is None:
            return None
        plain = tokens.token_emit(read, _numbers(group))
        texts = strings.texts_beside(place.kind)
        if texts is None:
            return plain
        beside = strings.string_emit(texts, _text_params(group))
        if place.kind != "Identifier":
            return _both(plain, beside)
        by_type = tokens.token_emit(tokens.of_type_tokens, _derived(group, "of-type"))

        def emit(value: Json, rows: IndexRows) -> None:
            plain(value, rows)
            if type(value) is dict and "type" in value:
                by_type(value, rows)
                beside(value, rows)

        return emit

    def _reference_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        if place.kind == "Reference":
            displays = strings.texts_beside(place.kind)
            assert displays is not None  # noqa: S101 - a Reference has a display
            return _both(
                references.reference_emit(_numbers(group), _derived(group, "identifier"), self._base_url),
                strings.string_emit(displays, _text_params(group)),
            )
        if place.kind == "Resource":
            return references.resource_emit(_numbers(group))
        if place.kind in _CANONICALS:
            return references.canonical_emit(_numbers(group), self._base_url)
        return None

    def _string_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        texts = strings.texts_of(place.kind)
        if texts is None:
            return None
        heard = [each for each in group if each.code == phonetics.CODE]
        written = [each for each in group if each.code != phonetics.CODE]
        windows = (strings.window_param(each.resource_type, each.code) for each in written)
        plain = strings.string_emit(texts, tuple(zip(_numbers(written), windows, strict=True)))
        return _both(plain, phonetics.phonetic_emit(texts, _numbers(heard))) if heard else plain

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

    def _position_emit(self, place: _Place, group: list[SearchParameter]) -> Emit | None:
        return positions.position_emit(_numbers(group)) if place.kind in positions.POSITION_TYPES else None


def _numbers(group: list[SearchParameter]) -> tuple[int, ...]:
    return tuple(each.number for each in group)


def _derived(group: list[SearchParameter], modifier: str) -> tuple[int, ...]:
    return tuple(param_id(each.resource_type, f"{each.code}:{modifier}") for each in group)


def _text_params(group: list[SearchParameter]) -> tuple[tuple[int, int], ...]:
    """Return the params of what `:text` looks at, and of the windows of long texts."""
    return tuple(
        (
            param_id(each.resource_type, f"{each.code}:text"),
            strings.window_param(each.resource_type, f"{each.code}:text"),
        )
        for each in group
    )


def _both(first: Emit, second: Emit) -> Emit:
    def emit(value: Json, rows: IndexRows) -> None:
        first(value, rows)
        second(value, rows)

    return emit


def _child_equals(name: str, literal: str) -> Predicate:
    def predicate(value: Json, rows: IndexRows) -> bool:  # noqa: ARG001 - as predicates are called
        return type(value) is dict and bool(value.get(name) == literal)

    return predicate


def _presence_emit(keys: tuple[str, ...], param: int) -> Emit:
    """Return what adds one boolean token: whether one of `keys` is there and not false."""
    yes, no = hash64("true"), hash64("false")

    def emit(value: Json, rows: IndexRows) -> None:
        if type(value) is dict:
            is_there = any(value.get(key, False) is not False for key in keys)
            code = yes if is_there else no
            rows.token.append((param, code, NO_SYSTEM))
            rows.codes[code] = "true" if is_there else "false"

    return emit
