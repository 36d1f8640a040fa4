"""The pure rules of identity: waits, passwords, scopes."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core import smart_scopes
from hie.core.access import Requester, Role
from hie.core.smart_scopes import ResourceScope
from hie.identity import scopes
from hie.identity.passwords import hash_password, is_password
from hie.identity.rules import password_fault, role_fault, wait_after

TYPES = st.sampled_from(["*", "Patient", "Observation", "Condition"])
LETTERS = st.sets(st.sampled_from(smart_scopes.LETTERS), min_size=1).map(
    lambda chosen: "".join(letter for letter in smart_scopes.LETTERS if letter in chosen)
)
PARAMETERS = st.lists(
    st.tuples(st.sampled_from(["category", "code", "_id"]), st.text("ab|/:%& +é", min_size=1)), max_size=2
).map(tuple)
SCOPES = st.builds(ResourceScope, st.sampled_from(["patient", "user", "system"]), TYPES, LETTERS, PARAMETERS)


@given(st.integers(0, 200))
def test_waits_grow_and_stay_within_an_hour(failures: int) -> None:
    """NIST SP 800-63B, 5.2.2: from 30 seconds up to an hour."""
    wait = wait_after(failures)
    assert wait <= wait_after(failures + 1) <= timedelta(hours=1)
    assert wait == timedelta(0) or wait >= timedelta(seconds=30)


@pytest.mark.parametrize(
    "password",
    [
        "Ab1!",
        "aaaaaaaaaaaaaa",
        "abcdefghijkl",
        "123456789012",
        "Password12!!",
        "hospitalhospital",
        "dr.li dr.li 1",
        "abababababab",
        "correcthorse",
        "x" * 257,
        "Blocked-one 7",
    ],
)
def test_password_that_is_easily_guessed_is_refused(password: str) -> None:
    assert password_fault(password, shortest=12, words=("dr.li",), blocked={"Blocked-one 7"})


@pytest.mark.parametrize(
    "password",
    ["Vier-Wände7 kosten", "correct horse battery staple", "海上生明月，天涯共此时。情人怨遥夜，竟夕起相思"],
)
def test_password_that_is_hard_to_guess_is_taken(password: str) -> None:
    assert password_fault(password, shortest=12, words=("dr.li", "")) is None


def test_password_is_the_same_on_every_keyboard() -> None:
    """NIST SP 800-63B, 5.1.1.2: NFKC before hashing."""
    hashed = hash_password("Vier-Wände7 kosten")
    assert is_password(hashed, "Vier-Wa\N{COMBINING DIAERESIS}nde7 kosten")
    assert not is_password(hashed, "Vier-Wande7 kosten")
    assert not is_password("", "")
    assert not is_password("no hash", "x")


def test_roles_that_belong_apart_are_named() -> None:
    assert role_fault([Role.AUDITOR, Role.OPERATOR]) is None
    assert (
        role_fault([Role.AUDITOR, Role.SECURITY_OFFICER])
        == "One account cannot be auditor and security-officer"
    )


@given(SCOPES)
def test_scope_survives_being_written_and_read(scope: ResourceScope) -> None:
    text = str(scope)
    assert smart_scopes.parse(text) == scope
    assert smart_scopes.is_token(text)


@given(SCOPES, SCOPES)
def test_restriction_is_symmetric_and_within_both(one: ResourceScope, other: ResourceScope) -> None:
    common = one.restricted_by(other)
    assert common == other.restricted_by(one)
    if common is not None:
        assert common.is_within(one)
        assert common.is_within(other)


@given(SCOPES)
def test_restriction_by_itself_changes_nothing(scope: ResourceScope) -> None:
    assert scope.restricted_by(scope) == scope.normal()
    assert scope.is_within(scope)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("patient/*.read", ResourceScope("patient", "*", "rs")),
        ("user/Observation.write", ResourceScope("user", "Observation", "cud")),
        ("system/*.*", ResourceScope("system", "*", "cruds")),
        ("patient/Observation.rs", ResourceScope("patient", "Observation", "rs")),
        (
            "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
            ResourceScope(
                "patient",
                "Observation",
                "rs",
                (("category", "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"),),
            ),
        ),
        ("patient/Observation.sr", None),
        ("patient/Observation.", None),
        ("patient/Observation", None),
        ("patient/observation.rs", None),
        ("patient/Observation.read?category=x", None),
        ("patient/Observation.rs?", None),
        ("patient/Observation.rs?category", None),
        ("patient/Observation.rs?category=", None),
        ("patient/Observation.rrs", None),
        ("Patient/*.rs", None),
        ("other/*.rs", None),
        ("openid", None),
    ],
)
def test_scope_is_read_as_smart_app_launch_writes_it(text: str, expected: ResourceScope | None) -> None:
    """http://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html."""
    assert smart_scopes.parse(text) == expected


@given(st.lists(SCOPES.map(str), max_size=4), st.lists(SCOPES.map(str), max_size=4), st.sampled_from(Role))
def test_grant_is_within_request_registration_and_role(
    asked: list[str], registered: list[str], role: Role
) -> None:
    granted = [*smart_scopes.resource_scopes(scopes.for_person(asked, registered, [role]))]
    for limit in (
        [*smart_scopes.resource_scopes(asked)],
        [*smart_scopes.resource_scopes(registered)],
        scopes.role_scopes()[role],
    ):
        assert all(any(each.is_within(bound) for bound in limit) for each in granted)


@given(
    st.builds(
        Requester,
        st.sampled_from(["system", "anonymous", "person", "client"]),
        st.text(),
        client=st.text(),
        roles=st.frozensets(st.sampled_from(Role)),
        scopes=st.none() | st.lists(st.text()).map(tuple),
        patient=st.text(),
        purpose=st.text(min_size=1),
    )
)
def test_requester_survives_being_kept_with_a_job(requester: Requester) -> None:
    kept = Requester.from_json(json.loads(json.dumps(requester.as_json())))
    assert kept == requester
    assert kept.is_party(requester)
    assert kept.is_party(replace(requester, session="another", roles=frozenset()))
    assert not kept.is_party(replace(requester, client=requester.client + "x"))


def test_only_clinical_roles_can_grant_writing_of_everything() -> None:
    everything = smart_scopes.parse("user/*.cruds")
    can = [role for role in Role if everything in scopes.role_scopes()[role]]
    assert can == [Role.CLINICIAN]
