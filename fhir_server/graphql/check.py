"""What is wrong with the fields of a document before anything is read.

"SHALL return an error when fields that are not valid or not supported are used, or when queries, mutations,
arguments, types, and directives that are not recognized or supported are encountered"
(https://hl7.org/fhir/R4/graphql.html#errors). Search parameters are checked by the search.
"""

from collections.abc import Iterable
from typing import Final

from fhir_server.graphql.document import Field, Selection
from fhir_server.graphql.fields import (
    CONNECTION,
    REFERENCE,
    RESOURCE,
    TYPE_NAME,
    ElementField,
    fields_at,
    is_resource,
    is_type,
    search_of,
    type_name,
    types_under,
)
from hie.core.fhir.structure import resource_types
from hie.core.fhirpath.expression import compiled
from hie.core.language_errors import GraphQLError

_COUNTING: Final = frozenset({"_count", "_offset"})
_FHIRPATH: Final = "fhirpath"


def check_selections(
    selections: tuple[Selection, ...], paths: frozenset[str], targets: tuple[str, ...] = ()
) -> None:
    """Raise GraphQLError unless `selections` can be made on objects at one of `paths`.

    A field is valid if one of the types that the object may have has it. `targets` are the types that a
    Reference among them may lead to, none for any.
    """
    for key, fields in _by_key(selections).items():
        _check_merging(key, fields)
    for each in selections:
        if isinstance(each, Field):
            _check_field(each, paths, targets)
        elif each.type_condition is None:
            check_selections(each.selections, paths, targets)
        elif not is_type(each.type_condition):
            raise GraphQLError(f"There is no type `{each.type_condition}`", place=each.place)
        else:
            narrowed = frozenset().union(*(types_under(path, each.type_condition) for path in paths))
            # A fragment that cannot apply here selects nothing, and must be valid in itself all the same.
            check_selections(each.selections, narrowed or types_under(each.type_condition), targets)


def check_name(field: Field) -> None:
    """Raise GraphQLError unless the object that `field` names has fields selected."""
    if not field.selections:
        raise GraphQLError(f"`{field.name}` is an object: select fields of it", place=field.place)


def check_search(field: Field, resource_type: str, *, is_connection: bool) -> None:
    """Raise GraphQLError unless the selections of a search are valid; its arguments are not looked at."""
    check_name(field)
    if "fhirpath" in field.arguments:
        _check_fhirpath(field)
    if is_connection:
        check_selections(field.selections, frozenset({f"{CONNECTION}/{resource_type}"}))
    else:
        check_selections(field.selections, frozenset({resource_type}))


def _check_field(field: Field, paths: frozenset[str], targets: tuple[str, ...]) -> None:
    if field.name == TYPE_NAME:
        _check_leaf(field)
        return
    if field.name == RESOURCE and REFERENCE in paths:
        _check_resource(field, targets)
        return
    search = search_of(field.name)
    if search is not None and any(is_resource(path) for path in paths):
        check_search(field, search.resource_type, is_connection=search.form == "Connection")
        return
    found = [(path, each) for path in paths if (each := fields_at(path).get(field.name)) is not None]
    if not found:
        where = ", ".join(sorted(type_name(path) for path in paths)[:5])
        raise GraphQLError(f"`{field.name}` is not a field of {where}", place=field.place)
    if all(each.is_primitive for _, each in found):
        _check_leaf(field)
        return
    check_name(field)
    inner = frozenset().union(*(types_under(each.path) for _, each in found if not each.is_primitive))
    _check_arguments(field, inner)
    check_selections(field.selections, inner, _targets_of(each for _, each in found))


def _check_leaf(field: Field) -> None:
    if field.selections:
        raise GraphQLError(f"`{field.name}` is a value: it has no fields to select", place=field.place)
    if field.arguments:
        raise GraphQLError(f"`{field.name}` is a value: it has no arguments", place=field.place)
    if field.is_flat or field.slice is not None:
        raise GraphQLError(f"`{field.name}` is a value: there is nothing to flatten", place=field.place)


def _check_resource(field: Field, targets: tuple[str, ...]) -> None:
    check_name(field)
    for name, value in field.arguments.items():
        if name == "optional" and isinstance(value, bool):
            continue
        if name == "type" and isinstance(value, str) and value in resource_types():
            targets = (value,)
            continue
        raise GraphQLError(
            "`resource` has the arguments `optional`, true or false, and `type`, a resource type;"
            f" not `{name}: {value}`",
            place=field.place,
        )
    check_selections(field.selections, frozenset(targets or resource_types()))


def _check_arguments(field: Field, paths: frozenset[str]) -> None:
    for name, value in field.arguments.items():
        if name in _COUNTING:
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise GraphQLError(f"`{name}` is not a whole number", place=field.place)
        elif name == _FHIRPATH:
            _check_fhirpath(field)
        else:
            found = [each for path in paths if (each := fields_at(path).get(name)) is not None]
            if not any(each.is_primitive for each in found):
                raise GraphQLError(
                    f"`{field.name}` cannot be filtered by `{name}`: that is none of its values",
                    place=field.place,
                )
            if isinstance(value, dict):
                raise GraphQLError(f"`{name}` is not a value", place=field.place)
    if field.slice is not None and field.slice != "$index":
        compiled(field.slice)


def _check_fhirpath(field: Field) -> None:
    text = field.arguments[_FHIRPATH]
    if not isinstance(text, str):
        raise GraphQLError("`fhirpath` is not a string", place=field.place)
    compiled(text)


def _check_merging(key: str, fields: list[Field]) -> None:
    """Refuse different fields under one key (https://spec.graphql.org/October2021/#sec-Field-Selection-Merging).

    The resource of a reference may be selected twice, for types of its own each.
    """
    first = fields[0]
    for each in fields[1:]:
        is_same = each.name == first.name and (each.arguments == first.arguments or each.name == RESOURCE)
        if not is_same and not each.is_flat:
            raise GraphQLError(
                f"`{key}` stands for two different fields; give one an alias", place=each.place
            )


def _by_key(selections: tuple[Selection, ...]) -> dict[str, list[Field]]:
    """Return the fields that come together under one key: also those in fragments without a type."""
    found: dict[str, list[Field]] = {}
    for each in selections:
        if isinstance(each, Field):
            found.setdefault(each.key, []).append(each)
        elif each.type_condition is None:
            for key, fields in _by_key(each.selections).items():
                found.setdefault(key, []).extend(fields)
    return found


def _targets_of(found: Iterable[ElementField]) -> tuple[str, ...]:
    """Return what the References among `found` may lead to; none for anything."""
    targets: list[str] = []
    for each in found:
        if each.path == REFERENCE:
            if not each.targets or "Resource" in each.targets:
                return ()
            targets += each.targets
    return tuple(dict.fromkeys(targets))
