"""The pages of the audit trail: the auditor's, the citizen's with its complaints, the security officer's."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import Response

from hie import wiring
from hie.core.access import Requester, Role
from hie.core.audit.record import Record
from hie.core.settings import Settings
from hie.core.web import errors
from hie.portal import access_words, router
from hie.portal.language import Language, say
from tests.hie.portal.browser import Browser

NOON = datetime(2026, 3, 4, 4, tzinfo=UTC)
DOCTOR = Requester(
    "person",
    "u-1",
    client="ward-app",
    roles=frozenset({Role.CLINICIAN}),
    practitioner="dr-1",
    organization="h-1",
)
CITIZEN = Requester("person", "c-1", roles=frozenset({Role.CITIZEN}), patient="p1")
AUDITOR = Requester("person", "a-1", roles=frozenset({Role.AUDITOR}))
OFFICER = Requester("person", "s-1", roles=frozenset({Role.SECURITY_OFFICER}))


def record(minute: int, patient: str, **other: object) -> Record:
    given = {"target": "Observation/o1", "requester": DOCTOR, "interaction": "read", "action": "R", **other}
    return Record(
        "rest",
        recorded=NOON + timedelta(minutes=minute),
        patients=(patient,),
        address="10.0.0.8",
        id=f"record-{patient}-{minute}",
        **given,  # type: ignore[arg-type] # what a test varies
    )


@pytest.fixture
def exchange(database_url: str, tmp_path: Path) -> Iterator[wiring.Exchange]:
    settings = Settings(_env_file=None, var_dir=tmp_path, audit_folder=tmp_path / "audit")
    with wiring.build(settings, database_url=database_url) as built:
        _fill(built)
        yield built


def _fill(built: wiring.Exchange) -> None:
    """Store whom the records name, and chain four of them."""
    with built.database.transaction() as transaction:
        built.repository.transact(
            transaction,
            [
                {
                    "resourceType": "Bundle",
                    "type": "transaction",
                    "entry": [
                        {
                            "resource": {
                                "resourceType": "Practitioner",
                                "id": "dr-1",
                                "name": [{"family": "李", "given": ["医生"]}],
                            },
                            "request": {"method": "PUT", "url": "Practitioner/dr-1"},
                        },
                        {
                            "resource": {"resourceType": "Organization", "id": "h-1", "name": "第一医院"},
                            "request": {"method": "PUT", "url": "Organization/h-1"},
                        },
                    ],
                }
            ],
        )
        for each in (
            record(1, "p1"),
            record(2, "p1", requester=CITIZEN, target="Patient/p1"),
            record(3, "p1", status=403, requester=Requester("client", "insurer"), interaction="search-type"),
            record(4, "p2"),
        ):
            transaction.record(each)
    built.auditing.collector.run()


def browser(exchange: wiring.Exchange, requester: Requester | None) -> Browser:
    """Return a browser whose reader is `requester`; without authentication if that is None."""
    application = FastAPI()

    async def as_requester(request: Request, answer: RequestResponseEndpoint) -> Response:
        if requester is not None:
            request.state.requester = requester
        return await answer(request)

    application.add_middleware(BaseHTTPMiddleware, dispatch=as_requester)
    errors.install(application)
    router.install(
        application,
        router.Parts(
            store=exchange.repository,
            database=exchange.database,
            jobs=exchange.jobs,
            subscriptions=exchange.subscriptions,
            emergency=exchange.emergency_access,
            projects=exchange.privacy.projects,
            project_jobs=exchange.project_jobs,
            clock=exchange.clock,
            zone=exchange.settings.zone,
        ),
    )
    return Browser(application)


def rows(text: str) -> list[str]:
    """Return the texts of the rows of the first table."""
    body = text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        " ".join(re.sub(r"<details>.*?</details>", " ", row, flags=re.DOTALL).replace("<", " <").split())
        for row in body.split("</tr>")[:-1]
    ]


def words(row: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", row).split())


def test_citizen_reads_in_plain_words_who_looked(exchange: wiring.Exchange) -> None:
    answer = browser(exchange, CITIZEN).get("/my/accesses")
    assert answer.status_code == 200
    assert [words(row) for row in rows(answer.text)] == [
        "2026-03-04 12:03 insurer 检索到：检验与测量结果 被拒绝 诊疗",
        "2026-03-04 12:02 您本人 查看：个人信息 诊疗",
        "2026-03-04 12:01 李医生 医生 第一医院 查看：检验与测量结果 诊疗",
    ]
    assert "p2" not in answer.text


def test_citizen_sees_no_other_record_whatever_the_address_says(exchange: wiring.Exchange) -> None:
    answer = browser(exchange, CITIZEN).get("/my/accesses?patient=p2")
    assert "12:04" not in answer.text
    assert len(rows(answer.text)) == 3


@pytest.mark.parametrize("requester", [DOCTOR, AUDITOR, Requester("client", "x", patient="p1")])
def test_page_of_citizens_is_for_citizens(exchange: wiring.Exchange, requester: Requester) -> None:
    assert browser(exchange, requester).get("/my/accesses").status_code == 403


def test_complaint_goes_to_the_security_officer_and_its_answer_to_the_citizen(
    exchange: wiring.Exchange,
) -> None:
    citizen, officer = browser(exchange, CITIZEN), browser(exchange, OFFICER)
    sent = citizen.post("/my/accesses/complaints", data={"event": "record-p1-1", "reason": "不认识这位医生"})
    assert sent.status_code == 303
    assert "15 天内答复" in citizen.get(sent.headers["Location"]).text
    page = officer.get("/complaints").text
    assert "不认识这位医生" in page
    assert "李医生" in page
    answered = officer.post("/complaints/1", data={"text": "该医生参与了会诊"})
    assert answered.headers["Location"] == "/complaints?said=answered"
    assert officer.post("/complaints/1", data={"text": "again"}).headers["Location"].endswith("said=conflict")
    assert "该医生参与了会诊" in citizen.get("/my/accesses").text
    assert "没有待答复的投诉" in officer.get("/complaints").text


def test_complaint_about_an_access_to_another_record_is_refused(exchange: wiring.Exchange) -> None:
    citizen = browser(exchange, CITIZEN)
    answer = citizen.post("/my/accesses/complaints", data={"event": "record-p2-4", "reason": "x"})
    assert answer.status_code == 404
    assert "没有待答复的投诉" in browser(exchange, OFFICER).get("/complaints").text


def test_form_of_another_site_is_refused(exchange: wiring.Exchange) -> None:
    citizen = browser(exchange, CITIZEN)
    answer = citizen.post(
        "/my/accesses/complaints", data={"reason": "x"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 400


def test_auditor_searches_the_trail_and_sees_how_the_chain_stands(exchange: wiring.Exchange) -> None:
    auditor = browser(exchange, AUDITOR)
    page = auditor.get("/audit").text
    with exchange.database.transaction() as transaction:
        (head,) = transaction.connection.execute("SELECT hash FROM audit_chain").fetchone() or (b"",)
    assert head.hex() in page
    assert len(rows(page)) == 4
    assert len(rows(auditor.get("/audit?patient=p2").text)) == 1
    assert len(rows(auditor.get("/audit?agent=Practitioner/dr-1").text)) == 2
    assert len(rows(auditor.get("/audit?failures=1").text)) == 1
    assert len(rows(auditor.get("/audit?since=2026-03-05").text)) == 0
    assert len(rows(auditor.get("/audit?since=2026-03-04&until=2026-03-04").text)) == 4
    assert auditor.get("/audit?since=yesterday").status_code == 400
    assert auditor.get("/audit?after=nowhere").status_code == 400


@pytest.mark.parametrize("path", ["/audit", "/complaints"])
@pytest.mark.parametrize("requester", [DOCTOR, CITIZEN])
def test_pages_of_auditors_are_refused_to_others(
    exchange: wiring.Exchange, path: str, requester: Requester
) -> None:
    assert browser(exchange, requester).get(path).status_code == 403


def test_pages_go_on_where_one_ends(exchange: wiring.Exchange) -> None:
    with exchange.database.transaction() as transaction:
        for minute in range(100, 145):
            transaction.record(record(minute, "p9"))
    exchange.auditing.collector.run()
    reader = browser(exchange, None)
    first = reader.get("/my/accesses?patient=p9").text
    assert len(rows(first)) == 30
    found = re.search(r'href="(/my/accesses\?[^"]*after=[^"]*)"', first)
    assert found is not None
    second = reader.get(found[1].replace("&amp;", "&")).text
    assert len(rows(second)) == 15
    assert "2026-03-04 13:54" in second


def test_every_word_of_the_pages_is_there_in_both_languages() -> None:
    groups = {
        "access-deed": access_words.DEEDS,
        "access-outcome": access_words.OUTCOMES,
        "access-who": access_words.WHO,
        "access-type": access_words.TYPES,
        "access-purpose": access_words.PURPOSES,
    }
    for group, codes in groups.items():
        for code in codes:
            for language in Language:
                assert say(f"{group}.{code}", language)
