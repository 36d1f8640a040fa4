"""REST of the rights of persons, as a client meets it, bad input first."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from hie.core.access import Requester
from hie.core.fhir.json import Json, dumps, loads
from hie.rights.processing import REQUIRED
from hie.rights.requests import LONGEST
from tests.hie.rights.city import CITIZEN, CLINICIAN, DESK, NEIGHBOUR, OFFICER, Town
from tests.hie.rights.serving import FORM, As, get, post, serving

REQUESTS = "/api/rights/requests"


@pytest.fixture(scope="module")
def acting(a_town: Town) -> Iterator[As]:
    """A client for each requester."""
    with serving(a_town) as client:
        yield client


def asked(acting: As, kind: str = "copy", who: Requester = CITIZEN, **other: Json) -> str:
    status, made = post(acting(who), REQUESTS, {"kind": kind, "patient": "x", **other})
    assert status == 201, made
    return str(made["id"])


def step(acting: As, who: Requester, identity: str, action: str, **other: str) -> tuple[int, Json]:
    return post(acting(who), f"{REQUESTS}/{identity}/steps", {"action": action, **other})


@pytest.mark.usefixtures("city")
def test_a_request_goes_its_way_over_rest(acting: As, city: Town) -> None:
    identity = asked(acting, reason="换医院")
    status, listed = get(acting(DESK), REQUESTS)
    assert status == 200
    assert [each["id"] for each in listed["requests"]] == [identity]
    assert step(acting, DESK, identity, "accept")[0] == 200
    city.work_jobs()
    status, shown = get(acting(CITIZEN), f"{REQUESTS}/{identity}")
    assert (status, shown["state"], shown["copy"]["files"]) == (
        200,
        "completed",
        ["record.json", "record.html"],
    )
    answer = acting(CITIZEN).get(f"{REQUESTS}/{identity}/copy/record.json")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="health-record.json"'
    assert answer.headers["cache-control"] == "no-store"
    assert loads(answer.content)["resourceType"] == "Bundle"
    status, task = get(acting(CITIZEN), f"{REQUESTS}/{identity}?form=task")
    assert (status, task["resourceType"], task["status"]) == (200, "Task", "completed")
    assert city.exchange.repository.check(task) == []


@pytest.mark.usefixtures("city")
@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..%2f..%2fsecret",
        "record.json%0d%0aSet-Cookie:%20a=b",
        'record.json";x="',
        "record.pdf",
        "%00",
    ],
)
def test_a_copy_has_two_files_and_no_other_name_is_one(acting: As, city: Town, name: str) -> None:
    identity = asked(acting)
    step(acting, DESK, identity, "accept")
    city.work_jobs()
    answer = acting(CITIZEN).get(f"{REQUESTS}/{identity}/copy/{name}")
    assert answer.status_code in (400, 404)
    assert "set-cookie" not in answer.headers


@pytest.mark.usefixtures("city")
def test_a_request_of_another_is_not_found_by_any_way(acting: As) -> None:
    identity = asked(acting)
    for who in (NEIGHBOUR, CLINICIAN):
        for path in ("", "?form=task", "/copy/record.json"):
            assert acting(who).get(f"{REQUESTS}/{identity}{path}").status_code in (403, 404)
        assert step(acting, who, identity, "cancel")[0] == 404
        assert step(acting, who, identity, "accept")[0] == 404
    assert get(acting(CITIZEN), f"{REQUESTS}/{uuid4()}")[0] == 404
    assert get(acting(CITIZEN), f"{REQUESTS}/1'%20OR%201=1")[0] == 400
    assert get(acting(CITIZEN), f"{REQUESTS}/{identity}")[1]["state"] == "requested"


@pytest.mark.usefixtures("city")
def test_sent_twice_it_is_made_once(acting: As) -> None:
    asked(acting)
    status, outcome = post(acting(CITIZEN), REQUESTS, {"kind": "copy", "patient": "x"})
    assert (status, outcome["issue"][0]["code"]) == (409, "conflict")
    assert len(get(acting(CITIZEN), f"{REQUESTS}?own=true")[1]["requests"]) >= 1
    assert len(get(acting(DESK), REQUESTS)[1]["requests"]) == 1


@pytest.mark.usefixtures("city")
@pytest.mark.parametrize(
    ("who", "action", "status"),
    [
        (DESK, "complete", 409),
        (DESK, "renew", 409),
        (DESK, "cancel", 403),
        (CITIZEN, "accept", 403),
        (CITIZEN, "disagree", 409),
        (DESK, "request", 403),
        (DESK, "sudo", 400),
        (DESK, "reject", 400),
    ],
    ids=["complete", "renew", "cancel", "accept", "disagree", "request", "sudo", "reject without ground"],
)
def test_a_state_is_not_jumped_over(acting: As, who: Requester, action: str, status: int) -> None:
    identity = asked(acting)
    assert step(acting, who, identity, action)[0] == status
    shown = get(acting(CITIZEN), f"{REQUESTS}/{identity}")[1]
    assert (shown["state"], len(shown["history"])) == ("requested", 1)


@pytest.mark.usefixtures("city")
@pytest.mark.parametrize(
    "body",
    [
        {"kind": "copy", "patient": "x", "reason": "x" * (LONGEST + 1)},
        {"kind": "copy", "patient": "x" * 65},
        {"kind": "copy", "patient": "x", "state": "completed"},
        {"kind": "copy", "patient": "x", "account": "another"},
        {"kind": "transfer", "patient": "x"},
        {"kind": "copy"},
        {"kind": "copy", "patient": "x", "element": "birthDate", "resource": "Patient/x", "wished": "1"},
        {"kind": "correction", "patient": "x"},
        {"kind": "copy", "patient": "x", "reason": "a\x00b"},
        ["copy"],
    ],
    ids=[
        "long reason",
        "long id",
        "state",
        "account",
        "kind",
        "no patient",
        "element of a copy",
        "no element",
        "NUL",
        "list",
    ],
)
def test_a_request_that_is_none_is_refused_and_nothing_is_kept(acting: As, city: Town, body: Json) -> None:
    def count() -> int:
        with city.exchange.database.transaction() as transaction:
            row = transaction.connection.execute("SELECT count(*) FROM rights_request").fetchone()
        return int(row[0]) if row else -1

    before = count()
    status, outcome = post(acting(CITIZEN), REQUESTS, body)
    assert (status, outcome["resourceType"]) == (400, "OperationOutcome")
    assert count() == before


@pytest.mark.usefixtures("city")
@pytest.mark.parametrize("headers", [FORM, {"content-type": "text/plain"}, {}], ids=["form", "text", "none"])
def test_what_a_form_of_another_site_can_send_is_not_taken(acting: As, headers: dict[str, str]) -> None:
    body = dumps({"kind": "copy", "patient": "x"})
    assert acting(CITIZEN).request("POST", REQUESTS, content=body, headers=headers).status_code == 415


@pytest.mark.usefixtures("city")
def test_the_register_over_rest_is_the_officers_and_leaves_no_member_unread(acting: As) -> None:
    path = "/api/rights/processing"
    content = dict.fromkeys(REQUIRED, "x")
    assert post(acting(CITIZEN), path, {"content": content})[0] == 403
    assert post(acting(OFFICER), path, {"content": {**content, "id": "1"}})[0] == 400
    status, made = post(acting(OFFICER), path, {"content": content})
    assert (status, made["version"]) == (201, 1)
    status, ended = post(acting(OFFICER), f"{path}/{made['id']}/retirement", {"version": 1})
    assert (status, ended["state"]) == (200, "retired")
    assert post(acting(OFFICER), f"{path}/{made['id']}/retirement", {"version": 2})[0] == 409
    assert len(get(acting(OFFICER), f"{path}/{made['id']}")[1]["versions"]) == 2
    for charset in ("utf-8", "gb18030"):
        answer = acting(OFFICER).get(f"{path}/export?format=csv&charset={charset}")
        assert answer.headers["content-type"] == f"text/csv; charset={charset}"
        assert answer.headers["content-disposition"] == 'attachment; filename="processing-register.csv"'
    assert acting(OFFICER).get(f"{path}/export?charset=utf-7").status_code == 400
    assert acting(DESK).get(f"{path}/export").status_code == 403


@pytest.mark.usefixtures("city")
def test_receipts_of_another_are_not_found(acting: As) -> None:
    assert get(acting(NEIGHBOUR), "/api/rights/receipts?patient=x")[0] == 404
    assert get(acting(CLINICIAN), "/api/rights/receipts?patient=x")[0] == 403
    assert get(acting(CITIZEN), "/api/rights/receipts?patient=x") == (200, {"receipts": []})
    assert get(acting(CITIZEN), f"/api/rights/receipts/{uuid4()}")[0] == 404
