"""The rules of the policy are complete, pure, and count ages as the law does."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.compartments.definitions import load_compartments
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import load_registry
from fhir_server.definitions.value_sets import code_system
from hie.core.access import ANONYMOUS, EVERYTHING, NOTHING, SYSTEM, Ids, Requester, Role
from hie.core.errors import ConfigurationError
from hie.policy import rules
from hie.policy.policy import load_policy, read_policy
from hie.policy.rules import Facts, years_before
from tests.hie.policy.city import CLINICIAN

POLICY = load_policy()
FACTS = Facts(
    lambda parties, purpose, kind, labels: Ids("SELECT ''", (parties, (purpose,), (kind,), labels)),
    lambda account: Ids("SELECT ''", (account,)),
    lambda account: Ids("SELECT ''", (account,)),
    date(2026, 11, 1),
)


def test_the_policy_names_types_and_search_parameters_of_r4() -> None:
    registry = load_registry()
    for kind, code in POLICY.subjects.items():
        parameter = registry.of(kind)[code]
        assert parameter.type == "reference", (kind, code)
        assert parameter.may_target("Patient"), (kind, code)
    named = {each for rule in POLICY.rules for each in rule.types} - {"*"}
    assert named <= set(R4_RESOURCE_TYPES)


def test_every_type_of_the_patient_compartment_is_about_its_patient_or_out_of_reach() -> None:
    members = load_compartments()["Patient"].members
    # Of whom they are: of several patients at once, of none, or of the trail of the server.
    others = {"AuditEvent", "Group", "Patient", "Schedule"}
    assert set(members) - set(POLICY.subjects) == others
    for kind in others - {"Patient", "Schedule", "AuditEvent"}:
        for role in Role:
            who = Requester("person", "a", roles=frozenset({role}), patient="x", practitioner="d")
            assert rules.readable(POLICY, who, kind, FACTS) == NOTHING, (kind, role)


@pytest.mark.parametrize("kind", ["Observation", "Patient", "Organization", "Group"])
def test_the_server_itself_sees_everything_and_nobody_known_nothing(kind: str) -> None:
    assert rules.readable(POLICY, SYSTEM, kind, FACTS) == EVERYTHING
    assert rules.readable(POLICY, ANONYMOUS, kind, FACTS) == NOTHING


@given(st.sampled_from(R4_RESOURCE_TYPES), st.sets(st.sampled_from(Role)), st.sampled_from(list("crud")))
def test_a_scope_never_gives_more_than_the_roles_do(kind: str, roles: set[Role], letter: str) -> None:
    plain = Requester("person", "a", roles=frozenset(roles), patient="x", practitioner="d", organization="h")
    for scopes in ((), ("user/*.cruds",), ("patient/*.cruds",), ("system/*.cruds",)):
        scoped = Requester(
            "person", "a", "app", plain.roles, scopes, plain.patient, plain.practitioner, plain.organization
        )
        less = rules.permitted(POLICY, scoped, letter, kind, FACTS)
        more = rules.permitted(POLICY, plain, letter, kind, FACTS)
        assert more.is_everything or not less.is_everything
        assert len(less.alternatives) <= len(more.alternatives)
        if scopes in ((), ("system/*.cruds",)):
            assert less == NOTHING


@given(st.sampled_from(R4_RESOURCE_TYPES))
def test_no_three_administrators_see_a_record(kind: str) -> None:
    if kind not in POLICY.subjects or kind in ("Consent", "Provenance"):
        return
    for role in (Role.SYSTEM_ADMINISTRATOR, Role.SECURITY_OFFICER, Role.AUDITOR, Role.OPERATOR, Role.ANALYST):
        who = Requester("person", "a", roles=frozenset({role}), organization="h")
        assert rules.readable(POLICY, who, kind, FACTS) == NOTHING


def test_a_purpose_that_is_no_treatment_opens_no_record_to_a_clinician() -> None:
    research = Requester(
        "person", "a", roles=CLINICIAN.roles, practitioner="d", organization="h", purpose="HRESCH"
    )
    ((only,),) = rules.readable(POLICY, research, "Observation", FACTS).alternatives
    assert "SELECT ''" in repr(only)  # what was opened in an emergency, and nothing else
    assert "_has:" not in repr(only)


@given(st.dates(date(1950, 1, 1), date(2100, 12, 31)), st.integers(1, 40))
def test_who_was_born_so_many_years_before_has_that_age_and_the_next_day_not_yet(
    today: date, years: int
) -> None:
    bound = years_before(today, years)
    assert today.year - bound.year == years
    assert (bound.month, bound.day) == (today.month, today.day) or (today.month, today.day) == (2, 29)


def test_bad_data_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="nobody"):
        read_policy({"groups": {}, "rules": [{"roles": ["nobody"], "types": [], "may": "r", "as": []}]})


def test_the_labels_are_codes_of_their_systems() -> None:
    for system, code in POLICY.sensitive:
        known = code_system(system)
        assert known is not None, system
        assert code in known.codes, code
