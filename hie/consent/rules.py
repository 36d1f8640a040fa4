"""A privacy Consent as a flat list of rules: pure, no database.

https://hl7.org/fhir/R4/consent.html. Nested provisions are exceptions to what contains them, so a rule is
the conditions of all provisions down to it, and the deepest rule that applies decides. What a condition
cannot say here (`code`, `data`, `dataPeriod`, classes that are no resource types, labels of no known class)
makes a denial wider and a permission void: the patient errs on the safe side. So do actors of a nested
provision whom those above do not name: a denial means them, a permission nobody. Other Consents (research,
treatment, advance directives) say nothing about who reads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

from hie.consent.actors import Member, Resolve, members_of
from hie.core.fhir.json import Json, JsonObject

SCOPE: Final = ("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")
RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
# Actions that reading is (http://terminology.hl7.org/CodeSystem/consentaction).
READING: Final = frozenset({"access", "use", "disclose"})
# What a Consent says where its root provision does not: "The base computable regulation or policy"
# (https://hl7.org/fhir/R4/consent-definitions.html#Consent.policyRule), codes of v3-ActCode.
_BASES: Final = {"OPTIN": False, "OPTINR": False, "OPTOUT": True, "OPTOUTE": True}
_ORGANIZATION: Final = "Organization/"
_UNSAYABLE: Final = ("code", "data", "dataPeriod")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `parties` ("Organization/1"), `purposes`, `classes` and `labels` are codes, None for any.

    It applies from `since` until before `until`, None without a bound. `depth` is 0 at the root.
    """

    depth: int
    is_denied: bool
    parties: frozenset[str] | None = None
    purposes: frozenset[str] | None = None
    classes: frozenset[str] | None = None
    labels: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


def patient_of(consent: JsonObject, base_url: str) -> str:
    """Return the id of the Patient whose Consent it is, "" where that is not said."""
    reference = _reference(consent.get("patient"), base_url)
    return reference.removeprefix("Patient/") if reference.startswith("Patient/") else ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How Consents are read: the base URL of this server's references, the zone of dates, known labels.

    `resolve` gives the resources that say whom an actor means; without it they are not found.
    """

    base_url: str
    zone: tzinfo
    labels: frozenset[str]
    resolve: Resolve = field(default=lambda _: None, compare=False)


def rules_of(consent: JsonObject, reading: Reading) -> list[Rule]:
    """Return the rules of `consent`, none for one that is not active or not about privacy."""
    provision = consent.get("provision")
    if consent.get("status") != "active" or SCOPE not in _codes(consent.get("scope")):
        return []
    if not isinstance(provision, dict):
        provision = {}
    base = next((_BASES[code] for _, code in _codes(consent.get("policyRule")) if code in _BASES), None)
    # "When this Consent was issued / created / indexed": before, it says nothing.
    since = _moment(consent.get("dateTime"), reading.zone)
    return list(_rules(provision, Rule(0, is_denied=False, since=since), reading, base=base))


def _rules(
    provision: JsonObject, above: Rule, reading: Reading, *, base: bool | None = None
) -> Iterator[Rule]:
    kind = provision.get("type")
    is_denied = kind == "deny" if kind in ("deny", "permit") else base
    members = _members(provision, reading)
    own = _narrowed(above, provision, members, reading)
    if own is None:
        return
    if is_denied:
        yield replace(own, is_denied=True)
    elif is_denied is not None and not _is_unsayable(provision, reading):
        yield from _permissions(above, own, members)
    below = replace(own, depth=own.depth + 1)
    for each in provision.get("provision", ()):
        if isinstance(each, dict):
            yield from _rules(each, below, reading)


def _permissions(above: Rule, own: Rule, members: list[Member] | None) -> Iterator[Rule]:
    """Yield `own` for those whom a permission means: a rule for each time that some have in common."""
    if members is None:
        yield own
        return
    spans: dict[tuple[datetime | None, datetime | None], set[str]] = {}
    for each in members:
        if each.is_certain and (above.parties is None or _is_within(each.party, above.parties)):
            spans.setdefault((each.since, each.until), set()).add(each.party)
    for (since, until), parties in spans.items():
        yield replace(
            own,
            is_denied=False,
            parties=frozenset(parties),
            since=_latest(own.since, since),
            until=_earliest(own.until, until),
        )


def _members(provision: JsonObject, reading: Reading) -> list[Member] | None:
    """Return whom the actors of `provision` mean, None where it has none."""
    if not provision.get("actor"):
        return None

    def span(period: Json) -> tuple[datetime | None, datetime | None]:
        given = period if isinstance(period, Mapping) else {}
        return (
            _moment(given.get("start"), reading.zone),
            _moment(given.get("end"), reading.zone, is_end=True),
        )

    return [
        member
        for each in provision["actor"]
        if (named := _reference(each.get("reference"), reading.base_url))
        for member in members_of(named, reading.resolve, span)
    ]


def _narrowed(
    above: Rule, provision: JsonObject, members: list[Member] | None, reading: Reading
) -> Rule | None:
    """Return `above` under the conditions of `provision` too; None where both never hold."""
    actions = {code for each in provision.get("action", ()) for _, code in _codes(each)}
    if actions and not actions & READING:
        return None
    period = provision.get("period") or {}
    classes = {each.get("code", "") for each in provision.get("class", ()) if _is_type(each)}
    labels = _of(provision, "securityLabel")
    if labels is not None and not labels <= reading.labels:
        labels = None
    found = replace(
        above,
        parties=above.parties if members is None else _denied(above.parties, members),
        purposes=_both(above.purposes, _of(provision, "purpose")),
        classes=_both(above.classes, classes or None),
        labels=_both(above.labels, labels),
        since=_latest(above.since, _moment(period.get("start"), reading.zone)),
        until=_earliest(above.until, _moment(period.get("end"), reading.zone, is_end=True)),
    )
    is_void = any(
        each is not None and not each for each in (found.purposes, found.classes, found.labels)
    ) or (found.parties is not None and not found.parties)
    return None if is_void else found


def _denied(above: frozenset[str] | None, members: list[Member]) -> frozenset[str]:
    """Return whom a denial means under a provision about `above`, also who may work there."""
    parties = frozenset(each.party for each in members)
    if above is None:
        return parties
    has_organization = any(each.startswith(_ORGANIZATION) for each in above)
    return frozenset(
        each
        for each in parties
        if _is_within(each, above) or each.startswith(_ORGANIZATION) != has_organization
    )


def _is_within(party: str, above: frozenset[str]) -> bool:
    """Return whether `party`, or the place where it works, is one of `above`."""
    return party in above or not above.isdisjoint(party.split("@"))


def _is_unsayable(provision: JsonObject, reading: Reading) -> bool:
    classes, labels = provision.get("class", ()), _of(provision, "securityLabel")
    if labels is not None and not labels <= reading.labels:
        return True
    return any(provision.get(name) for name in _UNSAYABLE) or any(not _is_type(each) for each in classes)


def _is_type(coding: JsonObject) -> bool:
    return coding.get("system") == RESOURCE_TYPES and bool(coding.get("code"))


def _of(provision: JsonObject, name: str) -> set[str] | None:
    return {each.get("code", "") for each in provision[name]} if provision.get(name) else None


def _both(above: frozenset[str] | None, own: set[str] | None) -> frozenset[str] | None:
    if own is None:
        return above
    return frozenset(own) if above is None else above & own


def _codes(concept: Json) -> list[tuple[str, str]]:
    codings = concept.get("coding", ()) if isinstance(concept, Mapping) else ()
    return [(each.get("system", ""), each.get("code", "")) for each in codings]


def _reference(value: Json, base_url: str) -> str:
    literal = value.get("reference", "") if isinstance(value, Mapping) else ""
    return str(literal).removeprefix(f"{base_url}/").partition("/_history/")[0]


def _moment(text: Json, zone: tzinfo, *, is_end: bool = False) -> datetime | None:
    """Return the first instant that a dateTime covers, or with `is_end` the first behind it."""
    if not isinstance(text, str) or not text:
        return None
    year, month, day = (int(part) for part in (f"{text[:10]}-01-01".split("-"))[:3])
    if len(text) > len("2024-01-01"):
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=zone)
        return found + timedelta(seconds=1) if is_end else found
    first = datetime(year, month, day, tzinfo=zone)
    if not is_end:
        return first
    if len(text) == len("2024"):
        return first.replace(year=year + 1)
    if len(text) == len("2024-01"):
        return first.replace(year=year + month // 12, month=month % 12 + 1)
    return first + timedelta(days=1)


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((each for each in (one, other) if each is not None), default=None)
