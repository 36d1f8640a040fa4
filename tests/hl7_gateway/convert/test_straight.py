"""The functions written for the maps: how they read, and that they say what the rules say in general."""

import linecache
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert import registration
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.loading import load_segment_maps
from hl7_gateway.convert.maps import Rule, SegmentMap
from hl7_gateway.convert.memory import Memory
from hl7_gateway.convert.rules import CompiledMap
from hl7_gateway.convert.run import Run
from hl7_gateway.convert.show import texts
from hl7_gateway.convert.source import Source
from hl7_gateway.convert.straight import BLOCK, PADDING
from hl7_gateway.datatypes.context import Context
from hl7_gateway.er7.message import Segment
from hl7_gateway.er7.reader import read_text
from terminology.translation import ConceptMaps
from tests.hl7_gateway.convert.conftest import SENDER

registration.load()
MAPS = {name: CompiledMap(source) for name, source in load_segment_maps().items()}
RECEIVED = datetime(2026, 3, 5, 1, 0, tzinfo=UTC)
TRANSLATOR = ConceptMaps()
# Of each kind of field: codes, numbers, names, addresses, times, amounts, and what is wrong in one.
VALUES = st.sampled_from(
    [
        *("", "", "", "1", "F", "Y", "N", "A", "SEL", "NW", "PP", '""', "0", "x y", "张"),
        *("20260305", "20260305083010", "20260305083010+0800", "2026", "20261399", "00000000", "083010"),
        *(
            "Z001^^^ZZ1H^MR",
            "Z001^^^ZZ1H&1.2.3&ISO^MR~11010519491231002X^^^MPS^NI",
            "^^^ZZ1H",
            "E1^HIS^1.2.3^ISO",
        ),
        *("D0231^李^建国^^^主任医师^^^ZZ1H", "李^强^^^^^L", "A&B^C", "D1^A~D2^B", "^PRN^PH^^^^15400000001"),
        *(
            "文化路97号^^郑州市^河南省^450002^CHN^H^^金水区",
            "N05^0512^02^ZZ1H^^^1^5",
            "I20^绞痛^ICD10^x^y^z^8",
        ),
        *(
            "7.5^mg&毫克&UCUM",
            "<5",
            "11.8",
            "DA^药物过敏^HL70127~MO",
            "20260301^20260305",
            "a\\T\\b",
            "a\\.br\\b",
        ),
    ]
)


def _message(name: str, fields: list[str]) -> list[Segment]:
    header = "MSH|^~\\&|HIS|ZZ1H|||20260305083015+0800||ADT^A01|M1|P|2.5.1"
    return read_text(f"{header}\rPID|1||Z1^^^ZZ1H^MR\r{name}|{'|'.join(fields)}\r").segments


def _outcome(compiled: CompiledMap, segments: list[Segment], memory: Memory, *, is_straight: bool) -> Any:
    """Return what a map makes of the last segment: resource, account, report, what it mentions."""
    message = read_text("\r".join(segment.text for segment in segments))
    run = Run(message, Context(SENDER, "2.5.1", TRANSLATOR), RECEIVED, "ADT^A01", memory)
    segment = message.segments[-1]
    resource: JsonObject = {"resourceType": compiled.resource}
    account = Account(segment)
    if is_straight:
        fields = segment.fields + PADDING[len(segment.fields) % BLOCK]
        compiled.fill(segment, fields, resource, run, account)
    else:
        for line in sorted(compiled.lines, key=lambda line: line.rule.field):
            is_there = not line.rule.field or segment.raw(line.rule.field)
            if is_there and all(holds(segment, run) for _, holds in line.conditions):
                line.apply(segment, resource, run, account)
    account.close(run.report)
    mentioned = [(each.resource, each.named) for each in run.instances]
    return resource, run.report, account.nulls, mentioned


@pytest.mark.parametrize("name", sorted(set(MAPS) - {"MSH_Organization", "MSH_Provenance"}))
@given(fields=st.lists(VALUES, min_size=1, max_size=55))
def test_a_map_written_straight_fills_what_its_rules_fill_in_general(name: str, fields: list[str]) -> None:
    compiled = MAPS[name]
    segments = _message(compiled.segment, fields)
    said: Memory = {}
    for memory in ({}, said, said):  # the third finds what the second left
        assert _outcome(compiled, segments, memory, is_straight=True) == _outcome(
            compiled, segments, {}, is_straight=False
        )


def test_a_function_reads_as_the_rules_of_its_map() -> None:
    source = SegmentMap(
        name="PID_Small",
        segment="PID",
        resource="Patient",
        element="",
        rules=(
            Rule(to="active", constant=True),
            Rule(to="", field=1, keep="order of segments"),
            Rule(to="identifier[]", field=3, function="CX_Identifier", namespace="alone"),
            Rule(to="maritalStatus", field=16, function="CWE_CodeableConcept", when=("not_valued_PID-29",)),
        ),
    )
    written = CompiledMap(source).text.splitlines()
    number = next(line for line in written if "memory.get" in line).partition("((")[2].partition(",")[0]
    assert (
        written
        == f"""\
def PID_Small(segment, fields, resource, run, account):
    # PID: constant -> active
    resource['active'] = True
    size, add, context = len(fields), account.whole.add, run.context
    kept, index = run.report.kept.append, segment.index
    if text := fields[1]:
        # PID-1: kept, order of segments
        add(1)
        kept(kept_1(index))
    if text := fields[3]:
        # PID-3: CX_Identifier -> identifier[]
        value = make_2(segment, text, context, account)
        if value is None:
            apply_2(segment, resource, run, account)
        else:
            if 'identifier' in resource:
                resource['identifier'].append(value)
            else:
                resource['identifier'] = [value]
    if size <= 16:
        return
    if text := fields[16]:
        # PID-16: CWE_CodeableConcept -> maritalStatus
        if not (len(fields) > 29 and fields[29] not in ('', '""')):
            value = run.memory.get(({number}, text))
            if value is None:
                apply_3(segment, resource, run, account)
            else:
                resource['maritalStatus'] = value.copy()
                add(16)
""".splitlines()
    )


def test_every_function_that_is_written_is_python() -> None:
    for name, text in texts().items():
        compile(text, name, "exec")


def test_a_traceback_shows_the_line_of_a_written_function() -> None:
    source = Source("divide", "number")
    with source.block("if number"):
        source.line("return number / nothing")
    source.name("nothing", 0)
    divide = source.compile("<map of a test>")
    try:
        divide(1)
    except ZeroDivisionError as error:
        shown = "".join(traceback.format_exception(error))
    assert 'File "<map of a test>", line 3, in divide' in shown
    assert "return number / nothing" in shown
    assert linecache.getline("<map of a test>", 1) == "def divide(number):\n"


def test_a_name_of_a_written_function_stands_for_one_thing() -> None:
    source = Source("any")
    source.name("one", "1")
    with pytest.raises(ValueError, match="`one` stands for something else in any"):
        source.name("one", "2")
