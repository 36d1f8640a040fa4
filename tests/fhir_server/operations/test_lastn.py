"""$lastn: https://hl7.org/fhir/R4/observation-operation-lastn.html."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.operations.newest import newest
from fhir_server.store.last_n import Considered
from hie.core.fhir.json import Json, JsonObject
from tests.fhir_server.interactions.client import Client, assert_outcome
from tests.fhir_server.operations.test_everything import names, put

LOINC = "http://loinc.org"
LABORATORY = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]
}


def code(*codes: str, text: str | None = None) -> JsonObject:
    made: JsonObject = {}
    if codes:
        made["coding"] = [{"system": LOINC, "code": each} for each in codes]
    if text is not None:
        made["text"] = text
    return made


def observe(client: Client, name: str, given: JsonObject, when: str | None, **elements: Json) -> None:
    if when is not None:
        elements["effectiveDateTime"] = when
    elements.setdefault("subject", {"reference": "Patient/p"})
    put(client, "Observation", name, status="final", code=given, category=[LABORATORY], **elements)


def last(client: Client, query: str) -> list[str]:
    answer = client.get(f"Observation/$lastn?{query}")
    assert answer.status_code == 200, answer.text
    return [name.removeprefix("Observation/") for name in names(answer.json())]


@pytest.fixture
def patient(client: Client) -> str:
    put(client, "Patient", "q")
    return put(client, "Patient", "p")


def test_without_max_the_newest_of_each_code_is_returned_the_most_recent_first(
    client: Client, patient: str
) -> None:
    observe(client, "a1", code("a"), "2024-01-01")
    observe(client, "a3", code("a"), "2024-01-03")
    observe(client, "a2", code("a"), "2024-01-02")
    observe(client, "b1", code("b"), "2024-01-04")
    observe(client, "a9", code("a"), "2024-01-09", subject={"reference": "Patient/q"})
    assert last(client, f"patient={patient}&category=laboratory") == ["b1", "a3"]
    assert last(client, f"patient={patient}&category=laboratory&max=2") == ["b1", "a3", "a2"]
    assert last(client, f"subject={patient}&code={LOINC}|a&max=5") == ["a3", "a2", "a1"]
    assert last(client, f"subject:Patient=p&combo-code={LOINC}|b") == ["b1"]


def test_observations_of_the_same_effective_time_are_returned_together(client: Client, patient: str) -> None:
    for name, when in (
        ("a1", "2024-01-01"),
        ("a2", "2024-01-02"),
        ("a3", "2024-01-02"),
        ("a4", "2024-01-03"),
    ):
        observe(client, name, code("a"), when)
    assert set(last(client, f"patient={patient}&code=a&max=2")) == {"a4", "a3", "a2"}
    assert set(last(client, f"patient={patient}&code=a&max=3")) == {"a4", "a3", "a2"}
    assert len(last(client, f"patient={patient}&code=a&max=4")) == 4


# The four rows of the table in the definition of the operation.
@pytest.mark.parametrize(
    ("codes", "groups"),
    [
        ([code("a"), code("b"), code("c")], 3),
        ([code("a"), code("b"), code("a", "c")], 2),
        ([code("a"), code("b"), code("a", "b")], 1),
        ([code(text="textM"), code(text="Text"), code(text="t e x t")], 3),
        ([code(text="Text"), code(text="Text")], 1),
        ([code("a", text="Text"), code(text="Text")], 2),
    ],
)
def test_codes_are_grouped_as_the_definition_says(
    client: Client, patient: str, codes: list[JsonObject], groups: int
) -> None:
    for number, each in enumerate(codes):
        observe(client, f"o{number}", each, f"2024-01-0{number + 1}")
    found = last(client, f"patient={patient}&category=laboratory")
    assert len(found) == groups
    assert found[0] == f"o{len(codes) - 1}"


def test_codes_of_two_systems_are_two_codes(client: Client, patient: str) -> None:
    observe(client, "one", code("a"), "2024-01-01")
    observe(client, "two", {"coding": [{"system": "http://other.example", "code": "a"}]}, "2024-01-02")
    observe(client, "none", {"coding": [{"code": "a"}]}, "2024-01-03")
    assert last(client, f"patient={patient}&code=a") == ["none", "two", "one"]


def test_other_search_parameters_filter(client: Client, patient: str) -> None:
    observe(client, "old", code("a"), "2024-01-01")
    observe(client, "new", code("a"), "2024-01-02")
    client.put(
        "Observation/new",
        json={
            "resourceType": "Observation",
            "id": "new",
            "status": "entered-in-error",
            "code": code("a"),
            "subject": {"reference": patient},
            "effectiveDateTime": "2024-01-02",
        },
    )
    assert last(client, f"patient={patient}&code=a") == ["new"]
    assert last(client, f"patient={patient}&code=a&status=final") == ["old"]
    assert last(client, f"patient={patient}&code=a&date=lt2024-01-02") == ["old"]


def test_what_has_no_effective_time_comes_last(client: Client, patient: str) -> None:
    observe(client, "none1", code("a"), None)
    observe(client, "none2", code("a"), None)
    observe(client, "dated", code("a"), "1990")
    assert last(client, f"patient={patient}&code=a") == ["dated"]
    assert last(client, f"patient={patient}&code=a&max=2") == ["dated", "none2"]


def test_deleted_observations_are_not_returned(client: Client, patient: str) -> None:
    observe(client, "a1", code("a"), "2024-01-01")
    observe(client, "a2", code("a"), "2024-01-02")
    client.delete("Observation/a2")
    assert last(client, f"patient={patient}&code=a") == ["a1"]
    assert last(client, f"patient={patient}&code=zzz") == []


def test_the_inputs_may_come_as_parameters(client: Client, patient: str) -> None:
    observe(client, "a1", code("a"), "2024-01-01")
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueString": patient},
            {"name": "category", "valueString": "laboratory"},
            {"name": "max", "valuePositiveInt": 3},
        ],
    }
    assert names(client.post("Observation/$lastn", json=body).json()) == ["Observation/a1"]


def test_subject_and_code_or_category_are_needed(client: Client, patient: str) -> None:
    assert_outcome(
        client.get("Observation/$lastn?code=a"),
        400,
        "required",
        "$lastn needs the subject by `patient` or `subject`",
        "patient",
    )
    assert_outcome(
        client.get(f"Observation/$lastn?patient={patient}"),
        400,
        "required",
        "$lastn needs a `category` or a `code`",
        "code",
    )
    assert client.get(f"Observation/$lastn?patient={patient}&code=a&max=0").status_code == 400
    unknown = client.get(f"Observation/$lastn?patient={patient}&code=a&colour=red")
    assert unknown.status_code == 400
    assert unknown.json()["issue"][0]["code"] == "not-supported"


def _naive(considered: list[Considered], most: int) -> list[int]:
    """Group by repeated merging of overlapping sets, then count by comparing everybody with everybody."""
    groups: list[set[int]] = []
    for each in considered:
        merged = set(each.codes or ())
        while touching := [group for group in groups if group & merged]:
            for group in touching:
                merged |= group
                groups.remove(group)
        groups.append(merged)
    kept = []
    for each in considered:
        group = next(group for group in groups if group & set(each.codes or ()))
        fellows = [other for other in considered if set(other.codes or ()) & group]
        newer = [other for other in fellows if _time(other) > _time(each)]
        before = [other for other in fellows if fellows.index(other) < fellows.index(each)]
        if len(newer) < most if each.end is not None else len(before) < most:
            kept.append(each.rid)
    return kept


def _time(each: Considered) -> datetime:
    return each.end or datetime.min.replace(tzinfo=UTC)


_TIMES = st.none() | st.integers(0, 4)
_CODES = st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True)


@given(st.lists(st.tuples(_CODES, _TIMES), max_size=12), st.integers(1, 4))
def test_newest_is_what_a_naive_count_says(given_rows: list[tuple[list[int], int | None]], most: int) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = []
    for rid, (codes, day) in enumerate(given_rows):
        at = None if day is None else start + timedelta(days=day)
        rows.append(Considered(rid, codes, [0] * len(codes), at, at, None))
    rows.sort(key=_time, reverse=True)
    assert newest(rows, most) == _naive(rows, most)
