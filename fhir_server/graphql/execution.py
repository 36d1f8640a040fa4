"""The selections of a document on resources: the result that https://hl7.org/fhir/R4/graphql.html describes.

Values without content are left out of the result, as FHIR leaves them out. A field that an object of another
type would have is left out too; fields that no type has were refused before (`check`). The execution runs as
often as there are levels of references and searches (`loader`).
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from fhir_server.graphql.document import Field, Selection, fields_of
from fhir_server.graphql.fields import (
    ANY_RESOURCE,
    CONNECTION,
    EDGE,
    REFERENCE,
    RESOURCE,
    RESOURCE_TYPE,
    TYPE_NAME,
    ElementField,
    Search,
    fields_at,
    is_resource,
    meets,
    search_of,
    type_name,
)
from fhir_server.graphql.limits import Limits
from fhir_server.graphql.list_navigation import navigated, suffix_of
from fhir_server.graphql.loader import Loader, Pending
from fhir_server.graphql.output import Output
from fhir_server.graphql.references import resolve
from fhir_server.graphql.reverse import together_with
from fhir_server.graphql.searching import find_connection, find_list, read_arguments
from hie.core.errors import InvalidReferenceError
from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.expression import Environment
from hie.core.language_errors import GraphQLLimitError

# A contained resource stays in its container; one in a Bundle, a Parameters or an edge is its own.
_CONTAINED: Final = "contained"


@dataclass(frozen=True, slots=True)
class Focus:
    """An object that selections are made on: its JSON, the path of its content, the resource around it."""

    value: JsonObject
    path: str
    container: JsonObject


@dataclass(frozen=True, slots=True)
class Around:
    """What the fields of an object inherit: whether a list above was flattened, and suffixes of slices."""

    is_list: bool = False
    suffix: str = ""


PLAIN: Final = Around()


def focus_on(resource: JsonObject) -> Focus:
    """Return the focus on a resource that is its own container."""
    return Focus(resource, resource["resourceType"], resource)


class Execution:
    """One pass of one request; raises the errors of what it meets."""

    def __init__(self, loader: Loader, limits: Limits) -> None:
        """Take what has been read, and the limits."""
        self._loader = loader
        self._limits = limits
        self._values = 0
        self._now = loader.server.clock.now()

    def select(self, focus: Focus, selections: Sequence[Selection], output: Output, around: Around) -> None:
        """Put what `selections` make of `focus` into `output`."""
        for field in collected(selections, focus.path):
            self._field(focus, field, output, around)

    def search(
        self, field: Field, search: Search, focus: Focus | None, output: Output, around: Around
    ) -> None:
        """Put the resources that a search finds into `output`; `focus` is what they refer to, if anything."""
        about = None if focus is None else f"{focus.value[RESOURCE_TYPE]}/{focus.value.get('id', '')}"
        arguments = read_arguments(search, field, about)
        if search.form == "Connection":
            is_counted = any(each.name == "count" for each in fields_of(field.selections))
            connection = self._loader.search(
                (arguments, is_counted),
                partial(find_connection, arguments, self._loader, is_counted=is_counted),
                field.place,
            )
            if not isinstance(connection, Pending):
                path = f"{CONNECTION}/{search.resource_type}"
                self.objects(
                    [Focus(connection, path, connection)], path, field, output, around, is_list=False
                )
            return
        work = partial(find_list, arguments, field, self._loader, self._limits.matches)
        together = together_with(arguments, self._loader, self._limits.matches)
        found = self._loader.search(arguments, work, field.place, together)
        if not isinstance(found, Pending):
            foci = [focus_on(each) for each in found]
            self.objects(foci, search.resource_type, field, output, around, is_list=True)

    def objects(
        self,
        foci: Sequence[Focus],
        path: str,
        field: Field,
        output: Output,
        around: Around,
        *,
        is_list: bool,
    ) -> None:
        """Put an object for each of `foci` into `output`, or their fields where they are flattened."""
        grows = is_list and not field.is_first
        for index, focus in enumerate(foci[:1] if field.is_first else foci):
            suffix = around.suffix
            if field.slice is not None:
                suffix += "." + suffix_of(
                    focus.value, focus.path, field.slice, index, self._environment(focus)
                )
            if field.is_flat:
                self.select(focus, field.selections, output, Around(around.is_list or grows, suffix))
                continue
            made = Output()
            self._put(output, field, path, made, Around(around.is_list, suffix), is_list=grows)
            self.select(focus, field.selections, made, PLAIN)

    def _field(self, focus: Focus, field: Field, output: Output, around: Around) -> None:
        if field.name == TYPE_NAME:
            self._put(output, field, "string", type_name(focus.path), around, is_list=False)
        elif field.name == RESOURCE and focus.path == REFERENCE:
            self._resource(focus, field, output, around)
        elif (element := fields_at(focus.path).get(field.name)) is not None:
            self._element(focus, element, field, output, around)
        elif is_resource(focus.path) and (search := search_of(field.name)) is not None:
            self.search(field, search, focus, output, around)

    def _element(
        self, focus: Focus, element: ElementField, field: Field, output: Output, around: Around
    ) -> None:
        given = focus.value.get(element.key)
        values: list[Json] = given if isinstance(given, list) else [given]
        if element.is_primitive:
            if field.selections:  # what is an object in other types that the object might have had
                return
            grows = element.is_list and not field.is_first
            for value in values[:1] if field.is_first else values:
                # A null in a list stands for a value that has only extensions.
                if value is not None or (element.is_list and isinstance(given, list)):
                    self._put(output, field, element.path, value, around, is_list=grows)
            return
        chosen = navigated(values, element.path, field.arguments, self._environment(focus))
        foci = [self._inner(focus, each, element) for each in chosen]
        self.objects(foci, element.path, field, output, around, is_list=element.is_list)

    def _inner(self, focus: Focus, value: JsonObject, element: ElementField) -> Focus:
        if element.path == ANY_RESOURCE or focus.path.partition("/")[0] == EDGE:
            container = focus.container if element.key == _CONTAINED else value
            return Focus(value, value[RESOURCE_TYPE], container)
        return Focus(value, element.path, focus.container)

    def _resource(self, focus: Focus, field: Field, output: Output, around: Around) -> None:
        """Follow a Reference; one without a literal reference leads nowhere, and nobody expects it to."""
        reference = focus.value.get("reference")
        if not isinstance(reference, str):
            return
        found = resolve(reference, focus.container, self._loader)
        if isinstance(found, Pending):
            return
        wanted = field.arguments.get("type")
        if found is None:
            if field.arguments.get("optional") is True:
                return
            raise InvalidReferenceError(f"The reference `{reference}` cannot be resolved")
        resource, container = found
        if wanted is None or resource[RESOURCE_TYPE] == wanted:
            one = Focus(resource, resource[RESOURCE_TYPE], container)
            self.objects([one], ANY_RESOURCE, field, output, around, is_list=False)

    def _put(
        self,
        output: Output,
        field: Field,
        path: str,
        value: Json | Output,
        around: Around,
        *,
        is_list: bool,
    ) -> None:
        self._values += 1
        if self._values > self._limits.values:
            raise GraphQLLimitError(
                f"The result has more than {self._limits.values} values; select less", place=field.place
            )
        grows = (is_list or around.is_list or field.slice is not None) and not field.is_single
        output.add(field.key + around.suffix, path, value, field.place, is_list=grows)

    def _environment(self, focus: Focus) -> Environment:
        return Environment(now=self._now, resource=focus.container)


def collected(selections: Sequence[Selection], path: str) -> Iterator[Field]:
    """Return the fields that `selections` make on an object at `path`, those of one key and meaning as one.

    https://spec.graphql.org/October2021/#sec-Field-Collection
    """
    found: dict[Hashable, list[Field]] = {}
    for field in _applying(selections, path):
        meaning = (field.key, field.name, repr(field.arguments), field.is_flat, field.is_first, field.slice)
        found.setdefault(meaning, []).append(field)
    for fields in found.values():
        yield fields[0] if len(fields) == 1 else _merged(fields)


def _applying(selections: Sequence[Selection], path: str) -> Iterator[Field]:
    for each in selections:
        if isinstance(each, Field):
            yield each
        elif each.type_condition is None or meets(path, each.type_condition):
            yield from _applying(each.selections, path)


def _merged(fields: Sequence[Field]) -> Field:
    first = fields[0]
    return Field(
        first.key,
        first.name,
        first.arguments,
        tuple(selection for each in fields for selection in each.selections),
        first.place,
        first.is_flat,
        first.is_first,
        first.is_single or any(each.is_single for each in fields),
        first.slice,
    )
