"""A privacy Consent becomes rules (https://hl7.org/fhir/R4/consent.html)."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.consent.queries import replace_rules, withheld
from hie.consent.rules import Reading, Rule, rules_of
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject

READING = Reading("http://hie.example/fhir", ZoneInfo("Asia/Shanghai"), frozenset({"HIV", "PSY"}))
TYPES = "http://hl7.org/fhir/resource-types"


def consent(provision: JsonObject, **elements: object) -> JsonObject:
    code = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [code]},
        "patient": {"reference": "Patient/x"},
        "provision": provision,
        **elements,
    }


def actor(reference: str) -> JsonObject:
    return {"reference": {"reference": reference}}


def test_a_nested_provision_is_an_exception_under_the_conditions_above_it() -> None:
    found = rules_of(
        consent(
            {
                "type": "deny",
                "actor": [actor("http://hie.example/fhir/Organization/a"), actor("Organization/b")],
                "provision": [
                    {
                        "type": "permit",
                        "actor": [actor("Organization/b"), actor("Organization/c")],
                        "purpose": [{"code": "ETREAT"}],
                    }
                ],
            }
        ),
        READING,
    )
    assert found == [
        Rule(0, is_denied=True, parties=frozenset({"Organization/a", "Organization/b"})),
        Rule(1, is_denied=False, parties=frozenset({"Organization/b"}), purposes=frozenset({"ETREAT"})),
    ]


@pytest.mark.parametrize(
    ("code", "denied"), [("OPTOUT", [True]), ("OPTIN", [False]), ("EMRGONLY", [])], ids=str
)
def test_a_root_without_a_type_says_what_the_policy_rule_says(code: str, denied: list[bool]) -> None:
    rule = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}]}
    assert [each.is_denied for each in rules_of(consent({}, policyRule=rule), READING)] == denied


@pytest.mark.parametrize(
    "elements",
    [{"status": "inactive"}, {"scope": {"coding": [{"code": "research"}]}}],
    ids=["inactive", "research"],
)
def test_a_consent_that_is_not_in_force_or_not_about_privacy_has_no_rules(elements: JsonObject) -> None:
    assert rules_of(consent({"type": "deny"}, **elements), READING) == []


@pytest.mark.parametrize(
    "condition",
    [
        {"code": [{"text": "x"}]},
        {"dataPeriod": {"start": "2020"}},
        {"class": [{"system": "urn:ietf:bcp:13", "code": "application/pdf"}]},
        {"securityLabel": [{"code": "UNKNOWN"}]},
    ],
    ids=["code", "dataPeriod", "class", "label"],
)
def test_what_cannot_be_said_makes_a_denial_wider_and_a_permission_void(condition: JsonObject) -> None:
    assert rules_of(consent({"type": "deny", **condition}), READING) == [Rule(0, is_denied=True)]
    assert rules_of(consent({"type": "permit", **condition}), READING) == []


@pytest.mark.parametrize(
    ("period", "since", "until"),
    [
        ({"start": "2026", "end": "2026"}, "2025-12-31T16:00+00:00", "2026-12-31T16:00+00:00"),
        ({"start": "2026-02", "end": "2026-12"}, "2026-01-31T16:00+00:00", "2026-12-31T16:00+00:00"),
        ({"end": "2026-02-28"}, None, "2026-02-28T16:00+00:00"),
        ({"start": "2026-02-28T10:00:00Z"}, "2026-02-28T10:00+00:00", None),
    ],
    ids=["years", "months", "day", "instant"],
)
def test_a_period_covers_its_last_day(period: JsonObject, since: str | None, until: str | None) -> None:
    (rule,) = rules_of(consent({"type": "deny", "period": period}), READING)
    assert rule.since == (None if since is None else datetime.fromisoformat(since))
    assert rule.until == (None if until is None else datetime.fromisoformat(until))


@given(st.lists(st.sampled_from(["deny", "permit"]), min_size=1, max_size=5))
def test_each_level_of_nesting_gives_one_rule_and_no_rule_is_wider_than_the_one_above(
    kinds: list[str],
) -> None:
    provision: JsonObject = {}
    for depth, kind in reversed(list(enumerate(kinds))):
        names = [actor(f"Organization/{number}") for number in range(6 - depth)]
        provision = {"type": kind, "actor": names, **({"provision": [provision]} if provision else {})}
    found = rules_of(consent(provision), READING)
    assert [each.is_denied for each in found] == [kind == "deny" for kind in kinds]
    for above, below in pairwise(found):
        assert below.depth == above.depth + 1
        assert (below.parties or set()) <= (above.parties or set())


def who_withholds(database: Database, *asked: object) -> set[str]:
    found = withheld(*asked)  # type: ignore[arg-type] # as the function has them
    values = [list(each) if isinstance(each, tuple) else each for each in found.params]
    with database.reading() as reading:
        return {row[0] for row in reading.connection.execute(found.select, values)}


def test_of_each_consent_the_deepest_rule_that_applies_decides_and_any_denial_holds(
    database: Database,
) -> None:
    hospital = frozenset({"Organization/a"})
    now = datetime.now(UTC)
    with database.transaction() as transaction:
        replace_rules(
            transaction,
            "c1",
            "x",
            [
                Rule(0, is_denied=True),
                Rule(1, is_denied=False, parties=hospital),
                Rule(2, is_denied=True, parties=hospital, classes=frozenset({"Media"})),
            ],
        )
        replace_rules(transaction, "c2", "y", [Rule(0, is_denied=True, labels=frozenset({"HIV"}))])
        replace_rules(transaction, "c3", "z", [Rule(0, is_denied=True, until=now)])
        replace_rules(transaction, "c4", "w", [Rule(0, is_denied=False)])
        replace_rules(transaction, "c5", "w", [Rule(0, is_denied=True, purposes=frozenset({"HRESCH"}))])
    assert who_withholds(database, ("Organization/b",), "TREAT", "Observation") == {"x"}
    assert who_withholds(database, ("Organization/a",), "TREAT", "Observation") == set()
    assert who_withholds(database, ("Organization/a",), "TREAT", "Media") == {"x"}
    assert who_withholds(database, ("Organization/a",), "TREAT", "Observation", ("HIV", "STD")) == {"y"}
    assert who_withholds(database, ("Organization/a",), "HRESCH", "Observation") == {"w"}
    with database.transaction() as transaction:
        replace_rules(transaction, "c1", "x", [])
    assert who_withholds(database, ("Organization/b",), "TREAT", "Observation") == set()
