"""The operator sees every job, what to do about it, and no content of a record."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from hie import wiring
from hie.core.access import EVERYTHING, Attempt, Readable, Requester
from hie.core.errors import ForbiddenError
from hie.core.oversight import JobSummary
from hie.core.settings import Settings
from hie.portal.job_words import is_left_alone, progress, request_of, share
from hie.portal.language import Language
from tests.hie.portal.test_pages import chinese_in
from tests.hie.portal.work import PATIENT, Workplace

ALICE = Requester("person", "alice")
MISSING = UUID("00000000-0000-4000-8000-000000000000")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose jobs write into the test's folder."""
    return Settings(var_dir=tmp_path)


@pytest.fixture
def place(database_url: str, settings: Settings) -> Iterator[Workplace]:
    """The operator's workplace on a fresh database."""
    with wiring.build(settings, database_url=database_url) as exchange:
        yield Workplace.of(exchange)


def patient(identity: str) -> dict[str, object]:
    return {"resourceType": "Patient", "id": identity, "name": [{"text": PATIENT}]}


def rows(text: str) -> list[str]:
    """Return the ids of the jobs that a page lists, in order."""
    return re.findall(r'class="sender" href="/jobs/([^"]+)"', text)


def english(place: Workplace) -> None:
    place.browser.post("/language", data={"language": "en"})


def test_page_without_jobs_says_where_jobs_come_from(place: Workplace) -> None:
    text = place.browser.get("/jobs").text
    assert "还没有后台任务" in text
    assert "$export、$import、$reindex" in text


def test_finished_export_lists_its_files_to_who_asked_for_it(place: Workplace) -> None:
    for number in range(3):
        place.put(patient(f"p{number}"))
    job = place.begin("Patient/$export?_type=Patient")
    place.work()
    text = place.browser.get(f"/jobs/{job}").text
    assert "完成" in text
    assert "/fhir/Patient/$export?_type=Patient" in text
    address = re.search(rf'href="(/fhir/_jobs/{job}/[^"]+)" download', text)
    assert address is not None
    assert re.search(r'data-label="条数" class="figure">3<', text)
    fetched = place.fhir.get(address[1].removeprefix("/fhir/"))
    assert fetched.status_code == 200
    assert fetched.text.count(PATIENT) == 3
    assert PATIENT not in text


def test_deferred_search_is_shown_without_what_was_searched_for(place: Workplace) -> None:
    place.put(patient("p"))
    job = place.begin(f"Patient?name={PATIENT}&_count=5")
    for path in ("/jobs", f"/jobs/{job}"):
        text = place.browser.get(path).text
        assert "异步请求" in text
        assert PATIENT not in text
    assert "/fhir/Patient?name=…&amp;_count=5" in place.browser.get(f"/jobs/{job}").text


def test_filters_keep_the_jobs_of_a_state_and_of_a_kind(place: Workplace) -> None:
    done = place.begin("Patient?_count=1")
    place.work()
    export = place.begin("$export")
    waiting = place.begin("Patient?_count=2")
    assert rows(place.browser.get("/jobs").text) == [waiting, export, done]
    assert rows(place.browser.get("/jobs?state=queued").text) == [waiting, export]
    assert rows(place.browser.get("/jobs?kind=request").text) == [waiting, done]
    assert rows(place.browser.get("/jobs?state=queued&kind=request").text) == [waiting]
    text = place.browser.get("/jobs?state=failed&kind=import").text
    assert "没有符合条件的任务" in text
    assert place.browser.get("/jobs?state=sleeping").status_code == 400


def test_pages_hold_each_job_once_the_newest_first(place: Workplace) -> None:
    identities = [uuid4() for _ in range(120)]
    for identity in identities:
        place.enqueue(identity)
    found: list[str] = []
    path = "/jobs?state=queued"
    while path:
        text = place.browser.get(path).text
        found += rows(text)
        further = re.search(r'href="(/jobs\?[^"]+)" rel="next"', text)
        path = further[1].replace("&amp;", "&") if further else ""
    assert found == [str(each) for each in reversed(identities)]


def test_request_at_fault_says_that_its_sender_must_correct_it(place: Workplace) -> None:
    job = place.begin("Patient?birthdate=yesterday")
    place.work()
    text = place.browser.get(f"/jobs/{job}").text
    assert "请求本身有误" in text
    assert "yesterday" in text
    assert "is-silent" in place.browser.get("/jobs").text


def test_fault_of_the_exchange_says_where_to_look(place: Workplace) -> None:
    job = uuid4()
    place.enqueue(job, kind="import")
    place.work()
    text = place.browser.get(f"/jobs/{job}").text
    assert "查看后台进程日志" in text
    assert "请求本身有误" not in text


def test_job_of_another_is_shown_without_files_and_without_what_it_searched_for(place: Workplace) -> None:
    place.put(patient("p"))
    done, failed = uuid4(), uuid4()
    place.enqueue(done, kind="request", requester=ALICE, url="Patient")
    place.enqueue(failed, kind="request", requester=ALICE, url="Patient?birthdate=yesterday")
    place.work()
    text = place.browser.get(f"/jobs/{done}").text
    assert "Bundle.ndjson" in text
    assert "只有提交方可以下载" in text
    assert f"/fhir/_jobs/{done}" not in text
    text = place.browser.get(f"/jobs/{failed}").text
    assert "只答复给请求方" in text
    assert "yesterday" not in text


def test_job_that_nobody_works_raises_an_alarm(place: Workplace) -> None:
    job = place.begin("$export")
    for path in ("/jobs", f"/jobs/{job}"):
        assert 'role="alert"' not in place.browser.get(path).text
    place.age(job, 120)
    for path in ("/jobs", f"/jobs/{job}"):
        text = place.browser.get(path).text
        assert 'role="alert"' in text
        assert "hie worker" in text


def test_cancelled_job_stops_and_is_gone(place: Workplace) -> None:
    job = place.begin("$export")
    answer = place.browser.post(f"/jobs/{job}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?said=cancelled")
    assert place.state_of(job) == "cancelled"
    assert "任务已取消" in place.browser.get("/jobs?said=cancelled").text
    answer = place.browser.get(f"/jobs/{job}")
    assert answer.status_code == 404
    assert "如仍需要结果，请重新提交请求" in answer.text
    assert place.browser.post(f"/jobs/{job}/cancel").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}],
    ids=["cross-site", "same-site", "origin"],
)
def test_cancellation_from_another_site_changes_nothing(place: Workplace, headers: dict[str, str]) -> None:
    job = place.begin("$export")
    assert place.browser.post(f"/jobs/{job}/cancel", headers=headers).status_code == 400
    assert place.state_of(job) == "queued"
    assert place.browser.get(f"/jobs/{job}/cancel").status_code == 405


@pytest.mark.parametrize("identity", ["x", str(MISSING)])
def test_unknown_job_is_not_found(place: Workplace, identity: str) -> None:
    answer = place.browser.get(f"/jobs/{identity}")
    assert answer.status_code == 404
    assert 'href="/jobs"' in answer.text


class NoOversight:
    """Permits everything but to look after the jobs of others."""

    def readable(self, requester: Requester, resource_type: str) -> Readable:  # noqa: ARG002 - the port's words
        """Return EVERYTHING."""
        return EVERYTHING

    def decide(self, requester: Requester, attempt: Attempt) -> None:  # noqa: ARG002 - the port's words
        """Refuse "$jobs" and "$cancel-job"."""
        if attempt.interaction in ("$jobs", "$cancel-job"):
            raise ForbiddenError


def test_policy_decides_who_looks_after_jobs(database_url: str, settings: Settings) -> None:
    with wiring.build(settings, database_url=database_url, access=NoOversight()) as exchange:
        place = Workplace.of(exchange)
        job = place.begin("$export")
        for path in ("/jobs", f"/jobs/{job}"):
            answer = place.browser.get(path)
            assert answer.status_code == 403
            assert "<h1>无权访问</h1>" in answer.text
            assert "批量导出" not in answer.text
        assert place.browser.post(f"/jobs/{job}/cancel").status_code == 403
        assert place.state_of(job) == "queued"


def test_pages_of_jobs_are_whole_in_both_languages(place: Workplace) -> None:
    place.put(patient("p"))
    jobs = [place.begin("$export"), place.begin("Patient?birthdate=x"), place.begin("Patient")]
    reindex = place.fhir.post("$reindex", headers={"Prefer": "respond-async"})
    jobs.append(reindex.headers["Content-Location"].rpartition("/")[2])
    place.work()
    jobs.append(place.begin("$export"))
    paths = ["/jobs", "/jobs?state=queued", "/jobs?said=cancelled", *(f"/jobs/{job}" for job in jobs)]
    for path in paths:
        text = place.browser.get(path).text
        assert re.search(r"resources (written|read|indexed)|waiting for|the answer", text) is None, path
    english(place)
    for path in paths:
        answer = place.browser.get(path)
        assert answer.status_code == 200
        assert chinese_in(answer.text) == [], path


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/fhir/$export", "/fhir/$export"),
        (
            "http://h/fhir/Group/g1/$export?_type=Patient&_typeFilter=Patient%3Fname%3DX",
            "/fhir/Group/…/$export?_type=Patient&_typeFilter=…",
        ),
        ("http://h/fhir/Patient/110101/_history/3", "/fhir/Patient/…/_history/…"),
        (
            "https://h/fhir/Patient?identifier=s|110101&_elements=id",
            "/fhir/Patient?identifier=…&_elements=id",
        ),
        ("", ""),
    ],
)
def test_request_is_shown_without_ids_and_values(url: str, shown: str) -> None:
    assert request_of(url) == shown


def test_progress_is_said_in_the_language_of_the_page() -> None:
    assert progress("1,200 of 3,400 resources written", Language.ZH) == "已写出 1,200 / 3,400 条"
    assert progress("1,200 of 3,400 resources written", Language.EN) == "1,200 of 3,400 resources written"
    assert progress("something new", Language.ZH) == "something new"
    assert share("1,200 of 3,400 resources written") == (1200, 3400)
    assert share("0 of 0 resources written") is None
    assert share("7 resources read") is None


@pytest.mark.parametrize(
    ("state", "is_held", "seconds", "is_alone"),
    [
        ("queued", False, 30, False),
        ("queued", False, 61, True),
        ("running", True, 3600, False),
        ("running", False, 1, True),
        ("done", False, 3600, False),
        ("failed", False, 3600, False),
    ],
)
def test_job_is_left_alone_when_no_worker_holds_it(
    *, state: str, is_held: bool, seconds: int, is_alone: bool
) -> None:
    now = datetime(2026, 3, 10, tzinfo=UTC)
    begun = now - timedelta(seconds=seconds)
    assert (
        is_left_alone(JobSummary(MISSING, "export", state, "", 0, is_held, begun, None, None), now)
        is is_alone
    )
