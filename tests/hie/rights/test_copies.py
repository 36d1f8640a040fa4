"""Copies of records: whole over any number of pages, the same if a step is done twice, readable."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.bulk.record_copy import BUNDLE, DOCUMENT, KIND
from fhir_server.jobs import queue
from fhir_server.jobs.job import Work
from hie.core.fhir.json import JsonObject, loads
from hie.rights.readable import ReadableRecord
from hie.rights.rules import Action, Kind
from tests.conftest import fresh_database
from tests.hie.rights.city import CITIZEN, DESK, Town, town

READER = ReadableRecord(ZoneInfo("Asia/Shanghai"))


@pytest.fixture(scope="module")
def small_pages(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town whose pages hold two resources."""
    folder: Path = tmp_path_factory.mktemp("var")
    with (
        fresh_database(server_url, template) as url,
        town(url, folder, page_size=2, page_size_limit=2) as opened,
    ):
        yield opened


def test_a_copy_is_whole_over_pages_and_the_same_if_every_step_is_done_twice(small_pages: Town) -> None:
    city = small_pages
    with city.acting(CITIZEN) as transaction:
        made = city.rights.request(transaction, Kind.COPY, "x")
    with city.acting(DESK) as transaction:
        job_id = city.rights.act(transaction, made.id, Action.ACCEPT).job
    folder = queue.folder_of(city.exchange.settings.jobs, made.id)
    folder.mkdir(parents=True)
    kind = city.exchange.job_kinds[KIND]
    with city.exchange.database.transaction() as transaction:
        job = queue.claim(transaction, [KIND], city.exchange.job_runner()._lease)
    assert job is not None
    assert str(job.id) == job_id
    pages = 0
    while True:
        work = Work(job, city.exchange.database, folder, lambda: False)
        if job.cursor is not None and job.cursor["next"] is None:
            break
        first = kind.step(work)
        texts = [(folder / name).read_bytes() for name in (BUNDLE, DOCUMENT)]
        for name in (BUNDLE, DOCUMENT):  # a worker that died left the beginning of something
            (folder / name).write_bytes((folder / name).read_bytes() + b"{}")
        assert kind.step(work) == first
        assert [(folder / name).read_bytes() for name in (BUNDLE, DOCUMENT)] == texts
        job = replace(job, cursor=first.cursor)
        pages += 1
    output = kind.step(work).output
    assert output is not None
    assert output["files"] == [BUNDLE, DOCUMENT]
    held = [each["fullUrl"] for each in loads((folder / BUNDLE).read_bytes())["entry"]]
    assert pages > len(held) / 4
    assert len(held) == len(set(held))
    with city.acting(CITIZEN) as transaction:
        assert city.rights.view(transaction, made.id).request.state == "completed"


class _Checked(HTMLParser):
    """Notes elements that hold a script or fetch anything."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one."""
        names = {name for name, _ in attrs}
        if tag in ("script", "img", "iframe", "object", "link") or names & {"src", "href", "onerror"}:
            self.found.append(tag)


@given(st.text())
def test_whatever_a_resource_says_the_document_runs_and_fetches_nothing(text: str) -> None:
    hostile = f"<script>alert(1)</script><img src=x onerror=alert(1)>{text}"
    resource: JsonObject = {
        "resourceType": hostile,
        "id": hostile,
        "text": {"status": "additional", "div": f"<div>{hostile}</div>"},
        "code": {"coding": [{"display": hostile}]},
        hostile: [{"family": hostile, "given": [hostile]}],
        "valueQuantity": {"value": 1, "unit": hostile},
        "extension": [{"url": hostile, "valueString": hostile}],
    }
    parser = _Checked()
    made_at = datetime(2026, 3, 4, tzinfo=UTC)
    parser.feed(READER.begin(resource, made_at) + READER.show([resource]) + READER.end())
    assert parser.found == []


def test_values_of_common_types_are_shown_in_a_line() -> None:
    shown = READER.show(
        [
            {
                "resourceType": "Observation",
                "id": "o",
                "status": "final",
                "code": {"coding": [{"code": "718-7", "display": "血红蛋白"}]},
                "valueQuantity": {"value": 120, "unit": "g/L"},
                "referenceRange": [{"low": {"value": 110, "unit": "g/L"}, "text": "成年女性"}],
                "effectivePeriod": {"start": "2026-01-01"},
                "subject": {"reference": "Patient/x", "display": "某人"},
            }
        ]
    )
    for text in (
        "检查检验结果 <small>Result</small>",
        "血红蛋白",
        "120 g/L",
        "low: 110 g/L · text: 成年女性",
        "2026-01-01 – …",
        "某人",
    ):
        assert text in shown
