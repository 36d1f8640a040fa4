"""The pages of rights: the citizen's, the desk's, the register's, in both languages."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from httpx import Response

from hie.core.access import Requester
from hie.rights.processing import REQUIRED
from hie.rights.rules import Kind
from tests.fhir_server.bad_input.api import Client
from tests.hie.rights.city import CITIZEN, CLINICIAN, DESK, GUARDIAN, NEIGHBOUR, OFFICER, Town
from tests.hie.rights.serving import FORM, As, serving


@pytest.fixture(scope="module")
def acting(a_town: Town) -> Iterator[As]:
    """A client for each requester."""
    with serving(a_town) as client:
        yield client


def page(client: Client, path: str, language: str = "zh-CN") -> str:
    answer = client.request("GET", path, headers={"accept": "text/html", "cookie": f"language={language}"})
    assert answer.status_code == 200, answer.text
    return answer.text


def send(client: Client, path: str, **fields: str) -> Response:
    return client.request("POST", path, content=urlencode(fields).encode(), headers=FORM)


def newest(city: Town, kind: Kind) -> str:
    with city.exchange.database.transaction() as transaction:
        row = transaction.connection.execute(
            "SELECT id FROM rights_request WHERE kind = %s ORDER BY made_at DESC, id DESC LIMIT 1", (kind,)
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_citizen_asks_the_desk_answers_and_the_citizen_fetches(acting: As, city: Town) -> None:
    answer = send(acting(CITIZEN), "/my/rights/requests", kind="copy", patient="x", reason="<b>换医院</b>")
    assert answer.headers["location"] == "/my/rights?patient=x&said=requested"
    shown = page(acting(CITIZEN), answer.headers["location"])
    assert "请求已提交。" in shown
    assert "&lt;b&gt;换医院&lt;/b&gt;" in shown
    identity = newest(city, Kind.COPY)
    assert f"/rights/{identity}" in page(acting(DESK), "/rights")
    assert "受理并制作副本" in page(acting(DESK), f"/rights/{identity}")
    answer = send(acting(DESK), f"/rights/{identity}/steps", action="accept")
    assert answer.headers["location"] == f"/rights/{identity}?said=done"
    city.work_jobs()
    shown = page(acting(CITIZEN), "/my/rights")
    (link,) = re.findall(r'href="(/my/rights/requests/[^"]*record\.html)"', shown)
    copied = acting(CITIZEN).get(link)
    assert copied.headers["content-disposition"] == 'attachment; filename="health-record.html"'
    assert "sandbox" in copied.headers["content-security-policy"]
    assert acting(NEIGHBOUR).get(link).status_code == 404


def test_a_correction_is_chosen_among_the_elements_of_a_record(acting: As, city: Town) -> None:
    shown = page(acting(CITIZEN), "/my/rights/correction?patient=x")
    assert '<option value="birthDate">1980-05-01</option>' in shown
    assert "CANARY" not in shown
    shown = page(acting(CITIZEN), "/my/rights/correction?patient=x&resource=Observation/o-x")
    assert '<option value="valueString">' in shown
    assert acting(CITIZEN).get("/my/rights/correction?resource=Observation/o-y").status_code == 404
    fields = {"kind": "correction", "patient": "x", "resource": "Patient/x", "element": "birthDate"}
    answer = send(acting(CITIZEN), "/my/rights/requests", **fields, wished="1980-05-01")
    assert answer.headers["location"].endswith("said=value")
    answer = send(acting(CITIZEN), "/my/rights/requests", **fields, wished="1980-05-03")
    assert answer.headers["location"].endswith("said=requested")
    identity = newest(city, Kind.CORRECTION)
    answer = send(acting(DESK), f"/rights/{identity}/steps", action="reject", ground="no such ground")
    assert answer.headers["location"].endswith("said=value")
    send(acting(DESK), f"/rights/{identity}/steps", action="reject", ground="verified", remark="户口本一致")
    shown = page(acting(CITIZEN), "/my/rights")
    assert "个人信息保护法第四十六条第二款" in shown
    assert "户口本一致" in shown
    send(acting(CITIZEN), f"/my/rights/requests/{identity}/steps", action="disagree", remark="我不同意")
    assert "我不同意" in page(acting(DESK), f"/rights/{identity}")


def test_a_guardian_chooses_whose_record(acting: As) -> None:
    shown = page(acting(GUARDIAN), "/my/rights?patient=y")
    assert re.search(r'href="/my/rights\?patient=y" aria-current="true"', shown)
    assert 'name="patient" value="y"' in shown
    # who is no ward's is not chosen by its address
    assert 'name="patient" value="y"' not in page(acting(CITIZEN), "/my/rights?patient=y")


def test_the_register_is_kept_by_the_officer_and_makes_the_privacy_notice(acting: As) -> None:
    fields = dict.fromkeys(REQUIRED, "诊疗共享活动")
    assert send(acting(OFFICER), "/processing", name="only").headers["location"] == "/processing?said=value"
    made = send(acting(OFFICER), "/processing", **fields).headers["location"].partition("?")[0]
    assert "诊疗共享活动" in page(acting(CITIZEN), "/privacy")
    answer = send(acting(OFFICER), made, **{**fields, "recipients": "又一处"}, version="1")
    assert answer.headers["location"].endswith("said=kept")
    answer = send(acting(OFFICER), made, **fields, version="1")
    assert answer.headers["location"].endswith("said=conflict")
    assert "又一处" in page(acting(OFFICER), made)
    send(acting(OFFICER), f"{made}/retirement", version="2")
    assert "诊疗共享活动" not in page(acting(CITIZEN), "/privacy")
    assert "已终止" in page(acting(OFFICER), "/processing")
    assert (
        acting(OFFICER).get("/processing/export?charset=gb18030").content.decode("gb18030").count("\n") >= 2
    )


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_page_speaks_both_languages(acting: As, city: Town, language: str) -> None:
    send(acting(CITIZEN), "/my/rights/requests", kind="erasure", patient="x")
    identity = newest(city, Kind.ERASURE)
    for who, path in (
        (CITIZEN, "/my/rights"),
        (CITIZEN, "/my/rights/correction?patient=x"),
        (OFFICER, "/rights"),
        (OFFICER, "/rights?show=overdue"),
        (OFFICER, f"/rights/{identity}"),
        (OFFICER, "/processing"),
        (CITIZEN, "/privacy"),
    ):
        shown = page(acting(who), path, language)
        assert f'<html lang="{language}">' in shown
        if language == "en":
            main = re.search(r'<main id="main".*?</main>', shown, re.DOTALL)
            assert main is not None
            # what persons wrote, names of statutes and of what the city calls itself stay Chinese
            own = (
                r"<option.*?</option>|<dd.*?</dd>|<p class=\"breaking\">.*?</p>|<p class=\"notice.*?</p>"
                r"|示例x|诊疗共享活动"
            )
            words = re.sub(own, "", main[0], flags=re.DOTALL)
            assert re.findall(r"[\u4e00-\u9fff]{2,}", words) == [], path


@pytest.mark.parametrize(
    ("who", "path"),
    [
        (CLINICIAN, "/my/rights"),
        (DESK, "/my/rights"),
        (CITIZEN, "/rights"),
        (CLINICIAN, "/rights"),
        (CITIZEN, "/processing"),
        (DESK, "/processing"),
        (DESK, "/processing/export"),
    ],
    ids=str,
)
def test_pages_of_others_are_refused(acting: As, who: Requester, path: str) -> None:
    assert acting(who).get(path).status_code == 403


@pytest.mark.parametrize(
    "path", ["/my/rights/requests", "/processing", "/rights/00000000-0000-0000-0000-000000000000/steps"]
)
def test_a_form_of_another_site_is_refused(acting: As, path: str) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
        answer = acting(OFFICER).request(
            "POST",
            path,
            content=urlencode({"kind": "copy", "patient": "x", "action": "accept"}).encode(),
            headers={**FORM, **headers},
        )
        assert answer.status_code == 400
