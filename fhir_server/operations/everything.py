"""What the $everything operations share: a page of a compartment and of what its resources refer to.

https://hl7.org/fhir/R4/patient-operation-everything.html. Entries of mode "match" are the resources of
the compartment, each once over all pages; entries of mode "include" are those that the matches of a page
refer to, once a page. A resource that belongs to another patient's compartment does not come along.
Without `_count` everything is in one Bundle, up to what a server can hold in memory.

`_since` and `_type` ask for resources wherever they stand: a Practitioner that changed comes along though
the Encounter that names it did not. `start` and `end` look at the date parameters that R4 calls
"clinical-date"; resources of types without one, or without a date, are always of the span.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit
from zoneinfo import ZoneInfo

from fhir_server.compartments.definitions import Compartment, load_compartments
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import load_registry
from fhir_server.index.date_range import date_range
from fhir_server.index.hashing import param_id, reference_key
from fhir_server.index.references import local_target
from fhir_server.operations.operation import Call, Reply
from fhir_server.operations.outputs import INCLUDE, entry, searchset
from fhir_server.operations.parameter import Parameter
from fhir_server.search.sql import Sql, all_of
from fhir_server.store.everything import FROM_THE_START, Care, Compartments, Member, Place, Supporting
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER, is_id
from hie.core.errors import ParameterValueError
from hie.core.ports import StoredResource

SINCE: Final = Parameter("_since", "in", 0, "1", "instant", "Only resources stored at or after this instant")
TYPES: Final = Parameter("_type", "in", 0, "*", "code", "Only these resource types, separated by commas")
COUNT: Final = Parameter("_count", "in", 0, "1", "integer", "Resources of the compartment on a page at most")
CURSOR: Final = Parameter("_cursor", "in", 0, "1", "string", "Where a page begins, as its link gives it")
START: Final = Parameter("start", "in", 0, "1", "date", "Begin of the span of care dates")
END: Final = Parameter("end", "in", 0, "1", "date", "End of the span of care dates, itself included")
RETURN: Final = Parameter("return", "out", 1, "1", "Bundle", "A searchset, in pages if there is much")

_CLINICAL_DATE: Final = "http://hl7.org/fhir/SearchParameter/clinical-date"
_MOST_IN_ONE: Final = 10_000
# Resources that are read for what they refer to, and not shown, are read by so many.
_CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a call asks for."""

    types: frozenset[str]
    since: datetime | None
    care: Care | None
    count: int
    start: Place

    def shown(self) -> Sql:
        """Return whether a row "r" of `resource` is asked for."""
        where: list[Sql] = []
        if self.types:
            where.append(Sql("r.type = ANY(%s::smallint[])", ([TYPE_NUMBER[name] for name in self.types],)))
        if self.since is not None:
            where.append(Sql("r.last_updated >= %s", (self.since,)))
        return all_of(where)


def everything(call: Call) -> Reply:
    """Return a page of the compartment of the resource that is called, of all of its type at type level.

    Raises NotFoundError or DeletedError, and ParameterValueError.
    """
    compartment = load_compartments()[call.resource_type or ""]
    repository, transaction = call.server.repository, call.transaction
    if call.resource_id is not None:
        repository.read(transaction, compartment.code, call.resource_id)
    asked = _asked(call)
    wanted = _wanted(compartment, asked, call.resource_id)
    members, following = _page(call, wanted, asked)
    return Reply(body=_bundle(call, compartment, asked, members, following))


def _page(call: Call, wanted: Compartments, asked: _Asked) -> tuple[Sequence[Member], Place | None]:
    """Return members of which `asked.count` are shown, fewer at the end, and where the next page begins."""
    repository, transaction = call.server.repository, call.transaction
    if not wanted.keeps_hidden:
        members, has_more = repository.members(transaction, wanted, asked.start, asked.count)
        return members, members[-1].place if has_more else None
    taken: list[Member] = []
    start, shown, has_more = asked.start, 0, True
    while has_more and shown < asked.count:
        members, has_more = repository.members(transaction, wanted, start, _CHUNK)
        for number, member in enumerate(members):
            taken.append(member)
            shown += member.is_shown
            if shown == asked.count:
                has_more = has_more or number + 1 < len(members)
                break
        start = taken[-1].place if taken else start
    return taken, start if has_more else None


def _asked(call: Call) -> _Asked:
    inputs, zone = call.inputs, call.server.zone
    types = frozenset(name for text in inputs.all("_type") for name in text.split(","))
    unknown = sorted(types - TYPE_NUMBER.keys())
    if unknown:
        raise ParameterValueError(f"`{unknown[0]}` is not a resource type of FHIR R4", expression="_type")
    since = inputs.one("_since")
    count = inputs.one("_count")
    if count is not None and count < 1:
        raise ParameterValueError(f"`_count` is {count}, at least 1 is taken", expression="_count")
    most = _MOST_IN_ONE if call.resource_id is not None else call.server.page_size_limit
    return _Asked(
        types,
        None if since is None else date_range(since, zone)[0],
        _care(inputs.one("start"), inputs.one("end"), zone),
        most if count is None else min(count, call.server.page_size_limit),
        _place(inputs.one("_cursor"), call.resource_id),
    )


def _wanted(compartment: Compartment, asked: _Asked, resource_id: str | None) -> Compartments:
    # A type that no compartment holds can only come along: then all are read for what they refer to.
    comes_along = bool(asked.types - set(compartment.types))
    keeps_hidden = asked.since is not None or comes_along
    types = compartment.types if keeps_hidden or not asked.types else sorted(asked.types)
    shown = asked.shown()
    if asked.care is not None:
        shown = all_of([shown, asked.care.covers("r")])
    return Compartments(
        owner=TYPE_NUMBER[compartment.code],
        ids=None if resource_id is None else (resource_id,),
        types=types,
        numbers=compartment.numbers(types),
        shown=shown,
        keeps_hidden=keeps_hidden,
    )


def _bundle(
    call: Call, compartment: Compartment, asked: _Asked, members: Sequence[Member], following: Place | None
) -> bytes:
    base = call.server.base_url
    start = b'{"fullUrl":"%b/' % base.encode()
    matches = {
        member.rid: b'%b%b/%b","resource":%b,"search":{"mode":"match"}}'
        % (start, TYPE_NAME[member.type].encode(), member.id.encode(), member.body)
        for member in members
        if member.is_shown
    }
    entries = [b",".join(matches.values())] if matches else []
    hidden = b"\n".join(member.body for member in members if not member.is_shown)
    targets = _targets(base, *entries, hidden)
    targets.difference_update((TYPE_NAME[member.type], member.id) for member in members)
    supporting = _supporting(call, compartment, asked, members, targets)
    entries += [entry(base.encode(), each, INCLUDE) for each in supporting]
    links = [("self", call.url)]
    if following is not None:
        links.append(("next", _with_cursor(call, following)))
    is_whole = following is None and asked.start == Place()
    return searchset(links, entries, len(matches) if is_whole else None)


def _targets(base_url: str, *texts: bytes) -> set[tuple[str, str]]:
    """Return types and ids of the resources of this server that bodies in `texts` refer to."""
    found = {target for text in texts for pattern in _patterns(base_url) for target in pattern.findall(text)}
    located = (local_target(target.decode(), base_url) for target in found)
    return {target for target in located if target is not None}


@cache
def _patterns(base_url: str) -> tuple[re.Pattern[bytes], ...]:
    """Return what finds Reference.reference, and Attachment.url of this server, in stored bodies.

    A quote inside a string is escaped there, so no text can look like one. Each begins with bytes that
    are quick to find.
    """
    here = re.escape(base_url.encode())
    return re.compile(rb'"reference":"([^"]+)"'), re.compile(rb'"url":"(?:%s/)?([A-Z][^":]+)"' % here)


def _supporting(
    call: Call,
    compartment: Compartment,
    asked: _Asked,
    members: Sequence[Member],
    targets: Iterable[tuple[str, str]],
) -> list[StoredResource]:
    kept = [(name, identifier) for name, identifier in targets if not asked.types or name in asked.types]
    if not kept:
        return []
    patient = load_compartments()["Patient"]
    owners = [reference_key(compartment.code, name) for name in {member.owner for member in members}]
    patients: list[int] | None = None
    if call.resource_id is not None:
        patients = (
            owners
            if compartment.code == patient.code
            else call.server.repository.targets(
                call.transaction, compartment.code, call.resource_id, patient.code
            )
        )
    wanted = Supporting(
        numbers=compartment.numbers(compartment.types),
        owners=owners,
        patient_type=TYPE_NUMBER[patient.code],
        patient_numbers=patient.numbers(patient.types),
        patients=patients,
        shown=asked.shown(),
    )
    return call.server.repository.supporting(call.transaction, kept, wanted)


def _care(start: str | None, end: str | None, zone: ZoneInfo) -> Care | None:
    if start is None and end is None:
        return None
    types, params = _clinical_dates()
    return Care(
        types,
        params,
        None if start is None else date_range(start, zone)[0],
        None if end is None else date_range(end, zone)[1],
    )


@cache
def _clinical_dates() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the numbers of the types that have a clinical date, and of the parameters that say it."""
    registry = load_registry()
    found = [
        (TYPE_NUMBER[name], param_id(name, parameter.code))
        for name in R4_RESOURCE_TYPES
        for parameter in registry.of(name).values()
        if parameter.url == _CLINICAL_DATE
    ]
    return tuple(kind for kind, _ in found), tuple(param for _, param in found)


def _place(cursor: str | None, resource_id: str | None) -> Place:
    if cursor is None:
        return Place()
    before, _, identifier = cursor.partition(".")
    is_number = before.isascii() and before.isdigit() and 0 < int(before[:20]) < FROM_THE_START
    if not is_number or not is_id(identifier) or resource_id not in (None, identifier):
        raise ParameterValueError("`_cursor` is not one that this operation gave out", expression="_cursor")
    return Place(identifier, int(before))


def _with_cursor(call: Call, place: Place) -> str:
    """Return the call by GET that begins at `place`, whatever the way its inputs came."""
    pairs = [(name, value) for name, value in parse_qsl(urlsplit(call.url).query) if name != "_cursor"]
    if not call.is_get:
        given = {name for name, _ in pairs}
        for parameter in (START, END, SINCE, TYPES, COUNT):
            if parameter.name not in given:
                pairs += [(parameter.name, str(value)) for value in call.inputs.all(parameter.name)]
    pairs.append(("_cursor", f"{place.before}.{place.id}"))
    query = "&".join(f"{quote(name)}={quote(value, safe=':,')}" for name, value in pairs)
    return f"{call.url.partition('?')[0]}?{query}"
