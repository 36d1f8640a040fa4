"""The text of a GraphQL request to the fields it selects: variables bound, fragments in place.

The grammar is that of https://spec.graphql.org/October2021/#sec-Language, read by graphql-core. Directives
are those of https://hl7.org/fhir/R4/graphql.html; ``@skip`` and ``@include`` are done here. What the names
mean for FHIR is for `check` and `execution`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from graphql import GraphQLSyntaxError, language, parse
from graphql.language import ast

from fhir_server.graphql.limits import Limits
from hie.core.fhir.json import Json, JsonObject
from hie.core.language_errors import GraphQLError, GraphQLLimitError

Place = tuple[int, int]
Kind = Literal["query", "mutation"]

# A name, a sign and a value are a token each: far more than the fields that `Limits` lets through.
_MOST_TOKENS: Final = 50_000
_FLAGS: Final = frozenset({"flatten", "first", "singleton"})
_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "Boolean": (bool,),
    "Int": (int,),
    "Float": (int, float, Decimal),
    "String": (str,),
    "ID": (str, int),
}


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One selected field: `key` is its name in the result, `place` its line and column.

    `arguments` have their values, variables included; those whose variable has none are left out. An enum
    value is a str, an input object a dictionary. `slice` is the FHIRPath of ``@slice``.
    """

    key: str
    name: str
    arguments: Mapping[str, Json]
    selections: tuple["Selection", ...]
    place: Place
    is_flat: bool = False
    is_first: bool = False
    is_single: bool = False
    slice: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Narrowing:
    """A fragment, in place: its selections hold for objects of `type_condition`, for all when None."""

    type_condition: str | None
    selections: tuple["Selection", ...]
    place: Place


Selection = Field | Narrowing


@dataclass(frozen=True, slots=True)
class Document:
    """The operation that is to be executed."""

    kind: Kind
    selections: tuple[Selection, ...]


def read_document(
    text: str, limits: Limits, *, operation: str | None = None, variables: Mapping[str, Json] | None = None
) -> Document:
    """Return the operation of `text` that `operation` names, or its only one, with `variables` bound.

    Raises GraphQLError for what is not GraphQL or does not fit together, GraphQLLimitError.
    """
    try:
        parsed = parse(text, max_lexical_tokens=_MOST_TOKENS, max_comments=_MOST_TOKENS)
    except GraphQLSyntaxError as error:
        at = error.locations[0] if error.locations else None
        raise GraphQLError(error.message, place=(at.line, at.column) if at else None) from error
    except RecursionError as error:
        raise GraphQLLimitError("The document is nested too deeply") from error
    chosen = _operation(parsed, operation)
    if chosen.operation is ast.OperationType.SUBSCRIPTION:
        raise GraphQLError("Subscriptions are not supported by $graphql", place=_place(chosen))
    kind: Kind = "mutation" if chosen.operation is ast.OperationType.MUTATION else "query"
    reader = _Reader(parsed, _bound(chosen, variables or {}), limits)
    return Document(kind, reader.selections(chosen.selection_set))


def fields_of(selections: tuple[Selection, ...]) -> Iterator[Field]:
    """Return the fields of `selections` and of the fragments in them, whatever their type condition."""
    for each in selections:
        if isinstance(each, Field):
            yield each
        else:
            yield from fields_of(each.selections)


@dataclass(slots=True)
class _Variables:
    """The variables of an operation: those it defines, and the values of those that have one."""

    defined: frozenset[str] = frozenset()
    values: dict[str, Json] = field(default_factory=dict)


def _operation(parsed: ast.DocumentNode, name: str | None) -> ast.OperationDefinitionNode:
    found = [each for each in parsed.definitions if isinstance(each, ast.OperationDefinitionNode)]
    if name is not None:
        found = [each for each in found if each.name is not None and each.name.value == name]
    if not found:
        raise GraphQLError(f"There is no operation `{name}`" if name else "There is no operation")
    if len(found) > 1:
        raise GraphQLError("There are several operations; say which by `operationName`")
    return found[0]


def _bound(operation: ast.OperationDefinitionNode, given: Mapping[str, Json]) -> _Variables:
    """Return the variables that `operation` defines, with given and default values."""
    definitions = operation.variable_definitions or ()
    bound = _Variables(frozenset(each.variable.name.value for each in definitions))
    for definition in definitions:
        name = definition.variable.name.value
        is_required = isinstance(definition.type, ast.NonNullTypeNode)
        if name in given:
            value = given[name]
        elif definition.default_value is not None:
            value = _value(definition.default_value, _Variables())
        elif is_required:
            raise GraphQLError(f"The variable `${name}` has no value", place=_place(definition))
        else:
            continue
        if not _is_of(value, definition.type):
            wanted = language.print_ast(definition.type)
            raise GraphQLError(f"The variable `${name}` is not of type {wanted}", place=_place(definition))
        bound.values[name] = value
    return bound


def _is_of(value: Json, type_node: ast.TypeNode) -> bool:
    """Say whether `value` fits a variable's type, as far as that is a scalar of GraphQL or a list."""
    if isinstance(type_node, ast.NonNullTypeNode):
        return value is not None and _is_of(value, type_node.type)
    if value is None:
        return True
    if isinstance(type_node, ast.ListTypeNode):
        # One value stands for a list of it: https://spec.graphql.org/October2021/#sec-List.Input-Coercion
        items = value if isinstance(value, list) else [value]
        return all(_is_of(each, type_node.type) for each in items)
    if not isinstance(type_node, ast.NamedTypeNode):
        return True
    name = type_node.name.value
    types = _SCALARS.get(name)
    return types is None or (isinstance(value, types) and (name == "Boolean" or not isinstance(value, bool)))


class _Reader:
    """Reads selections, with the fragments and variables of one request."""

    def __init__(self, parsed: ast.DocumentNode, variables: _Variables, limits: Limits) -> None:
        self._variables = variables
        self._limits = limits
        self._fragments: dict[str, ast.FragmentDefinitionNode] = {
            each.name.value: each
            for each in parsed.definitions
            if isinstance(each, ast.FragmentDefinitionNode)
        }
        self._open: list[str] = []
        self._count = 0

    def selections(self, node: ast.SelectionSetNode | None, depth: int = 0) -> tuple[Selection, ...]:
        """Return what `node` selects, `depth` fields below the root."""
        if node is None:
            return ()
        if depth >= self._limits.depth:
            raise GraphQLLimitError(
                f"The fields are nested deeper than {self._limits.depth}", place=_place(node)
            )
        return tuple(found for each in node.selections if (found := self._selection(each, depth)) is not None)

    def _selection(self, node: ast.SelectionNode, depth: int) -> Selection | None:
        self._count += 1
        if self._count > self._limits.fields:
            raise GraphQLLimitError(
                f"The document selects more than {self._limits.fields} fields", place=_place(node)
            )
        flags: set[str] = set()
        slice_path = None
        is_field = isinstance(node, ast.FieldNode)
        for directive in node.directives or ():
            name, given = directive.name.value, self._arguments(directive)
            place = _place(directive)
            if name in ("skip", "include"):
                if _argument(name, given, "if", bool, place) is (name == "skip"):
                    return None
            elif name == "slice" and is_field:
                slice_path = _argument(name, given, "path", str, place)
            elif name in _FLAGS and is_field:
                if given:
                    raise GraphQLError(f"The directive `@{name}` has no arguments", place=place)
                flags.add(name)
            else:
                raise GraphQLError(f"There is no directive `@{name}` here", place=place)
        if not isinstance(node, ast.FieldNode):
            return self._narrowing(node, depth)
        return Field(
            node.alias.value if node.alias else node.name.value,
            node.name.value,
            self._arguments(node),
            self.selections(node.selection_set, depth + 1),
            _place(node),
            is_flat="flatten" in flags,
            is_first="first" in flags,
            is_single="singleton" in flags,
            slice=slice_path,
        )

    def _narrowing(self, node: ast.SelectionNode, depth: int) -> Narrowing:
        if isinstance(node, ast.InlineFragmentNode):
            condition = node.type_condition.name.value if node.type_condition else None
            return Narrowing(condition, self.selections(node.selection_set, depth), _place(node))
        assert isinstance(node, ast.FragmentSpreadNode)  # noqa: S101 - the third and last kind of selection
        name = node.name.value
        fragment = self._fragments.get(name)
        if fragment is None:
            raise GraphQLError(f"There is no fragment `{name}`", place=_place(node))
        if name in self._open:
            raise GraphQLError(f"The fragment `{name}` contains itself", place=_place(node))
        self._open.append(name)
        inner = self.selections(fragment.selection_set, depth)
        self._open.pop()
        return Narrowing(fragment.type_condition.name.value, inner, _place(node))

    def _arguments(self, node: ast.FieldNode | ast.DirectiveNode) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for argument in node.arguments or ():
            name = argument.name.value
            if name in found:
                raise GraphQLError(f"The argument `{name}` is given twice", place=_place(argument))
            value = argument.value
            if isinstance(value, ast.VariableNode) and self._is_unset(value):
                continue
            found[name] = _value(value, self._variables)
        return found

    def _is_unset(self, node: ast.VariableNode) -> bool:
        """Say whether a variable is defined and has no value."""
        name = node.name.value
        return name in self._variables.defined and name not in self._variables.values


def _argument(directive: str, given: Mapping[str, Json], name: str, kind: type, place: Place) -> Json:
    if set(given) != {name} or not isinstance(given[name], kind):
        wanted = "true or false" if kind is bool else "a string"
        raise GraphQLError(f"The directive `@{directive}` has one argument, `{name}`: {wanted}", place=place)
    return given[name]


def _value(node: ast.ValueNode, variables: _Variables) -> Json:  # noqa: PLR0911 - one a kind of value
    match node:
        case ast.VariableNode():
            name = node.name.value
            if name not in variables.defined:
                raise GraphQLError(f"The variable `${name}` is not defined", place=_place(node))
            return variables.values.get(name)
        case ast.NullValueNode():
            return None
        case ast.IntValueNode():
            return int(node.value) if len(node.value) < 19 else Decimal(node.value)  # noqa: PLR2004 - 64 bits
        case ast.FloatValueNode():
            return Decimal(node.value)
        case ast.StringValueNode() | ast.EnumValueNode() | ast.BooleanValueNode():
            return node.value
        case ast.ListValueNode():
            return [_value(each, variables) for each in node.values]
        case ast.ObjectValueNode():
            found: JsonObject = {each.name.value: _value(each.value, variables) for each in node.fields}
            return found
        case _:
            raise GraphQLError("The value is of no kind that GraphQL has", place=_place(node))


def _place(node: ast.Node) -> Place:
    if node.loc is None:
        return (1, 1)
    at = language.get_location(node.loc.source, node.loc.start)
    return (at.line, at.column)
