"""Reads the parameters of a search into a `Query`.

Names are looked up in the registry, values are read by `values`. What cannot be
understood is an error that names it; under lenient handling unknown parameters
are left out and listed instead (https://hl7.org/fhir/R4/search.html#errors).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from fhir_server.definitions.search_parameters import SearchParameter, type_number
from fhir_server.index.indexer import Indexer
from fhir_server.search import special
from fhir_server.search.comparison import compared
from fhir_server.search.conditions import AllOf, AnyOf, Chain, Condition, Has, IdIn, Inside, Not, Restriction
from fhir_server.search.contained_form import contained_form
from fhir_server.search.filter import read_filter
from fhir_server.search.look_up import LookUp
from fhir_server.search.modifiers import (
    Surroundings,
    condition_of,
    is_target,
    negation,
    unsupported_modifier,
)
from fhir_server.search.query import Query
from fhir_server.search.result_parameters import RESULT_PARAMETERS, ResultParameters
from fhir_server.search.syntax import split_name
from fhir_server.search.values import target_types
from hie.core.access import Filters, Ids, Parameter, Readable
from hie.core.errors import MalformedSearchError, UnknownResourceTypeError, UnknownSearchParameterError
from hie.core.language_errors import UnrelatedTypeError
from hie.core.masking import Mask

# How far a chain may lead (https://hl7.org/fhir/R4/search.html#chaining sets no limit).
_DEEPEST: Final = 5
# What policies restrict is read once for each requester and type, as long as there are so few of them.
_MOST_RESTRICTIONS: Final = 4_096
_HAS_PARTS: Final = len(("_has", "type", "reference", "parameter"))


class Parser:
    """Reads searches of one server."""

    def __init__(
        self,
        indexer: Indexer,
        *,
        base_url: str,
        zone: ZoneInfo,
        page_size: int,
        page_size_limit: int,
    ) -> None:
        """Take the indexer with its registry, the server's base URL and zone, and limits of `_count`."""
        self._indexer = indexer
        self._base_url = base_url.rstrip("/")
        self._zone = zone
        self._page_size = page_size
        self._page_size_limit = page_size_limit
        self._restrictions: dict[tuple[str, int], tuple[Readable, object, Condition]] = {}

    def parse(
        self,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        now: datetime,
        *,
        is_lenient: bool = False,
        filters: Filters | None = None,
        within: Filters | None = None,
        look_up: LookUp | None = None,
        mask: Mask | None = None,
    ) -> Query:
        """Return the search ``resource_type?parameters``, of all that `filters` let through.

        `within` narrows the matches, and nothing else, in the same way: those of a compartment.
        `look_up` answers what values refer to (value sets, hierarchies). Raises ForbiddenError for what
        `mask` hides, UnknownResourceTypeError, UnknownSearchParameterError (unless `is_lenient`) and
        MalformedSearchError.
        """
        if type_number(resource_type) is None:
            raise UnknownResourceTypeError(f"`{resource_type}` is not a resource type of FHIR R4")
        around = Surroundings(self._base_url, self._zone, now, filters, look_up, mask=mask)
        result = ResultParameters(
            resource_type,
            self._known,
            around.check,
            self._references,
            self._indexer.parts_of,
            page_size=self._page_size,
            page_size_limit=self._page_size_limit,
        )
        conditions: list[Condition] = []
        applied: list[tuple[str, str]] = []
        unknown: list[str] = []
        for name, value in parameters:
            _check_text(name, value)
            if not value and is_lenient:
                # What a form without an entry sends. Under strict handling, and as criteria of a
                # write, it is an error: a deletion must not widen to everything.
                continue
            try:
                if split_name(name).code in RESULT_PARAMETERS:
                    result.read(name, value)
                else:
                    conditions.append(self.condition(resource_type, name, value, around))
            except UnknownSearchParameterError:
                if not is_lenient:
                    raise
                # Of `_sort` and `_include` it is the value that names what is not known.
                unknown.append(f"{name}={value}" if split_name(name).code in RESULT_PARAMETERS else name)
            else:
                applied.append((name, value))
        narrowings = (around,) if within is None else (around, replace(around, filters=within))
        narrowed = [found for each in narrowings if (found := self.readable(resource_type, each)) is not None]
        readable = None if filters is None else partial(self.readable, around=around)
        query = result.query((*conditions, *narrowed), tuple(applied), tuple(unknown), readable)
        if result.contained == "false":
            return query
        inside = tuple(contained_form(each) for each in conditions)
        return result.query_inside(query, inside, partial(self._container, narrowings))

    def _container(self, narrowings: Sequence[Surroundings], resource_type: str) -> Condition | None:
        """Return what makes a container of `resource_type` one that may match, None for any."""
        found = [each for around in narrowings if (each := self.readable(resource_type, around)) is not None]
        return AllOf(tuple(found)) if found else None

    def condition(
        self, resource_type: str, name: str, value: str, around: Surroundings, depth: int = 0
    ) -> Condition:
        """Return the condition that ``name=value`` states on resources of type `resource_type`.

        `depth` says how many chains led there. Raises as `parse`.
        """
        expression = f"{resource_type}.{name}"
        if not value:
            raise MalformedSearchError(f"Search parameter `{name}` has no value", expression=expression)
        if depth > _DEEPEST:
            raise MalformedSearchError(f"`{name}` is chained deeper than {_DEEPEST}", expression=expression)
        if name.startswith("_has:"):
            return self._has(resource_type, name, value, around, depth)
        parts = split_name(name)
        try:
            if parts.code == "_filter":
                return read_filter(value, resource_type, around, self)
            if parts.code == "_list":
                return self._list(resource_type, parts.modifier, value, around)
            if parts.rest:
                return self.chain(
                    resource_type,
                    name.partition(".")[0],
                    around,
                    lambda target: self.condition(target, parts.rest, value, around, depth + 1),
                    whole=name,
                )
            parameter = self._known(resource_type, parts.code, name)
            around.check(parameter, parts.modifier, value)
            return self._plain(parameter, parts.modifier, value, around)
        except MalformedSearchError as error:
            error.expression = error.expression or expression
            raise
        except ValueError as error:
            raise MalformedSearchError(
                f"Search parameter `{name}` of {resource_type}: {error}", expression=expression
            ) from error

    def rule(
        self, resource_type: str, filters: Filters, now: datetime, look_up: LookUp | None
    ) -> Condition | None:
        """Return what `filters` let through of `resource_type`; None for everything."""
        return self.readable(resource_type, Surroundings(self._base_url, self._zone, now, filters, look_up))

    def readable(self, resource_type: str, around: Surroundings) -> Condition | None:
        """Return what makes resources of `resource_type` readable; None for everything.

        What these conditions are chained through is not filtered again.
        """
        if around.filters is None:
            return None
        readable = around.filters(resource_type)
        if readable.is_everything:
            return None
        # By identity, which a policy that remembers its answers keeps: to compare them costs more than all
        # else. Nothing in one depends on the time of the request (`ap`) or on what is stored (`:in`).
        key, stored = (resource_type, id(readable)), self._indexer.registry.stored
        found = self._restrictions.get(key)
        if found is None or found[0] is not readable or found[1] is not stored:
            plain = Surroundings(self._base_url, self._zone, around.now, None, around.look_up)
            stated = self._any(resource_type, readable, plain)
            found = readable, stored, Restriction(stated) if readable.alternatives else stated
            if len(self._restrictions) >= _MOST_RESTRICTIONS:
                self._restrictions.clear()
            self._restrictions[key] = found
        return found[2]

    def _any(self, resource_type: str, readable: Readable, plain: Surroundings) -> Condition:
        return AnyOf(
            tuple(
                AllOf(tuple(self._stated(resource_type, each, plain) for each in alternative))
                for alternative in readable.alternatives
            )
        )

    def _stated(self, resource_type: str, parameter: Parameter, plain: Surroundings) -> Condition:
        """Return the condition that one parameter of `Readable` states."""
        name, value = parameter
        if isinstance(value, str):
            return self.condition(resource_type, name, value, plain)
        if isinstance(value, Ids):
            return _id_in(value)
        if name == "not":
            return Not(self._any(resource_type, value, plain))
        if name == "any":
            return self._any(resource_type, value, plain)
        if name.startswith("_has:"):
            return self._referred_by(resource_type, name, value, plain)
        # Not by `chain`: a contained resource says what its author likes of somebody.
        parts = split_name(name)
        reference = self._known(resource_type, parts.code, name)
        numbers = ((each, type_number(each)) for each in target_types(reference, parts.modifier))
        leading = (
            Chain(reference.number, number, self._any(target, value, plain))
            for target, number in numbers
            if number is not None
        )
        return AnyOf(tuple(leading))

    def _referred_by(self, resource_type: str, name: str, value: Readable, plain: Surroundings) -> Condition:
        _, source, code = name.split(":")
        own, number = type_number(resource_type), type_number(source)
        assert own is not None and number is not None  # noqa: S101, PT018 - policies name types of R4
        referring = self._known(source, code, name)
        return Has(referring.number, number, own, self._any(source, value, plain))

    def chain(
        self,
        resource_type: str,
        name: str,
        around: Surroundings,
        make: Callable[[str], Condition],
        *,
        whole: str = "",
    ) -> Condition:
        """Return that the reference ``name`` or ``name:Type`` leads to a resource with the condition `make`.

        `make` takes a type that the reference may lead to; types for which what follows is not defined
        are left out unless all are. `whole` is the parameter that errors name. Raises as `parse`.
        """
        expression = f"{resource_type}.{whole or name}"
        parts = split_name(name)
        parameter = self._known(resource_type, parts.code, name)
        if parameter.type != "reference":
            raise MalformedSearchError(
                f"`{parameter.code}` of {resource_type} is not a reference and cannot be chained",
                expression=expression,
            )
        if parts.modifier and not is_target(parameter, parts.modifier):
            raise unsupported_modifier(parameter, parts.modifier)
        chains: list[Condition] = []
        unknown: UnknownSearchParameterError | UnrelatedTypeError | None = None
        for target in target_types(parameter, parts.modifier):
            number = type_number(target)
            if number is None:
                continue
            try:
                condition = make(target)
            except (UnknownSearchParameterError, UnrelatedTypeError) as error:
                unknown = error
                continue
            chains.append(Chain(parameter.number, number, self._through(target, condition, around)))
            if number in self._indexer.contained_types:
                # What is contained is as readable as what contains it.
                chains.append(Inside(parameter.number, number, contained_form(condition)))
        if isinstance(unknown, UnrelatedTypeError) and not chains:
            raise unknown
        if not chains:
            raise UnknownSearchParameterError(
                f"What follows `{name}` of {resource_type} is defined for no type that it refers to",
                expression=expression,
            ) from unknown
        return chains[0] if len(chains) == 1 else AnyOf(tuple(chains))

    def _plain(
        self, parameter: SearchParameter, modifier: str, value: str, around: Surroundings
    ) -> Condition:
        is_negated = False
        if around.comparison:
            if modifier:
                raise ValueError(f"a name in a filter has no modifier `:{modifier}`")
            if around.comparison == "ni" or (around.comparison == "pr" and value == "false"):
                is_negated = True
                value = "true" if value == "false" else value
        else:
            modifier, value, is_negated = negation(modifier, value)
        found = tuple(
            compared(part, around.comparison, value, around)
            if around.comparison
            else condition_of(part, modifier, value, around)
            for part in self._indexer.parts_of(parameter) or (parameter,)
        )
        condition = found[0] if len(found) == 1 else AnyOf(found)
        return Not(condition) if is_negated else condition

    def _through(self, resource_type: str, condition: Condition, around: Surroundings) -> Condition:
        """Return `condition` on resources of `resource_type` that may be read."""
        readable = self.readable(resource_type, around)
        return condition if readable is None else AllOf((condition, readable))

    def _known(self, resource_type: str, code: str, name: str) -> SearchParameter:
        parameter = self._indexer.registry.of(resource_type).get(code)
        if parameter is None:
            raise UnknownSearchParameterError(
                f"Search parameter `{name}` is not defined for {resource_type}",
                expression=f"{resource_type}.{name}",
            )
        reason = self._indexer.refusal(parameter)
        if reason is not None:
            raise UnknownSearchParameterError(
                f"Search parameter `{name}` of {resource_type} is not supported: {reason}",
                expression=f"{resource_type}.{name}",
            )
        return parameter

    def _references(self, resource_type: str) -> tuple[SearchParameter, ...]:
        return tuple(
            each
            for each in self._indexer.registry.of(resource_type).values()
            if each.type == "reference" and self._indexer.is_indexed(each)
        )

    def _has(self, resource_type: str, name: str, value: str, around: Surroundings, depth: int) -> Condition:
        """Read ``_has:Type:reference:rest`` (https://hl7.org/fhir/R4/search.html#has)."""
        parts = name.split(":", _HAS_PARTS - 1)
        own = type_number(resource_type)
        source = type_number(parts[1])
        if len(parts) < _HAS_PARTS or own is None or source is None:
            raise MalformedSearchError(f"`{name}` is not _has:Type:reference:parameter", expression=name)
        referring = self._known(parts[1], parts[2], name)
        if referring.type != "reference" or not referring.may_target(resource_type):
            raise UnrelatedTypeError(
                f"`{parts[2]}` of {parts[1]} does not refer to {resource_type}", expression=name
            )
        condition = self.condition(parts[1], parts[3], value, around, depth + 1)
        return Has(referring.number, source, own, self._through(parts[1], condition, around))

    def _list(self, resource_type: str, modifier: str, value: str, around: Surroundings) -> Condition:
        """Read ``_list=id`` and the lists that R4 names (https://hl7.org/fhir/R4/search.html#list)."""
        if modifier:
            raise MalformedSearchError(f"`_list` has no modifier `:{modifier}`", expression="_list")
        if value.startswith("$"):
            criteria = special.functional_list(resource_type, value)
            return AllOf(tuple(self.condition(resource_type, name, text, around) for name, text in criteria))
        own, source = type_number(resource_type), type_number("List")
        assert own is not None and source is not None  # noqa: S101, PT018 - both are types of R4
        item = self._known("List", "item", "_list")
        condition = self.condition("List", "_id", value.removeprefix("List/"), around)
        return Has(item.number, source, own, self._through("List", condition, around))


def _id_in(ids: Ids) -> IdIn:
    return IdIn(ids.select, ids.params, None if ids.among is None else _id_in(ids.among))


def _check_text(name: str, value: str) -> None:
    """Refuse what PostgreSQL's text cannot hold."""
    shown = name.encode("ascii", "ignore").decode().replace("\0", "") or "(parameter)"
    try:
        (name + value).encode()
    except UnicodeEncodeError as error:
        raise MalformedSearchError("A search parameter is not Unicode text", expression=shown) from error
    if "\0" in name + value:
        raise MalformedSearchError("A search parameter holds the character U+0000", expression=shown)
