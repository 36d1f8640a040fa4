"""The pages of consents and of emergency access, for whoever is signed in, under the real policy."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx import Response

from hie import app, wiring
from hie.core.access import SYSTEM, Requester, Role
from hie.core.clock import SystemClock
from hie.core.fhir.json import JsonObject, loads
from hie.core.settings import Settings
from hie.identity.tables import Account, Dependant
from hie.worker import deliver_all
from tests.hie.policy.city import CITIZEN, CLINICIAN, STRANGER, city, person
from tests.hie.policy.conftest import Known
from tests.hie.portal.browser import Browser

OFFICER = person(Role.SECURITY_OFFICER, id="a-9")
AGREED = {"number": "x", "reason_code": "ETREAT", "reason": "昏迷，家属不在场", "agreed": "yes"}


class Office:
    """The application for several readers, on one database."""

    def __init__(self, opened: ExitStack, exchange: wiring.Exchange) -> None:
        self.exchange = exchange
        self._opened = opened
        self._browsers: dict[Requester, Browser] = {}

    def of(self, who: Requester) -> Browser:
        """Return the browser of `who`."""
        if who not in self._browsers:
            built: FastAPI = app.build(self.exchange)
            built.add_middleware(Known, requester=who)
            self._browsers[who] = Browser(built)
        return self._browsers[who]

    def consents(self) -> list[JsonObject]:
        """Return the Consents that are stored, newest first."""
        with self.exchange.database.reading(requester=SYSTEM) as reading:
            found = self.exchange.repository.search(reading, "Consent", []).entries
        return [loads(each.resource.body or b"") for each in found]

    def records(self) -> list[JsonObject]:
        """Return the records of the audit trail that wait to be chained, about emergencies."""
        with self.exchange.database.transaction() as transaction:
            rows = transaction.connection.execute("SELECT body FROM audit_pending").fetchall()
        found = [loads(bytes(row[0])) for row in rows]
        return [each for each in found if each["kind"] == "break-glass"]


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[Office]:
    settings = Settings(var_dir=tmp_path, audit_folder=tmp_path / "audit")
    policy = wiring.policy(settings, SystemClock())
    with (
        ExitStack() as opened,
        wiring.build(settings, database_url=database_url, access=policy) as exchange,
    ):
        with exchange.database.transaction() as transaction:
            (result,) = exchange.repository.transact(transaction, [city()])
            assert result.error is None
        yield Office(opened, exchange)


def submit(browser: Browser, path: str, **fields: str) -> Response:
    """Return the page that a form leads to."""
    answer = browser.post(path, data=fields)
    assert answer.status_code == 303, answer.text
    return browser.get(answer.headers["location"])


def reads(office: Office, who: Requester, name: str) -> int:
    headers = {"Accept": "application/fhir+json"}
    return office.of(who).get(f"/fhir/{name}", headers=headers).status_code


def test_a_citizen_gives_a_consent_in_plain_words_and_withdraws_it(office: Office) -> None:
    citizen = office.of(CITIZEN)
    page = submit(citizen, "/my/consents", patient="x", kind="not", organization="h-x", what="results")
    assert "设置已保存" in page.text
    words = re.sub(r"<[^>]+>|\s+", "", page.text)
    assert "Hospitalx不可以查看" in words
    (consent,) = office.consents()
    assert office.exchange.repository.check(consent) == []
    assert reads(office, CLINICIAN, "Observation/o-x") == 404
    assert reads(office, CLINICIAN, "Condition/c-x") == 200
    page = submit(citizen, f"/my/consents/{consent['id']}/withdraw", patient="x")
    assert "已撤回，立即生效" in page.text
    assert office.consents()[0]["status"] == "inactive"
    assert reads(office, CLINICIAN, "Observation/o-x") == 200


def test_only_one_hospital_may_see_what_a_citizen_says(office: Office) -> None:
    page = submit(office.of(CITIZEN), "/my/consents", patient="x", kind="only", organization="h-y")
    assert "所有机构" in page.text
    assert reads(office, CLINICIAN, "Condition/c-x") == 404
    submit(office.of(CITIZEN), "/my/consents", patient="x", kind="only", organization="h-x")
    (second, first) = office.consents()
    submit(office.of(CITIZEN), f"/my/consents/{first['id']}/withdraw", patient="x")
    assert second["provision"]["provision"][0]["type"] == "permit"
    assert reads(office, CLINICIAN, "Condition/c-x") == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"patient": "y", "kind": "not"},
        {"patient": "x", "kind": "only"},
        {"patient": "x", "kind": "not", "what": "everything else"},
        {"patient": "x", "kind": "not", "until": "soon"},
    ],
    ids=["another's", "no organization", "unknown part", "no date"],
)
def test_what_is_no_consent_of_the_citizen_is_not_stored(office: Office, fields: dict[str, str]) -> None:
    page = submit(office.of(CITIZEN), "/my/consents", **fields)
    assert "未保存" in page.text
    assert office.consents() == []


def test_a_consent_of_another_is_not_withdrawn(office: Office) -> None:
    submit(office.of(CITIZEN), "/my/consents", patient="x", kind="not")
    (consent,) = office.consents()
    other = person(Role.CITIZEN, id="a-7", patient="y")
    assert office.of(other).post(f"/my/consents/{consent['id']}/withdraw").status_code == 404
    assert office.consents()[0]["status"] == "active"


def test_a_guardian_gives_a_consent_for_a_ward_below_the_age_of_its_own(office: Office) -> None:
    account, now = UUID(int=7), SystemClock().now()
    with office.exchange.database.transaction() as transaction:
        transaction.session.add(Account(id=account, name="guardian", created_at=now))
        transaction.session.flush()
        transaction.session.add(Dependant(account_id=account, patient_id="y"))
    guardian = person(Role.GUARDIAN, Role.CITIZEN, id=str(account), patient="x")
    page = office.of(guardian).get("/my/consents?patient=y")
    assert 'value="y" selected' in page.text
    said = submit(office.of(guardian), "/my/consents", patient="y", kind="not", what="mental")
    assert "设置已保存" in said.text
    (consent,) = office.consents()
    assert consent["patient"] == {"reference": "Patient/y"}
    assert {each["code"] for each in consent["provision"]["securityLabel"]} >= {"PSY", "MH"}


def test_an_emergency_is_opened_told_ended_and_reviewed(office: Office) -> None:
    doctor, officer = office.of(STRANGER), office.of(OFFICER)
    page = submit(doctor, "/emergency", **AGREED)
    assert "档案已打开" in page.text
    assert reads(office, STRANGER, "Observation/o-hiv") == 200
    assert deliver_all(office.exchange) > 0
    assert deliver_all(office.exchange) == 0
    notices = [each for each in office.records() if each["do"] == "notice"]
    assert [each["on"] for each in notices] == ["Patient/x"]
    inbox = office.of(CITIZEN).get("/my/notices").text
    assert "紧急调阅" in inbox
    assert "昏迷" not in inbox
    waiting = officer.get("/emergencies").text
    assert "昏迷，家属不在场" in waiting
    assert "仍在打开" in waiting
    (identity,) = set(re.findall(r"/emergency/([0-9a-f-]+)/end", page.text))
    assert "紧急调阅已结束" in submit(doctor, f"/emergency/{identity}/end").text
    said = submit(officer, f"/emergencies/{identity}", finding="unjustified", remark="无急诊记录")
    assert "审查结果已保存" in said.text
    again = submit(officer, f"/emergencies/{identity}", finding="justified", remark="改判")
    assert "已被审查" in again.text
    assert "无急诊记录" in doctor.get("/emergency").text
    kinds = [each["do"] for each in office.records()]
    assert kinds == ["break-glass", "notice", "break-glass-end", "break-glass-review"]


def test_a_citizen_reads_in_plain_words_what_became_of_an_emergency(office: Office) -> None:
    submit(office.of(STRANGER), "/emergency", **AGREED)
    deliver_all(office.exchange)
    office.exchange.auditing.collector.run()
    page = office.of(CITIZEN).get("/my/accesses").text
    assert "紧急调阅" in page
    assert "就紧急调阅发出通知" in page


def test_who_finds_no_patient_is_led_to_emergency_access(office: Office) -> None:
    assert 'href="/emergency"' in office.of(STRANGER).get("/patients?q=无人").text


def test_ending_an_emergency_closes_the_record(office: Office) -> None:
    doctor = office.of(STRANGER)
    page = submit(doctor, "/emergency", **AGREED)
    (identity,) = set(re.findall(r"/emergency/([0-9a-f-]+)/end", page.text))
    other = person(Role.CLINICIAN, id="a-8", practitioner="d-q")
    assert office.of(other).post(f"/emergency/{identity}/end").status_code == 404
    submit(doctor, f"/emergency/{identity}/end")
    assert reads(office, STRANGER, "Observation/o-hiv") == 404
    assert office.of(STRANGER).post(f"/emergency/{identity}/end").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {**AGREED, "agreed": ""},
        {**AGREED, "reason": " 急 "},
        {**AGREED, "reason_code": "HRESCH"},
        {**AGREED, "number": "nobody"},
    ],
    ids=["not agreed", "no words", "research", "nobody"],
)
def test_an_emergency_that_is_not_complete_opens_nothing(office: Office, fields: dict[str, str]) -> None:
    assert "未打开任何档案" in submit(office.of(STRANGER), "/emergency", **fields).text
    with office.exchange.database.transaction() as transaction:
        assert transaction.connection.execute("SELECT count(*) FROM break_glass").fetchone() == (0,)


def test_who_is_no_clinician_learns_by_no_emergency_whose_number_it_is(office: Office) -> None:
    for who in (CITIZEN, OFFICER):
        answers = {
            office.of(who).post("/emergency", data={**AGREED, "number": number}).status_code
            for number in ("x", "nobody")
        }
        assert answers == {403}
