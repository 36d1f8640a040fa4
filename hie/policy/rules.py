"""What a requester may read, as conditions, and may do: pure, from the policy's tables and given facts.

No database, no clock, no settings. What only the database knows (who treats whom, what Consents withhold,
what was opened in an emergency) stands in the answer as conditions, so that one statement decides them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from typing import Final

from hie.core.access import EVERYTHING, NOTHING, Ids, Parameter, Readable, Requester, Role
from hie.core.smart_scopes import ResourceScope, resource_scopes
from hie.policy.policy import SYSTEM_OF_EXCHANGE, SYSTEM_OF_ORGANIZATION, Policy, Relation, Rule, Standing

PATIENT: Final = "Patient"
# SMART's r and s: both read (http://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html).
_LETTERS: Final = {"c": "c", "r": "rs", "u": "u", "d": "d"}

Withheld = Callable[[tuple[str, ...], str, str, tuple[str, ...]], Ids]
"""Patients who withhold a type from parties for a purpose; given labels, what carries one of these."""
Wards = Callable[[str], "Ids | None"]
"""Patients for whom an account may act, None for one that cannot act for anybody."""
Opened = Callable[[str], Ids]
"""Patients whose record an account has opened in an emergency that lasts."""

Alternative = tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Where facts come from that only the database knows, and the day that ages and relations count from."""

    withheld: Withheld
    wards: Wards
    opened: Opened
    today: date


def roles_of(requester: Requester) -> frozenset[str]:
    """Return the roles of `requester` as the rules name them."""
    if requester.kind == "client":
        return frozenset({SYSTEM_OF_ORGANIZATION if requester.organization else SYSTEM_OF_EXCHANGE})
    return frozenset(role.value for role in requester.roles)


def readable(policy: Policy, requester: Requester, resource_type: str, facts: Facts) -> Readable:
    """Return what of `resource_type` the requester may read."""
    return permitted(policy, requester, "r", resource_type, facts)


def permitted(
    policy: Policy, requester: Requester, letter: str, resource_type: str, facts: Facts
) -> Readable:
    """Return with which resources of `resource_type` the requester may do `letter`, one of "crud"."""
    if requester.kind == "system":
        return EVERYTHING
    if requester.kind == "anonymous":
        return NOTHING
    scopes = _of_scopes(policy, requester, letter, resource_type)
    if not scopes:
        return NOTHING
    roles = roles_of(requester)
    ruled = dict.fromkeys(
        found
        for rule in policy.rules
        if rule.permits(roles, requester.purpose, letter, resource_type)
        for found in _of_rule(policy, rule, requester, resource_type, facts)
    )
    if () in scopes:
        alternatives = tuple(ruled)
    else:
        alternatives = tuple((*scope, *one) for scope, one in product(scopes, ruled))
    return EVERYTHING if () in alternatives else Readable(alternatives, is_told=bool(alternatives))


def may(policy: Policy, requester: Requester, letter: str, resource_type: str) -> bool:
    """Return whether the requester may do `letter` with some resources of `resource_type`."""
    roles = roles_of(requester)
    return bool(_of_scopes(policy, requester, letter, resource_type)) and any(
        rule.permits(roles, requester.purpose, letter, resource_type) for rule in policy.rules
    )


def patients(policy: Policy, requester: Requester, letter: str, resource_type: str, facts: Facts) -> Readable:
    """Return with which Patients' resources of `resource_type` the requester may do `letter`.

    For what is not stored yet: its Patient must satisfy the answer, its labels `is_cleared`.
    """
    roles = roles_of(requester)
    scopes = [
        ((("_id", requester.patient),) if scope.context == "patient" else ())
        for scope in scopes_of(requester, letter, resource_type)
    ] or ([()] if requester.scopes is None else [])
    ruled = [
        found
        for rule in policy.rules
        if rule.permits(roles, requester.purpose, letter, resource_type)
        for found in _patients(policy, rule, requester, resource_type, facts)
    ]
    alternatives = tuple(dict.fromkeys((*scope, *one) for scope, one in product(scopes, ruled)))
    return EVERYTHING if () in alternatives else Readable(alternatives)


def is_cleared(policy: Policy, requester: Requester, letter: str, resource_type: str) -> bool:
    """Return whether labels of sensitive classes are no obstacle to the requester."""
    roles = roles_of(requester)
    return any(
        rule.is_cleared and rule.permits(roles, requester.purpose, letter, resource_type)
        for rule in policy.rules
    )


def may_operate(policy: Policy, requester: Requester, interaction: str) -> bool:
    """Return whether the requester may call the operation `interaction`, with its "$"."""
    if requester.kind == "system":
        return True
    if requester.kind == "client" and not any(
        each.context == "system" and "u" in each.permissions and each.resource_type == "*"
        for each in resource_scopes(requester.scopes or ())
    ):
        return False
    return not policy.operations.get(interaction, frozenset()).isdisjoint(roles_of(requester))


def scopes_of(requester: Requester, letter: str, resource_type: str) -> Iterator[ResourceScope]:
    """Yield the scopes of the token by which the requester may do `letter`, none of a session without."""
    for scope in resource_scopes(requester.scopes or ()):
        is_own = (scope.context == "system") == (requester.kind == "client")
        is_meant = scope.context != "patient" or bool(requester.patient)
        if is_own and is_meant and any(scope.permits(each, resource_type) for each in _LETTERS[letter]):
            yield scope


def _of_scopes(
    policy: Policy, requester: Requester, letter: str, resource_type: str
) -> tuple[Alternative, ...]:
    """Return what the token's scopes permit, as alternatives; of a session without scopes everything."""
    if requester.scopes is None:
        return ((),)
    found: dict[Alternative, None] = {}
    for scope in scopes_of(requester, letter, resource_type):
        own: Alternative = ()
        if scope.context == "patient":
            own = _is_patient(policy, resource_type, requester.patient)
        found[(*own, *scope.parameters)] = None
    return tuple(found)


def _is_patient(policy: Policy, resource_type: str, patient: str) -> Alternative:
    if resource_type == PATIENT:
        return (("_id", patient),)
    subject = policy.subjects.get(resource_type)
    return () if subject is None else ((subject, f"Patient/{patient}"),)


def _of_rule(
    policy: Policy, rule: Rule, requester: Requester, resource_type: str, facts: Facts
) -> Iterator[Alternative]:
    """Yield what one rule permits: the labels that are no obstacle, and whose record it is."""
    labels: Alternative = (("_security:not", _tokens(policy.sensitive)),)
    if rule.is_cleared:
        labels = _withheld_classes(policy, requester, resource_type, facts) if rule.asks_consent else ()
    subject = policy.subjects.get(resource_type)
    for patient in _patients(policy, rule, requester, resource_type, facts):
        if resource_type == PATIENT or not patient:
            yield (*labels, *patient)
        elif subject is not None:
            first, *others = patient
            if first[0] == "_id" and isinstance(first[1], str):
                # As a plain reference: the search can begin with it.
                yield (*labels, (subject, f"Patient/{first[1]}"), *_led(subject, tuple(others)))
            else:
                yield (*labels, *_led(subject, patient))


def _led(subject: str, conditions: Alternative) -> Alternative:
    return ((f"{subject}:Patient", Readable((conditions,))),) if conditions else ()


def _withheld_classes(policy: Policy, requester: Requester, resource_type: str, facts: Facts) -> Alternative:
    """Return that no label is of a class that the patient withholds by a Consent."""
    subject = policy.subjects.get(resource_type)
    if subject is None and resource_type != PATIENT:
        return ()
    classes: list[Alternative] = []
    for labels in policy.classes.values():
        codes = tuple(sorted(code for _, code in labels))
        own: Alternative = (
            ("_id", facts.withheld(_parties(requester), requester.purpose, resource_type, codes)),
        )
        classes.append((("_security", _tokens(labels)), *(own if subject is None else _led(subject, own))))
    sensitive: Alternative = (("_security", _tokens(policy.sensitive)), ("any", Readable(tuple(classes))))
    return (("not", Readable((sensitive,))),)


def _tokens(labels: Iterable[tuple[str, str]]) -> str:
    return ",".join(f"{system}|{code}" for system, code in sorted(labels))


def _patients(
    policy: Policy, rule: Rule, requester: Requester, resource_type: str, facts: Facts
) -> Iterator[Alternative]:
    """Yield the alternatives of the Patients whose resources of the type one rule is about; () is anybody."""
    consent = _consent(requester, resource_type, facts) if rule.asks_consent else ()
    is_about = resource_type == PATIENT or resource_type in policy.subjects
    standings = [found for each in rule.standings if (found := _standing(policy, each, requester, facts))]
    if "anybody" in rule.standings:
        yield consent if is_about else ()
    if is_about:
        for found in standings:
            yield (*found, *consent)


def _consent(requester: Requester, resource_type: str, facts: Facts) -> Alternative:
    withheld = facts.withheld(_parties(requester), requester.purpose, resource_type, ())
    return (("not", Readable(((("_id", withheld),),))),)


def _parties(requester: Requester) -> tuple[str, ...]:
    """Return whom a Consent may name to mean the requester."""
    named = (
        ("Organization", requester.department),
        ("Organization", requester.organization),
        ("Practitioner", requester.practitioner),
    )
    parties = tuple(f"{kind}/{found}" for kind, found in named if found)
    # As a PractitionerRole names it: the Practitioner where it works (hie/consent/actors.py).
    roles = tuple(f"{parties[-1]}@{each}" for each in parties[:-1]) if requester.practitioner else ()
    return parties + roles


def _standing(  # noqa: PLR0911 - a case a standing
    policy: Policy, standing: Standing, requester: Requester, facts: Facts
) -> Alternative:
    """Return the conditions on the Patient that `standing` is; () where the requester cannot stand so."""
    match standing:
        case "self" | "self-of-consent":
            return _self(policy, requester, facts, is_of_consent=standing != "self")
        case "ward" | "ward-of-consent" | "late-ward":
            wards = facts.wards(requester.id) if requester.kind == "person" else None
            if wards is None:
                return ()
            if standing == "late-ward":
                return (("_id", wards), ("deceased", "true"))
            age = policy.majority if standing == "ward" else policy.own_consent
            return (("_id", wards), ("birthdate", f"gt{years_before(facts.today, age)}"), _IS_ALIVE)
        case "practitioner":
            return _treated(policy, requester.practitioner, "Practitioner", facts)
        case "organization":
            return _treated(policy, requester.organization, "Organization", facts)
        case "break-glass":
            return (("_id", facts.opened(requester.id)),) if requester.kind == "person" else ()
        case "anybody":
            return ()


_IS_ALIVE: Final[Parameter] = ("not", Readable(((("deceased", "true"),),)))


def _self(policy: Policy, requester: Requester, facts: Facts, *, is_of_consent: bool) -> Alternative:
    if not requester.patient or requester.kind != "person":
        return ()
    found: Alternative = (("_id", requester.patient), _IS_ALIVE)
    wards = facts.wards(requester.id) if Role.GUARDIAN in requester.roles else None
    if wards is not None:
        # An application that was launched for a ward names the ward.
        found = (*found, ("not", Readable(((("_id", wards),),))))
    if is_of_consent:
        found = (*found, ("birthdate", f"le{years_before(facts.today, policy.own_consent)}"))
    return found


def _treated(policy: Policy, who: str, kind: str, facts: Facts) -> Alternative:
    """Return that the Patient is treated by the Practitioner or Organization with the id `who`."""
    if not who:
        return ()
    found: list[Alternative] = []
    for relation in policy.relations:
        name = relation.practitioner if kind == "Practitioner" else relation.organization
        if name:
            source = f"_has:{relation.type}:{relation.patient}"
            found.append(((source, Readable((_in_force(relation, name, f"{kind}/{who}", facts),))),))
    if policy.general_practitioner:
        found.append(((policy.general_practitioner, f"{kind}/{who}"),))
    return (("any", Readable(tuple(found))),)


def _in_force(relation: Relation, name: str, who: str, facts: Facts) -> Alternative:
    since: Alternative = ()
    if relation.date:
        since = ((relation.date, f"ge{facts.today - timedelta(days=relation.days)}"),)
    return ((name, who), *relation.where, *since)


def years_before(day: date, years: int) -> date:
    """Return the day `years` before; of 29 February the 28th where that year has none.

    Who was born on it or before is that many years old on `day`.
    """
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - years, day=28 if is_leap_day else day.day)


def lost_labels(policy: Policy, before: Iterable[tuple[str, str]], after: Iterable[tuple[str, str]]) -> bool:
    """Return whether a label of a sensitive class goes, which only the security officer may take away."""
    return bool((set(before) & policy.sensitive) - set(after))
