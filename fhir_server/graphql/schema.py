"""The schema that introspection describes: types, fields, arguments and queries of this server.

Made of the structures and search parameters of R4 when it is first asked for. It describes and executes
nothing; that the execution takes what it describes is what the tests hold. Arguments of lists: R4's
https://hl7.org/fhir/R4/graphql.html#list, of searches #searching.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Final

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLDirective,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    specified_directives,
)
from graphql.language import DirectiveLocation
from graphql.type import GraphQLOutputType

from fhir_server.definitions.search_parameters import load_registry
from fhir_server.graphql.fields import (
    ANY_RESOURCE,
    CONNECTION,
    EDGE,
    REFERENCE,
    RESOURCE,
    ElementField,
    fields_at,
    type_name,
)
from hie.core.fhir.structure import resource_types

_SCALARS: Final[Mapping[str, GraphQLScalarType]] = {
    "boolean": GraphQLBoolean,
    "integer": GraphQLInt,
    "positiveInt": GraphQLInt,
    "unsignedInt": GraphQLInt,
    "decimal": GraphQLFloat,
    "string": GraphQLString,
    "id": GraphQLID,
}
_ABSTRACT: Final = frozenset({"Resource", "DomainResource"})


@cache
def schema() -> GraphQLSchema:
    """Return the schema, made on the first call."""
    return _Types().schema()


class _Types:
    """Makes each type once."""

    def __init__(self) -> None:
        self._scalars: dict[str, GraphQLScalarType] = dict(_SCALARS)
        self._objects: dict[str, GraphQLObjectType] = {}
        self._reverse: dict[str, dict[str, GraphQLField]] = {}
        self._resource = GraphQLInterfaceType(
            ANY_RESOURCE,
            lambda: {name: self._field(each) for name, each in fields_at(ANY_RESOURCE).items()},
            resolve_type=lambda value, *_: str(value["resourceType"]),
            description="Any resource",
        )

    def schema(self) -> GraphQLSchema:
        resources = [self._output(name) for name in sorted(resource_types())]
        return GraphQLSchema(
            query=GraphQLObjectType("Query", self._queries),
            mutation=GraphQLObjectType("Mutation", self._mutations),
            types=[each for each in resources if isinstance(each, GraphQLObjectType)],
            directives=[*specified_directives, *_directives()],
        )

    def _queries(self) -> dict[str, GraphQLField]:
        found: dict[str, GraphQLField] = {}
        for name in sorted(resource_types()):
            found[name] = GraphQLField(self._output(name), {"id": GraphQLArgument(GraphQLNonNull(GraphQLID))})
            arguments = _search_arguments(name)
            found |= self._searches(name, arguments, {**arguments, "cursor": GraphQLArgument(GraphQLString)})
        return found

    def _mutations(self) -> dict[str, GraphQLField]:
        found: dict[str, GraphQLField] = {}
        resource = GraphQLScalarType("ResourceInput", description="A resource in JSON, as an input object")
        identity = {"id": GraphQLArgument(GraphQLNonNull(GraphQLID))}
        content = {"res": GraphQLArgument(GraphQLNonNull(resource))}
        for name in sorted(resource_types()):
            found[f"{name}Create"] = GraphQLField(self._output(name), content)
            found[f"{name}Update"] = GraphQLField(self._output(name), {**identity, **content})
            found[f"{name}Delete"] = GraphQLField(GraphQLBoolean, identity, description="Always null")
        return found

    def _searches(
        self,
        name: str,
        of_list: Mapping[str, GraphQLArgument],
        of_connection: Mapping[str, GraphQLArgument],
    ) -> dict[str, GraphQLField]:
        return {
            f"{name}List": GraphQLField(GraphQLList(self._output(name)), dict(of_list)),
            f"{name}Connection": GraphQLField(self._output(f"{CONNECTION}/{name}"), dict(of_connection)),
        }

    def _output(self, path: str) -> GraphQLObjectType | GraphQLInterfaceType:
        """Return the type of objects at `path`."""
        if path in _ABSTRACT:
            return self._resource
        found = self._objects.get(path)
        if found is None:
            interfaces = [self._resource] if path in resource_types() else []
            found = GraphQLObjectType(type_name(path), partial(self._fields, path), interfaces=interfaces)
            self._objects[path] = found
        return found

    def _fields(self, path: str) -> dict[str, GraphQLField]:
        found = {name: self._field(each) for name, each in fields_at(path).items()}
        if path == REFERENCE:
            found[RESOURCE] = GraphQLField(
                self._resource,
                {"optional": GraphQLArgument(GraphQLBoolean), "type": GraphQLArgument(GraphQLString)},
            )
        if path in resource_types():
            found |= self._referring(path)
        return found

    def _field(self, element: ElementField) -> GraphQLField:
        if element.is_primitive:
            scalar = self._scalar(element.path)
            return GraphQLField(GraphQLList(scalar) if element.is_list else scalar)
        inner: GraphQLOutputType = self._output(element.path)
        if element.path.partition("/")[0] in (CONNECTION, EDGE) or element.path in resource_types():
            return GraphQLField(GraphQLList(inner) if element.is_list else inner)
        if not element.is_list:
            return GraphQLField(inner)
        arguments = {
            name: GraphQLArgument(GraphQLList(self._scalar(each.path)))
            for name, each in fields_at(element.path).items()
            if each.is_primitive
        }
        arguments["fhirpath"] = GraphQLArgument(GraphQLString)
        arguments |= {"_offset": GraphQLArgument(GraphQLInt), "_count": GraphQLArgument(GraphQLInt)}
        return GraphQLField(GraphQLList(inner), arguments)

    def _scalar(self, name: str) -> GraphQLScalarType:
        found = self._scalars.get(name)
        if found is None:
            found = self._scalars[name] = GraphQLScalarType(name)
        return found

    def _referring(self, resource_type: str) -> dict[str, GraphQLField]:
        """Return the searches of what may refer to a resource of `resource_type`.

        They take the arguments of a search too; what is listed is what they have in common.
        """
        found: dict[str, GraphQLField] = {}
        for name in sorted(resource_types()):
            parameters = load_registry().of(name).values()
            if not any(each.type == "reference" and each.may_target(resource_type) for each in parameters):
                continue
            if name not in self._reverse:
                common = {
                    "_reference": GraphQLArgument(GraphQLNonNull(GraphQLString)),
                    **{each: GraphQLArgument(GraphQLString) for each in ("_filter", "_sort")},
                    "_count": GraphQLArgument(GraphQLInt),
                }
                self._reverse[name] = self._searches(name, common, common)
            found |= self._reverse[name]
        return found


def _search_arguments(resource_type: str) -> dict[str, GraphQLArgument]:
    texts = GraphQLArgument(GraphQLList(GraphQLString))
    names = [code.replace("-", "_") for code in load_registry().of(resource_type)]
    return {
        **{name: texts for name in names if not name.startswith("_contained")},
        "_filter": GraphQLArgument(GraphQLString),
        "_sort": GraphQLArgument(GraphQLString),
        "_count": GraphQLArgument(GraphQLInt),
        "fhirpath": GraphQLArgument(GraphQLString),
    }


def _directives() -> list[GraphQLDirective]:
    at = [DirectiveLocation.FIELD]
    path = {"path": GraphQLArgument(GraphQLNonNull(GraphQLString))}
    return [
        *(GraphQLDirective(name, at) for name in ("flatten", "first", "singleton")),
        GraphQLDirective("slice", at, path),
    ]
