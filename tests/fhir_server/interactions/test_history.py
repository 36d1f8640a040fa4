"""history of types and of the system: https://hl7.org/fhir/R4/http.html#history."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from hie.core.fhir.json import JsonObject
from tests.fhir_server.interactions.client import Client, assert_outcome

BASE = "http://127.0.0.1:8000/fhir"


def put(client: Client, kind: str, identity: str, **elements: Any) -> JsonObject:
    response = client.put(f"{kind}/{identity}", json={"resourceType": kind, "id": identity, **elements})
    assert response.status_code in (200, 201), response.text
    made: JsonObject = response.json()
    return made


def pages(client: Client, url: str) -> Iterator[JsonObject]:
    following: str | None = url
    while following is not None:
        answer = client.get(following)
        assert answer.status_code == 200, answer.text
        page: JsonObject = answer.json()
        yield page
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)


def shown(page: JsonObject) -> list[tuple[str, str, str]]:
    """Return method, type and id, and version of each entry."""
    return [
        (
            entry["request"]["method"],
            entry["fullUrl"].removeprefix(f"{BASE}/"),
            entry["response"]["etag"].strip('W/"'),
        )
        for entry in page.get("entry", ())
    ]


@pytest.fixture
def told(client: Client) -> list[tuple[str, str, str]]:
    """Make versions of two types; return all of them, newest first."""
    put(client, "Patient", "p", gender="male")
    put(client, "Organization", "o", name="a")
    put(client, "Patient", "p", gender="female")
    assert client.delete("Organization/o").status_code == 204
    put(client, "Patient", "q", gender="other")
    put(client, "Organization", "o", name="b")
    patch = [{"op": "replace", "path": "/gender", "value": "unknown"}]
    client.request("PATCH", "Patient/q", json=patch, headers={"content-type": "application/json-patch+json"})
    return [
        ("PATCH", "Patient/q", "2"),
        ("PUT", "Organization/o", "3"),
        ("PUT", "Patient/q", "1"),
        ("DELETE", "Organization/o", "2"),
        ("PUT", "Patient/p", "2"),
        ("PUT", "Organization/o", "1"),
        ("PUT", "Patient/p", "1"),
    ]


def test_system_history_lists_all_versions_newest_first(
    client: Client, told: list[tuple[str, str, str]]
) -> None:
    page = client.get("_history").json()
    assert (page["resourceType"], page["type"]) == ("Bundle", "history")
    assert page["link"] == [{"relation": "self", "url": f"{BASE}/_history"}]
    assert shown(page) == told
    newest, deletion = page["entry"][0], page["entry"][3]
    assert newest == {
        "fullUrl": f"{BASE}/Patient/q",
        "resource": client.get("Patient/q").json(),
        "request": {"method": "PATCH", "url": "Patient/q"},
        "response": {
            "status": "200 OK",
            "etag": 'W/"2"',
            "lastModified": newest["resource"]["meta"]["lastUpdated"],
        },
    }
    assert (deletion["response"]["status"], "resource" in deletion) == ("204 No Content", False)


def test_type_history_lists_the_versions_of_the_type(
    client: Client, told: list[tuple[str, str, str]]
) -> None:
    for kind in ("Patient", "Organization", "Device"):
        page = client.get(f"{kind}/_history").json()
        assert shown(page) == [each for each in told if each[1].startswith(kind)]
    assert_outcome(
        client.get("Pacient/_history"), 404, "not-supported", "`Pacient` is not a resource type of FHIR R4"
    )


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_pages_of_system_history_join_to_the_whole(
    client: Client, told: list[tuple[str, str, str]], count: int
) -> None:
    found = list(pages(client, f"_history?_count={count}"))
    assert [each for page in found for each in shown(page)] == told
    assert [len(shown(page)) for page in found[:-1]] == [count] * (len(found) - 1)


def test_writes_between_the_pages_shift_nothing(client: Client, told: list[tuple[str, str, str]]) -> None:
    seen: list[tuple[str, str, str]] = []
    for number, page in enumerate(pages(client, "Patient/_history?_count=1")):
        seen += shown(page)
        put(client, "Patient", "p", multipleBirthInteger=number)
        put(client, "Patient", f"new-{number}")
    # A version that was current when the first page was read may have been superseded meanwhile.
    assert seen == [each for each in told if each[1].startswith("Patient")]


def test_since_and_at_select_by_time(client: Client, told: list[tuple[str, str, str]]) -> None:
    entries = client.get("_history").json()["entry"]
    times = [entry["response"]["lastModified"] for entry in entries]
    for since in times:
        expected = [each for each, made in zip(told, times, strict=True) if made >= since]
        assert shown(client.get("_history", params={"_since": since}).json()) == expected
        kinds = [each for each in expected if each[1].startswith("Patient")]
        assert shown(client.get("Patient/_history", params={"_since": since}).json()) == kinds
    today = datetime.fromisoformat(times[0])
    assert shown(client.get(f"_history?_at={today.year}").json()) == told
    assert shown(client.get(f"_history?_at={today.year - 1}").json()) == []
    later = (today + timedelta(days=400)).date().isoformat()
    assert shown(client.get(f"_history?_at={later}").json()) == [told[0], told[1], told[4]]


def test_at_selects_what_was_current_in_that_period(client: Client) -> None:
    stored = [put(client, "Patient", "p", multipleBirthInteger=number) for number in range(4)]
    times = [each["meta"]["lastUpdated"] for each in stored]
    for number, made in enumerate(times):
        # In the millisecond of its making, and before the next one.
        page = client.get("Patient/p/_history", params={"_at": made}).json()
        versions = {version for _, _, version in shown(page)}
        assert str(number + 1) in versions
        assert not versions & {str(other) for other in range(number + 3, 5) if times[other - 1] > made}
        feed = client.get("Patient/_history", params={"_at": made}).json()
        assert shown(feed) == shown(page)


def test_list_selects_the_versions_of_what_a_list_holds(
    client: Client, told: list[tuple[str, str, str]]
) -> None:
    put(
        client,
        "List",
        "l",
        status="current",
        mode="changes",
        entry=[
            {"item": {"reference": "Patient/q"}},
            {"item": {"reference": f"{BASE}/Organization/o"}},
            {"item": {"reference": "Patient/p"}, "deleted": True},
        ],
    )
    expected = [each for each in told if each[1] in ("Patient/q", "Organization/o")]
    for reference in ("l", "List/l"):
        assert shown(client.get(f"_history?_list={reference}").json()) == expected
    assert shown(client.get("Patient/_history?_list=l").json()) == [
        each for each in expected if each[1] == "Patient/q"
    ]
    assert len(shown(client.get("Patient/q/_history?_list=l").json())) == 2
    assert shown(client.get("Patient/p/_history?_list=l").json()) == []
    assert client.get("_history?_list=never").status_code == 404


@pytest.mark.parametrize(
    ("query", "diagnostics", "name"),
    [
        ("_at=noon", "`noon` is not a date", "_at"),
        ("_since=noon", "`noon` is not an instant", "_since"),
        ("_count=many", "`many` is not a number", "_count"),
        ("_count=1&_count=2", "`_count` is given twice", "_count"),
    ],
)
@pytest.mark.parametrize("path", ["_history", "Patient/_history"])
def test_history_refuses_parameters_it_cannot_read(
    client: Client, path: str, query: str, diagnostics: str, name: str
) -> None:
    assert_outcome(client.get(f"{path}?{query}"), 400, "value", diagnostics, name)


@pytest.mark.parametrize("path", ["_history", "Patient/_history", "Patient/p/_history"])
def test_history_ignores_what_it_does_not_know_but_under_strict_handling(client: Client, path: str) -> None:
    put(client, "Patient", "p")
    query = "_summary=true&_elements=id&code=x&_count=1"
    page = client.get(f"{path}?{query}")
    assert page.status_code == 200
    assert len(page.json()["entry"]) == 1
    assert page.json()["link"][0]["url"].endswith(f"/{path}?_count=1")
    strict = client.get(f"{path}?{query}", headers={"prefer": "handling=strict"})
    assert_outcome(strict, 400, "value", "`_summary` is not a parameter of history", "_summary")


def test_a_reader_of_pages_meets_every_version_that_was_there_at_the_start_while_others_write(
    client: Client,
) -> None:
    for number in range(12):
        put(client, "Patient", f"p{number % 4}", multipleBirthInteger=number)
    before = {each for page in pages(client, "_history?_count=5") for each in shown(page)}

    def write(number: int) -> None:
        for turn in range(5):
            put(client, "Patient", f"p{number}", multipleBirthInteger=100 * number + turn)

    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(write, number) for number in range(4)]
        seen = [each for page in pages(client, "_history?_count=3") for each in shown(page)]
        for each in writing:
            each.result()
    assert before <= set(seen)
    assert len(seen) == len(set(seen))


def test_head_of_everything_that_has_get(client: Client, told: list[tuple[str, str, str]]) -> None:
    assert told
    for path in (
        "metadata",
        "Patient",
        "Patient/p",
        "Patient/p/_history",
        "Patient/p/_history/1",
        "Patient/_history",
        "_history",
        f"Patient?name={quote('a')}",
    ):
        got, head = client.get(path), client.request("HEAD", path)
        assert head.status_code == got.status_code == 200, path
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers.get("etag") == got.headers.get("etag")
    assert client.request("HEAD", "Patient/never").status_code == 404
