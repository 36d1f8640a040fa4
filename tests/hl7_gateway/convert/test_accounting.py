"""Leaf accounting: whatever a sender writes anywhere in a message is in the Bundle or in the report."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hie.core.errors import RequiredFieldError
from hie.core.fhir.json import dumps
from hl7_gateway.convert.engine import Conversion, Engine
from hl7_gateway.convert.report import Report
from hl7_gateway.er7.reader import read_text
from tests.hl7_gateway.convert.conftest import Convert, header, segment
from tests.hl7_gateway.golden.regenerate import FOLDER, RECEIVED, SENDER

MESSAGES = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.hl7"))}
LINES = {
    name: raw.decode("gb18030" if b"GB18030" in raw else "utf-8").replace("\n", "\r").strip("\r").split("\r")
    for name, raw in MESSAGES.items()
}

# What is put into a leaf, and how it looks in JSON when it is understood: text, number, date.
TOKENS = {"Qz7x9Kw": ("Qz7x9Kw",), "739251": ("739251",), "20250617": ("20250617", "2025-06-17")}


def put(line: str, field: int, repetition: int, component: int, subcomponent: int, token: str) -> str:
    """Return the segment with `token` at the place, 1-based; what is missing on the way is added."""
    fields = line.split("|")
    place = field - 1 if line.startswith("MSH") else field
    fields += [""] * (place + 1 - len(fields))
    repetitions = fields[place].split("~")
    repetitions += [""] * (repetition - len(repetitions))
    components = repetitions[repetition - 1].split("^")
    components += [""] * (component - len(components))
    parts = components[component - 1].split("&")
    parts += [""] * (subcomponent - len(parts))
    parts[subcomponent - 1] = token
    components[component - 1] = "&".join(parts)
    repetitions[repetition - 1] = "^".join(components)
    fields[place] = "~".join(repetitions)
    return "|".join(fields)


def is_reported(report: Report, index: int, name: str, places: tuple[int, int, int, int]) -> bool:
    """Whether a line of the report names the leaf or what it is part of."""
    field, repetition, component, subcomponent = places
    whole = f"{name}-{field}" if repetition == 1 else f"{name}-{field}[{repetition}]"
    names = {name, f"{name}-{field}", whole, f"{whole}.{component}", f"{whole}.{component}.{subcomponent}"}
    unmapped = {(line.segment, line.location) for line in report.unmapped}
    kept = {(line.segment, line.location) for line in report.kept}
    return any((index, each) in unmapped | kept for each in names)


def is_there(conversion: Conversion, token: str) -> bool:
    text = dumps(conversion.bundle).decode()
    return any(form in text for form in TOKENS[token])


@given(data=st.data())
def test_any_leaf_of_any_segment_is_in_the_bundle_or_in_the_report(
    engine: Engine, data: st.DataObject
) -> None:
    lines = list(LINES[data.draw(st.sampled_from(sorted(LINES)))])
    index = data.draw(st.integers(0, len(lines) - 1))
    name = lines[index][:3]
    highest = len(lines[index].split("|")) + 3
    field = data.draw(st.integers(3 if name == "MSH" else 1, max(highest, 12)))
    # MSH-9, 12 and 18 steer the reader and the choice of the map.
    assume(name != "MSH" or field not in (9, 12, 18))
    places = (
        field,
        data.draw(st.integers(1, 3)),
        data.draw(st.integers(1, 24)),
        data.draw(st.integers(1, 4)),
    )
    token = data.draw(st.sampled_from(sorted(TOKENS)))
    lines[index] = put(lines[index], *places, token)
    try:
        conversion = engine.convert(read_text("\r".join(lines) + "\r"), SENDER, received=RECEIVED)
    except RequiredFieldError:
        return  # what no resource can be built without, is refused whole
    assert is_there(conversion, token) or is_reported(conversion.report, index, name, places), (
        f"{name}-{places} holding {token} left no trace"
    )


@given(name=st.from_regex(re.compile(r"Z[A-Z0-9]{2}"), fullmatch=True), where=st.integers(1, 12))
def test_a_z_segment_is_reported_wherever_it_stands(engine: Engine, name: str, where: int) -> None:
    lines = list(LINES["ADT_A01-full"])
    lines.insert(where, f"{name}|1|值")
    report = engine.convert(read_text("\r".join(lines) + "\r"), SENDER, received=RECEIVED).report
    assert (name, where) in {(line.location, line.segment) for line in report.unmapped}


def test_components_that_no_rule_reads_are_reported_one_by_one(convert: Convert) -> None:
    pid = segment("PID", f3="1^^^H&1.2.3&ISO&X^MR^^^^^未知", f32="AL")
    report = convert(header(), pid).report
    assert [(line.location, line.length) for line in report.unmapped] == [
        ("PID-3.4.4", 1),
        ("PID-3.10", 2),
        ("PID-32", 2),
    ]


def test_an_explicit_null_leaves_the_element_out_and_is_reported(convert: Convert) -> None:
    report = convert(header(), segment("PID", f3="1^^^H^MR", f11='""')).report
    assert [(line.location, line.reason) for line in report.unmapped] == [
        ("PID-11", "explicit null: deletes Patient.address")
    ]


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_report_names_places_and_never_values(engine: Engine, name: str) -> None:
    report = engine.convert(read_text("\r".join(LINES[name]) + "\r"), SENDER, received=RECEIVED).report
    for line in report.unmapped:
        assert re.fullmatch(r"[A-Z][A-Z0-9]{2}(-\d+(\[\d+\])?(\.\d+){0,2})?", line.location)
        assert line.length > 0
        assert not re.search(r"张|秀英|Z0012345678|11010519491231002X", line.reason)
