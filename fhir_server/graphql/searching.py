"""Searches of GraphQL: ``PatientList``, ``PatientConnection``, and both of what refers to a resource.

https://hl7.org/fhir/R4/graphql.html#searching, #reverse. A list is whole or an error; a connection is a page
with the cursor of the next. The cursor holds the search, since a client sends nothing else with it; its
parameters are read and filtered for the requester like any other's.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from fhir_server.graphql.document import Field
from fhir_server.graphql.fields import Search
from fhir_server.graphql.loader import Loader
from fhir_server.search.syntax import split_list
from hie.core.errors import MalformedJSONError
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.fhirpath.expression import Environment, compiled
from hie.core.language_errors import GraphQLError, GraphQLLimitError

REFERENCE_ARGUMENT: Final = "_reference"
_FHIRPATH: Final = "fhirpath"
# `_cursor` in the text of R4, `cursor` in its examples.
_CURSORS: Final = frozenset({"cursor", "_cursor"})
# Not searched by (R4), or for the selection set to say.
_REFUSED: Final = frozenset(
    {
        "_include",
        "_revinclude",
        "_contained",
        "_containedType",
        "_elements",
        "_summary",
        "_format",
        "_pretty",
        "_total",
    }
)
_UNDERSCORE: Final = re.compile(r"(?<!^)_")


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the arguments of a search say.

    `focus` is what the resources refer to by the parameter `reference` ("Patient/1"), empty without;
    `offset` counts the matches of the pages before.
    """

    resource_type: str
    parameters: tuple[tuple[str, str], ...]
    reference: str = ""
    focus: str = ""
    fhirpath: str | None = None
    cursor: str | None = None
    offset: int = 0

    @property
    def all_parameters(self) -> tuple[tuple[str, str], ...]:
        """The parameters with that of the focus."""
        return ((self.reference, self.focus), *self.parameters) if self.reference else self.parameters

    @property
    def is_counted(self) -> bool:
        """Say whether `_count` is given."""
        return any(name == "_count" for name, _ in self.parameters)


def read_arguments(search: Search, field: Field, focus: str | None) -> Arguments:
    """Return the search that `field` asks for, of what refers to `focus` ("Patient/1") where that is given.

    Raises GraphQLError for what GraphQL cannot ask; the names and values of search parameters are not
    checked here.
    """
    given = dict(field.arguments)
    cursors = [given.pop(name) for name in sorted(_CURSORS) if name in given]
    fhirpath = given.pop(_FHIRPATH, None)
    if fhirpath is not None and not isinstance(fhirpath, str):
        raise GraphQLError("`fhirpath` is not a string", place=field.place)
    if cursors:
        if search.form == "List" or focus is not None or given:
            raise GraphQLError(
                "A cursor is for a connection at the root, and stands for all other arguments",
                place=field.place,
            )
        return replace(_decode(cursors[0], search, field), fhirpath=fhirpath)
    parameters: list[tuple[str, str]] = []
    reference = "" if focus is None else _reference_parameter(given, field)
    for name, value in given.items():
        if name in _REFUSED or name == REFERENCE_ARGUMENT or (focus is not None and name in ("_id", "id")):
            raise GraphQLError(f"`{name}` is no argument of `{field.name}` here", place=field.place)
        text = _text(value, name, field)
        if text is not None:
            parameters.append((_UNDERSCORE.sub("-", name), text))
    return Arguments(search.resource_type, tuple(parameters), reference, focus or "", fhirpath)


def find_list(arguments: Arguments, field: Field, loader: Loader, most: int) -> list[JsonObject]:
    """Return the resources of a list; raises GraphQLLimitError where there are more than `most`.

    With a smaller `_count` the list is that long at most.
    """
    parameters = arguments.all_parameters
    if not arguments.is_counted:
        parameters = (*parameters, ("_count", str(most)))
    page = loader.server.repository.search(loader.transaction, arguments.resource_type, parameters)
    if page.next_cursor is not None and len(page.entries) >= most:
        raise GraphQLLimitError(
            f"`{field.name}` has more than {most} resources; select less, give `_count`, or ask for"
            f" {arguments.resource_type}Connection, which has pages",
            place=field.place,
        )
    return filtered([loads(each.resource.body or b"null") for each in page.entries], arguments, loader)


def find_connection(arguments: Arguments, loader: Loader, *, is_counted: bool) -> JsonObject:
    """Return a connection: the JSON that the fields `edges`, `next` and so on select from.

    How many match in all costs a count of its own, and is said if `is_counted`. R4's `previous` and `last`
    are left out: the pages of this server lead forward.
    """
    asked = [*arguments.all_parameters, *([("_total", "accurate")] if is_counted else [])]
    if arguments.cursor is not None:
        asked.append(("_cursor", arguments.cursor))
    answer = loader.server.repository.answer(loader.transaction, arguments.resource_type, asked)
    page = answer.page
    found = [loads(each.resource.body or b"null") for each in page.entries]
    connection: JsonObject = {
        "offset": arguments.offset,
        "pagesize": answer.query.count,
        "edges": [{"mode": "match", "resource": resource} for resource in filtered(found, arguments, loader)],
        "first": _encode(replace(arguments, cursor=None, offset=0)),
    }
    if page.total is not None:
        connection["count"] = page.total
    if page.next_cursor is not None:
        following = replace(arguments, cursor=page.next_cursor, offset=arguments.offset + len(found))
        connection["next"] = _encode(following)
    return connection


def filtered(found: list[JsonObject], arguments: Arguments, loader: Loader) -> list[JsonObject]:
    """Return those of `found` for which the FHIRPath of the arguments holds, all without one."""
    if arguments.fhirpath is None:
        return found
    expression = compiled(arguments.fhirpath)
    environment = Environment(now=loader.server.clock.now())
    return [each for each in found if expression.is_true(each, environment)]


def _reference_parameter(given: dict[str, Json], field: Field) -> str:
    name = given.pop(REFERENCE_ARGUMENT, None)
    if not isinstance(name, str):
        raise GraphQLError(
            f"`{field.name}` of a resource needs `_reference`, the search parameter that refers to it",
            place=field.place,
        )
    return _UNDERSCORE.sub("-", name)


def _text(value: Json, name: str, field: Field) -> str | None:
    """Return the value of a search parameter; a list is any of its values. None for null."""
    if value is None:
        return None
    if not isinstance(value, list):
        return _one(value, name, field)
    return ",".join(_one(each, name, field) for each in value) or None


def _one(value: Json, name: str, field: Field) -> str:
    r"""Return one value, its commas escaped: in GraphQL they separate nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    if not isinstance(value, str):
        raise GraphQLError(f"The argument `{name}` is no value of a search parameter", place=field.place)
    # These have a grammar of their own: `_sort: "family,-birthdate"`.
    return value if name in ("_filter", "_sort") else "\\,".join(split_list(value))


def _encode(arguments: Arguments) -> str:
    content = [arguments.resource_type, arguments.all_parameters, arguments.cursor, arguments.offset]
    return urlsafe_b64encode(dumps(content)).decode().rstrip("=")


def _decode(cursor: Json, search: Search, field: Field) -> Arguments:
    refusal = GraphQLError("The cursor is not one that this server gave out", place=field.place)
    if not isinstance(cursor, str) or not cursor.isascii():
        raise refusal
    try:
        content = loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, MalformedJSONError) as error:
        raise refusal from error
    match content:
        case [str(resource_type), list(pairs), None | str() as behind, int(offset)] if (
            resource_type == search.resource_type
            and all(isinstance(each, list) and [type(part) for part in each] == [str, str] for each in pairs)
            and not _REFUSED & {name for name, _ in pairs}
        ):
            parameters = tuple((name, value) for name, value in pairs)
            return Arguments(resource_type, parameters, cursor=behind, offset=offset)
        case _:
            raise refusal
