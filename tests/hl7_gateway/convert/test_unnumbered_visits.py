"""The messages of a visit that has no number find one Encounter by what they repeat."""

import pytest

from hl7_gateway.convert.engine import Conversion
from tests.hl7_gateway.convert.conftest import Convert, entry, header, segment

NOTE = "PV1: the visit has no number, it is found by the patient with"


def told(
    convert: Convert, event: str, day: str, *, account: str = "", person: str = "1", **visit: str
) -> Conversion:
    """Convert a message of `event` that is sent on `day` and tells nothing of the visit but `visit`."""
    return convert(
        header(f"ADT^{event}", control_id=f"{event}{day}"),
        segment("EVN", f2=f"{day}083000"),
        segment("PID", f3=f"{person}^^^H^MR", f18=account),
        segment("PV1", **{"f2": "I", **visit}),
    )


def found_by(conversion: Conversion) -> str:
    url: str = entry(conversion, "Encounter")["request"]["url"]
    return url


@pytest.mark.parametrize(
    ("place", "admitted", "discharged"),
    [
        ("PID-18", {"account": "A1", "f44": "20260305082500"}, {"account": "A1"}),
        ("PV1-5", {"f5": "P1", "f44": "20260305082500"}, {"f5": "P1"}),
        ("PV1-44", {"f44": "20260305082500"}, {"f44": "202603050825"}),
        ("PV1-44", {"f44": "20260305082500"}, {"f44": "20260305082500+0800", "f3": "W2^1^1^H"}),
    ],
)
def test_admission_and_discharge_meet_by_what_both_repeat(
    convert: Convert, place: str, admitted: dict[str, str], discharged: dict[str, str]
) -> None:
    first = told(convert, "A01", "20260305", **admitted)
    last = told(convert, "A03", "20260312", f45="20260312", **discharged)
    assert found_by(first) == found_by(last)
    assert first.report.notes == last.report.notes == [f"{NOTE} {place}"]
    other = told(convert, "A01", "20260305", person="2", **admitted)
    assert found_by(other) != found_by(first)


def test_without_anything_to_repeat_the_messages_of_one_day_meet(convert: Convert) -> None:
    first = told(convert, "A01", "20260305")
    assert found_by(told(convert, "A08", "20260305")) == found_by(first)
    assert found_by(told(convert, "A03", "20260305")) == found_by(first)
    assert found_by(told(convert, "A01", "20260405")) != found_by(first)
    assert found_by(told(convert, "A04", "20260305", f2="O")) != found_by(first)
    assert first.report.notes == [f"{NOTE} PV1-2 and day of the event"]


def test_the_day_of_an_event_is_when_it_occurred(convert: Convert) -> None:
    def recorded(day: str, occurred: str) -> Conversion:
        evn = segment("EVN", f2=f"{day}000500", f6=occurred)
        return convert(header(), evn, segment("PID", f3="1^^^H^MR"), segment("PV1", f2="I"))

    assert found_by(recorded("20260306", "20260305235500")) == found_by(recorded("20260305", ""))


@pytest.mark.parametrize("number", [{"f19": "V1"}, {"f50": "A1"}])
def test_a_number_of_the_visit_itself_comes_before_all(convert: Convert, number: dict[str, str]) -> None:
    first = told(convert, "A01", "20260305", account="A1", f5="P1", f44="20260305", **number)
    assert found_by(told(convert, "A03", "20260312", **number)) == found_by(first)
    assert first.report.notes == []
