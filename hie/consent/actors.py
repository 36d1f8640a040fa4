"""Whom an actor of a Consent's provision means: pure, given how a reference is resolved.

https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision.actor.reference: an Organization, a
Practitioner and so on are who they are; a PractitionerRole is its Practitioner where it works for its
Organization; a CareTeam is its participants, a Group its members, while their periods last.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from hie.core.fhir.json import Json, JsonObject

# A CareTeam may have CareTeams as participants (https://hl7.org/fhir/R4/careteam.html).
_DEEPEST: Final = 5
# What is no longer or not yet in force; a denial still means its participants.
_IN_FORCE: Final = frozenset({"", "active"})

Resolve = Callable[[str], JsonObject | None]
"""Gives the resource of a reference ("CareTeam/1"), None where there is none."""
Span = Callable[[Json], tuple[datetime | None, datetime | None]]
"""Gives the first instant of a Period and the first behind it, None without a bound."""


@dataclass(frozen=True, slots=True)
class Member:
    """One party that an actor means, "Practitioner/1", or "Practitioner/1@Organization/2" for whom it works.

    `is_certain` is False where a denial means it and a permission does not.
    """

    party: str
    since: datetime | None = None
    until: datetime | None = None
    is_certain: bool = True


def members_of(reference: str, resolve: Resolve, span: Span, *, depth: int = 0) -> Iterator[Member]:
    """Yield whom `reference` means, first itself."""
    yield Member(reference)
    kind = reference.partition("/")[0]
    if kind not in _READERS or depth > _DEEPEST:
        return
    resource = resolve(reference)
    if resource is None:
        return
    since, until = span(resource.get("period"))
    is_certain = resource.get("status", "") in _IN_FORCE and resource.get("active", True) is not False
    for found in _READERS[kind](resource, resolve, span, depth):
        yield replace(
            found,
            since=max((each for each in (since, found.since) if each is not None), default=None),
            until=min((each for each in (until, found.until) if each is not None), default=None),
            is_certain=is_certain and found.is_certain,
        )


def party_at(practitioner: str, organization: str) -> str:
    """Return the party that the Practitioner is while working for the Organization; both are references."""
    return f"{practitioner}@{organization}"


def _of_role(role: JsonObject, _resolve: Resolve, _span: Span, _depth: int) -> Iterator[Member]:
    practitioner, organization = _literal(role.get("practitioner")), _literal(role.get("organization"))
    if practitioner:
        yield Member(party_at(practitioner, organization) if organization else practitioner)
    elif organization:
        # Whoever has that role there: which role a requester has is not known, so only a denial means it.
        yield Member(organization, is_certain=False)


def _of_team(team: JsonObject, resolve: Resolve, span: Span, depth: int) -> Iterator[Member]:
    for each in team.get("participant", ()):
        yield from _during(each, _literal(each.get("member")), resolve, span, depth)


def _of_group(group: JsonObject, resolve: Resolve, span: Span, depth: int) -> Iterator[Member]:
    for each in group.get("member", ()):
        if each.get("inactive") is not True:
            yield from _during(each, _literal(each.get("entity")), resolve, span, depth)


def _during(item: JsonObject, reference: str, resolve: Resolve, span: Span, depth: int) -> Iterator[Member]:
    """Yield whom a participant or member means, while the item's period lasts."""
    if not reference:
        return
    since, until = span(item.get("period"))
    for found in members_of(reference, resolve, span, depth=depth + 1):
        yield replace(
            found,
            since=max((each for each in (since, found.since) if each is not None), default=None),
            until=min((each for each in (until, found.until) if each is not None), default=None),
        )


def _literal(value: Json) -> str:
    return str(value.get("reference", "")).partition("/_history/")[0] if isinstance(value, dict) else ""


_READERS: Final[dict[str, Callable[[JsonObject, Resolve, Span, int], Iterator[Member]]]] = {
    "PractitionerRole": _of_role,
    "CareTeam": _of_team,
    "Group": _of_group,
}
RESOLVED: Final = frozenset(_READERS)
"""The types whose resources say who is meant."""
