"""Whom the actors of a Consent mean."""

import pytest

from hie.consent.rules import Reading, Rule, rules_of
from hie.core.fhir.json import JsonObject
from tests.hie.consent.test_rules import READING, actor, consent

DIRECTORY: dict[str, JsonObject] = {
    "PractitionerRole/r": {
        "resourceType": "PractitionerRole",
        "id": "r",
        "practitioner": {"reference": "Practitioner/p"},
        "organization": {"reference": "Organization/o"},
        "period": {"end": "2027-01-01T00:00:00Z"},
    },
    "PractitionerRole/old": {
        "resourceType": "PractitionerRole",
        "active": False,
        "practitioner": {"reference": "Practitioner/q"},
    },
    "PractitionerRole/anybody": {
        "resourceType": "PractitionerRole",
        "organization": {"reference": "Organization/o"},
    },
    "CareTeam/t": {
        "resourceType": "CareTeam",
        "status": "active",
        "participant": [
            {"member": {"reference": "Practitioner/a"}},
            {"member": {"reference": "PractitionerRole/r"}, "period": {"start": "2026-01-01T00:00:00Z"}},
            {"member": {"reference": "CareTeam/t"}},
            {"role": [{"text": "nobody named"}]},
        ],
    },
    "Group/g": {
        "resourceType": "Group",
        "type": "practitioner",
        "actual": True,
        "member": [
            {"entity": {"reference": "Practitioner/b"}},
            {"entity": {"reference": "Practitioner/gone"}, "inactive": True},
        ],
    },
}
KNOWING = Reading(READING.base_url, READING.zone, READING.labels, DIRECTORY.get)


def parties(kind: str, *references: str) -> list[set[str]]:
    given = consent({"type": kind, "actor": [actor(each) for each in references]})
    return [set(each.parties or ()) for each in rules_of(given, KNOWING)]


@pytest.mark.parametrize("kind", ["deny", "permit"])
def test_a_group_means_its_active_members(kind: str) -> None:
    assert parties(kind, "Group/g") == [{"Group/g", "Practitioner/b"}]


def test_a_practitioner_role_means_the_practitioner_where_it_works_while_it_lasts() -> None:
    permitted = rules_of(consent({"type": "permit", "actor": [actor("PractitionerRole/r")]}), KNOWING)
    (rule,) = (each for each in permitted if "Practitioner/p@Organization/o" in (each.parties or ()))
    assert rule.until is not None
    assert rule.until.isoformat() == "2027-01-01T00:00:01+00:00"
    (denied,) = parties("deny", "PractitionerRole/r")
    assert denied == {"PractitionerRole/r", "Practitioner/p@Organization/o"}


def test_a_role_that_ended_or_that_anybody_may_have_is_meant_by_denials_only() -> None:
    assert parties("deny", "PractitionerRole/old") == [{"PractitionerRole/old", "Practitioner/q"}]
    assert parties("permit", "PractitionerRole/old") == [{"PractitionerRole/old"}]
    assert parties("deny", "PractitionerRole/anybody") == [{"PractitionerRole/anybody", "Organization/o"}]
    assert parties("permit", "PractitionerRole/anybody") == [{"PractitionerRole/anybody"}]


def test_a_care_team_means_its_participants_and_not_itself_again_and_again() -> None:
    (denied,) = parties("deny", "CareTeam/t")
    assert {"CareTeam/t", "Practitioner/a", "Practitioner/p@Organization/o"} <= denied
    rules = rules_of(consent({"type": "permit", "actor": [actor("CareTeam/t")]}), KNOWING)
    assert {each.since is None for each in rules if "Practitioner/a" in (each.parties or ())} == {True}
    assert {
        each.since is None for each in rules if "Practitioner/p@Organization/o" in (each.parties or ())
    } == {False}


def test_a_denial_below_an_organization_means_the_practitioner_and_a_permission_nobody() -> None:
    def nested(kind: str, *references: str) -> list[Rule]:
        below = {"type": kind, "actor": [actor(each) for each in references]}
        above = {"type": "permit", "actor": [actor("Organization/o")], "provision": [below]}
        return [each for each in rules_of(consent(above), KNOWING) if each.depth == 1]

    (denied,) = nested("deny", "Practitioner/z", "Organization/other")
    assert denied.parties == frozenset({"Practitioner/z"})
    assert nested("permit", "Practitioner/z") == []
    (role,) = nested("permit", "PractitionerRole/r")
    assert role.parties == frozenset({"Practitioner/p@Organization/o"})


def test_a_consent_says_nothing_before_its_date_time() -> None:
    (rule,) = rules_of(consent({"type": "deny"}, dateTime="2026-05-01"), READING)
    assert rule.since is not None
    assert rule.since.isoformat() == "2026-05-01T00:00:00+08:00"
