"""Requests of persons: who may make them, what may follow, what is kept (个人信息保护法 art. 45 to 50)."""

from datetime import date
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from hie.core.access import Requester, Role
from hie.core.errors import ConflictError, ForbiddenError, NotFoundError, ParameterValueError
from hie.core.fhir.json import JsonObject, loads
from hie.rights.requests import LONGEST, RightsRequest, Wish
from hie.rights.rules import Action, Kind, State
from tests.hie.rights.city import (
    CITIZEN,
    CLINICIAN,
    DESK,
    ELDER,
    GUARDIAN,
    NEIGHBOUR,
    OFFICER,
    WARD_ACCOUNT,
    Town,
    person,
)


def ask(
    city: Town,
    kind: Kind,
    who: Requester = CITIZEN,
    patient: str = "x",
    *,
    reason: str = "",
    wish: Wish | None = None,
) -> RightsRequest:
    with city.acting(who) as transaction:
        return city.rights.request(transaction, kind, patient, reason=reason, wish=wish)


def act(city: Town, who: Requester, request: RightsRequest, action: Action, **other: str) -> RightsRequest:
    with city.acting(who) as transaction:
        return city.rights.act(transaction, request.id, action, **other)


def resource(city: Town, reference: str) -> JsonObject:
    kind, _, identity = reference.partition("/")
    with city.exchange.database.transaction() as transaction:
        stored = city.exchange.repository.read(transaction, kind, identity)
    found: JsonObject = loads(stored.body or b"{}")
    return found


def test_a_copy_is_asked_for_accepted_made_and_fetched_by_whoever_asked(city: Town) -> None:
    made = ask(city, Kind.COPY, reason="换医院")
    assert act(city, DESK, made, Action.ACCEPT).state is State.ACCEPTED
    with city.acting(CITIZEN) as transaction, pytest.raises(NotFoundError):
        city.rights.file(transaction, made.id, "record.json")
    assert city.work_jobs() == 1
    assert city.steps(made.id) == [
        ("request", "requested", "a-x", None),
        ("accept", "accepted", "d-1", None),
        ("complete", "completed", "hie", None),
    ]
    with city.acting(CITIZEN) as transaction:
        bundle = loads(city.rights.file(transaction, made.id, "record.json").read_bytes())
        page = city.rights.file(transaction, made.id, "record.html").read_text(encoding="utf-8")
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    held = [f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in bundle["entry"]]
    assert {"Patient/x", "Encounter/e-x", "Observation/o-x", "Condition/c-x"} <= set(held)
    assert len(held) == len(set(held))
    assert not [each for each in held if each.endswith(("-y", "/y"))]
    assert "示例x" in page
    assert "CANARY" not in page
    with city.acting(NEIGHBOUR) as transaction, pytest.raises(NotFoundError):
        city.rights.file(transaction, made.id, "record.json")
    with city.acting(DESK) as transaction, pytest.raises(NotFoundError):
        city.rights.file(transaction, made.id, "record.json")


def test_a_copy_is_offered_for_a_limited_time(city: Town) -> None:
    made = ask(city, Kind.COPY)
    act(city, DESK, made, Action.ACCEPT)
    city.work_jobs()
    city.clock.pass_days(2)
    with city.acting(CITIZEN) as transaction, pytest.raises(NotFoundError):
        city.rights.file(transaction, made.id, "record.json")


def test_a_correction_is_an_ordinary_update_with_its_provenance(city: Town) -> None:
    before = resource(city, "Patient/x")
    made = ask(city, Kind.CORRECTION, wish=Wish("Patient/x", "birthDate", "1980-05-02"))
    assert made.correction is not None
    assert made.correction.current == "1980-05-01"
    act(city, DESK, made, Action.ACCEPT)
    assert resource(city, "Patient/x") == before
    act(city, DESK, made, Action.COMPLETE)
    after = resource(city, "Patient/x")
    assert after["birthDate"] == "1980-05-02"
    version = int(after["meta"]["versionId"])
    assert version == int(before["meta"]["versionId"]) + 1
    with city.exchange.database.transaction() as transaction:
        (found,) = city.exchange.repository.search(
            transaction, "Provenance", [("target", f"Patient/x/_history/{version}")]
        ).entries
    provenance = loads(found.resource.body or b"{}")
    assert provenance["agent"][0]["onBehalfOf"] == {"reference": "Patient/x"}
    assert provenance["reason"][0]["coding"][0]["code"] == "PATRQT"


def test_a_correction_that_the_source_made_is_confirmed_and_nothing_is_written(city: Town) -> None:
    made = ask(city, Kind.CORRECTION, wish=Wish("Observation/o-x", "valueString", "12.1"))
    act(city, DESK, made, Action.ACCEPT)
    with pytest.raises(ForbiddenError):
        act(city, DESK, made, Action.COMPLETE)  # the card desk corrects identities only
    changed = {**resource(city, "Observation/o-x"), "valueString": "12.1"}
    with city.exchange.database.transaction() as transaction:
        entry = {"resource": changed, "request": {"method": "PUT", "url": "Observation/o-x"}}
        city.exchange.repository.transact(
            transaction, [{"resourceType": "Bundle", "type": "transaction", "entry": [entry]}]
        )
    version = resource(city, "Observation/o-x")["meta"]["versionId"]
    assert act(city, DESK, made, Action.COMPLETE).state is State.COMPLETED
    assert resource(city, "Observation/o-x")["meta"]["versionId"] == version
    with city.acting(CITIZEN) as transaction:
        assert (
            city.rights.view(transaction, made.id).steps[-1].remark == f"Observation/o-x/_history/{version}"
        )


def test_an_element_that_was_changed_meanwhile_is_not_corrected(city: Town) -> None:
    made = ask(city, Kind.CORRECTION, wish=Wish("Condition/c-x", "code.text", "another"))
    act(city, DESK, made, Action.ACCEPT)
    changed = {**resource(city, "Condition/c-x"), "code": {"text": "a third"}}
    with city.exchange.database.transaction() as transaction:
        entry = {"resource": changed, "request": {"method": "PUT", "url": "Condition/c-x"}}
        city.exchange.repository.transact(
            transaction, [{"resourceType": "Bundle", "type": "transaction", "entry": [entry]}]
        )
    with pytest.raises(ConflictError, match="was changed since"):
        act(city, DESK, made, Action.COMPLETE)


def test_a_refused_correction_keeps_the_statement_of_disagreement(city: Town) -> None:
    made = ask(city, Kind.CORRECTION, wish=Wish("Patient/x", "gender", "male"))
    with pytest.raises(ParameterValueError, match="is no ground"):
        act(city, OFFICER, made, Action.REJECT)
    with pytest.raises(ParameterValueError, match="is no ground"):
        act(city, OFFICER, made, Action.REJECT, ground="retention-inpatient")
    assert act(city, OFFICER, made, Action.REJECT, ground="verified").state is State.REJECTED
    with pytest.raises(ParameterValueError):
        act(city, CITIZEN, made, Action.DISAGREE, remark="  ")
    act(city, CITIZEN, made, Action.DISAGREE, remark="户口本上不是这样")
    with city.acting(OFFICER) as transaction:
        view = city.rights.view(transaction, made.id)
    assert view.request.statement == "户口本上不是这样"
    with pytest.raises(ConflictError):
        act(city, CITIZEN, made, Action.DISAGREE, remark="again")


def test_an_erasure_waits_for_the_end_of_retention(city: Town) -> None:
    made = ask(city, Kind.ERASURE)
    with pytest.raises(ConflictError, match="kept by law until 2041-02-01: retention-outpatient"):
        act(city, OFFICER, made, Action.ACCEPT)
    with city.acting(OFFICER) as transaction:
        refusal = city.rights.view(transaction, made.id).refusal
    assert refusal is not None
    assert (refusal.code, refusal.until) == ("retention-outpatient", date(2041, 2, 1))
    refused = act(city, OFFICER, made, Action.REJECT, ground=refusal.code)
    assert refused.state is State.REJECTED
    assert resource(city, "Patient/x")["id"] == "x"


def test_an_erasure_erases_what_was_written_in_requests_too(city: Town) -> None:
    other = ask(
        city, Kind.CORRECTION, ELDER, "z", wish=Wish("Patient/z", "gender", "male"), reason="a reason"
    )
    made = ask(city, Kind.ERASURE, ELDER, "z", reason="another reason")
    act(city, OFFICER, made, Action.ACCEPT)
    assert resource(city, "Patient/z")["id"] == "z"
    act(city, OFFICER, made, Action.COMPLETE)
    with pytest.raises(NotFoundError):
        resource(city, "Patient/z")
    with city.exchange.database.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT id, state, details, subject FROM rights_request WHERE patient = 'z'"
        ).fetchall()
    assert {row[0]: row[1:] for row in rows} == {
        made.id: ("completed", None, ""),
        other.id: ("cancelled", None, ""),
    }
    with city.acting(OFFICER) as transaction:
        assert [each.action for each in city.rights.view(transaction, made.id).steps] == [
            "request",
            "accept",
            "complete",
        ]


@pytest.mark.parametrize("who", [CITIZEN, DESK, GUARDIAN], ids=["citizen", "desk", "guardian"])
def test_only_the_security_officer_answers_an_erasure(city: Town, who: Requester) -> None:
    made = ask(city, Kind.ERASURE)
    with pytest.raises((ForbiddenError, NotFoundError)):
        act(city, who, made, Action.ACCEPT)
    assert city.steps(made.id) == [("request", "requested", "a-x", None)]


def test_a_guardian_asks_for_a_ward_until_it_is_of_age(city: Town) -> None:
    made = ask(city, Kind.COPY, GUARDIAN, "y")
    assert (made.patient, made.account) == ("y", WARD_ACCOUNT)
    with city.acting(GUARDIAN) as transaction:
        assert sorted(each["id"] for each in city.rights.patients(transaction)) == ["x", "y"]
    with city.acting(CITIZEN) as transaction:
        assert [each["id"] for each in city.rights.patients(transaction)] == ["x"]
    city.clock.pass_days(8 * 366)
    with pytest.raises(NotFoundError):
        ask(city, Kind.ERASURE, GUARDIAN, "y")
    city.clock.pass_days(-8 * 366)


@pytest.mark.parametrize(
    "who",
    [
        NEIGHBOUR,
        CLINICIAN,
        DESK,
        person("a-n", Role.CITIZEN),
        Requester("client", "his", organization="h-x"),
        Requester("person", "a-x", roles=frozenset({Role.CITIZEN}), patient="x", scopes=("patient/*.rs",)),
        Requester("anonymous", ""),
    ],
    ids=["neighbour", "clinician", "desk", "nobody's", "client", "application that reads", "anonymous"],
)
def test_nobody_asks_for_another_record(city: Town, who: Requester) -> None:
    with pytest.raises((ForbiddenError, NotFoundError)):
        ask(city, Kind.COPY, who, "x")


def test_who_treats_another_has_no_rights_of_the_other(city: Town) -> None:
    both = person("c-2", Role.CITIZEN, Role.CLINICIAN, patient="x", practitioner="d-y", organization="h-y")
    with city.acting(both) as transaction:
        city.exchange.repository.read(transaction, "Patient", "y")
    with pytest.raises(NotFoundError):
        ask(city, Kind.COPY, both, "y")


def test_an_application_of_full_reach_asks_for_its_person(city: Town) -> None:
    app = Requester(
        "person", "a-x", client="app", roles=CITIZEN.roles, patient="x", scopes=("patient/*.cruds",)
    )
    made = ask(city, Kind.COPY, app)
    act(city, CITIZEN, made, Action.CANCEL)


def test_a_request_of_another_is_as_if_it_never_was(city: Town) -> None:
    made = ask(city, Kind.COPY)
    for who in (NEIGHBOUR, CLINICIAN):
        with city.acting(who) as transaction, pytest.raises(NotFoundError):
            city.rights.view(transaction, made.id)
        with pytest.raises(NotFoundError):
            act(city, who, made, Action.CANCEL)
    with city.acting(CITIZEN) as transaction, pytest.raises(NotFoundError):
        city.rights.view(transaction, uuid4())


def test_nobody_answers_a_request_of_ones_own(city: Town) -> None:
    both = person("d-2", Role.CITIZEN, Role.CARD_DESK, patient="x")
    made = ask(city, Kind.COPY, both)
    with pytest.raises(ForbiddenError, match="one's own"):
        act(city, both, made, Action.ACCEPT)


def test_the_same_is_not_asked_for_twice_while_it_is_open(city: Town) -> None:
    made = ask(city, Kind.COPY)
    with pytest.raises(ConflictError):
        ask(city, Kind.COPY)
    act(city, CITIZEN, made, Action.CANCEL)
    assert ask(city, Kind.COPY).state is State.REQUESTED
    gender = Wish("Patient/x", "gender", "male")
    ask(city, Kind.CORRECTION, wish=gender)
    with pytest.raises(ConflictError):
        ask(city, Kind.CORRECTION, wish=gender)


def test_a_step_that_is_not_possible_leaves_everything_as_it_was(city: Town) -> None:
    made = ask(city, Kind.COPY)
    for action in (Action.COMPLETE, Action.RENEW):
        with pytest.raises(ConflictError):
            act(city, DESK, made, action)
    act(city, CITIZEN, made, Action.CANCEL)
    for action in (Action.ACCEPT, Action.COMPLETE, Action.RENEW):
        with pytest.raises(ConflictError):
            act(city, DESK, made, action)
    with pytest.raises(ConflictError):
        act(city, CITIZEN, made, Action.CANCEL)
    assert [step[0] for step in city.steps(made.id)] == ["request", "cancel"]


@pytest.mark.parametrize(
    ("wish", "fault"),
    [
        (Wish("Patient/x", "id", "z"), "for the server"),
        (Wish("Patient/x", "meta.security[0].code", "N"), "for the server"),
        (Wish("Patient/x", "birthdate", "1980"), "no element"),
        (Wish("Patient/x", "name", "someone"), "no element"),
        (Wish("Patient/x", "name[0]", "someone"), "no single value"),
        (Wish("Patient/x", "name[99999].text", "someone"), "no name"),
        (Wish("Patient/x", "name[7].text", "someone"), "no place"),
        (Wish("Patient/x", "../../x", "someone"), "no name"),
        (Wish("Patient/x", "a" * 300, "someone"), "at most"),
        (Wish("Patient/x", "active", "perhaps"), "no boolean"),
        (Wish("Patient/x", "multipleBirthInteger", "two"), "no integer"),
        (Wish("Patient/x", "birthDate", "1980-05-02"), "already"),
        (Wish("Patient/x", "gender", "x" * (LONGEST + 1)), "at most"),
        (Wish("Patient/x", "gender", "a\x00b"), "cannot be kept"),
        (Wish("Patient/x", "gender", "\ud800"), "cannot be kept"),
    ],
    ids=str,
)
def test_a_wish_that_cannot_be_is_refused(city: Town, wish: Wish, fault: str) -> None:
    with pytest.raises(ParameterValueError, match=fault):
        ask(city, Kind.CORRECTION, wish=wish)


def test_an_element_of_another_record_cannot_be_corrected(city: Town) -> None:
    with pytest.raises(NotFoundError):
        ask(city, Kind.CORRECTION, wish=Wish("Observation/o-y", "valueString", "1"))
    with pytest.raises(NotFoundError):
        ask(city, Kind.CORRECTION, wish=Wish("Patient/../../x", "gender", "male"))
    # a guardian reaches both records, and each request is about one of them
    with pytest.raises(ParameterValueError, match="not of this record"):
        ask(city, Kind.CORRECTION, GUARDIAN, "x", wish=Wish("Observation/o-y", "valueString", "1"))


def test_the_worklist_shows_each_desk_its_kinds_and_what_is_overdue(city: Town) -> None:
    copy, erasure = ask(city, Kind.COPY), ask(city, Kind.ERASURE)
    with city.acting(DESK) as transaction:
        assert [each.id for each in city.rights.list(transaction)] == [copy.id]
    with city.acting(OFFICER) as transaction:
        assert {each.id for each in city.rights.list(transaction)} == {copy.id, erasure.id}
        assert city.rights.list(transaction, is_overdue=True) == []
        assert city.rights.counts(transaction) == (2, 0)
    city.clock.pass_days(16)
    with city.acting(OFFICER) as transaction:
        overdue = city.rights.list(transaction, is_overdue=True)
        assert {each.id for each in overdue} == {copy.id, erasure.id}
        assert city.rights.counts(transaction) == (2, 2)
        assert city.rights.list(transaction, is_overdue=True, before=overdue[-1]) == []
    for who in (CITIZEN, CLINICIAN):
        with city.acting(who) as transaction, pytest.raises(ForbiddenError):
            city.rights.list(transaction)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM rights_step",
        "UPDATE rights_step SET remark = 'another'",
        "TRUNCATE rights_step",
        "TRUNCATE rights_receipt",
        "TRUNCATE rights_processing",
    ],
)
def test_history_receipts_and_register_are_append_only(city: Town, statement: LiteralString) -> None:
    ask(city, Kind.COPY)
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        city.exchange.database.transaction() as transaction,
    ):
        transaction.connection.execute(statement)


def test_every_step_stands_in_the_audit_trail_of_the_patient(city: Town) -> None:
    made = ask(city, Kind.COPY)
    act(city, OFFICER, made, Action.REJECT, ground="secrecy")
    city.exchange.auditing.collector.run()
    with city.exchange.database.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT interaction, agent, patient FROM audit_event WHERE interaction LIKE 'rights-%%'"
            " AND position(%s::bytea IN body) > 0 ORDER BY seq",
            (str(made.id).encode(),),
        ).fetchall()
    assert rows == [("rights-request", "Patient/x", "x"), ("rights-reject", "s-1", "x")]
