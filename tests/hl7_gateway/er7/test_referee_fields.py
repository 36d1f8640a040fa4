"""hl7apy is the referee: it and our reader agree on every leaf of every message that hl7apy can parse at all.

hl7apy refuses five encoding characters before version 2.7 and knows no byte order mark or LF, so it gets
our normalised text with MSH-2 cut to four characters. Where it refuses a whole message because of one
segment, the other segments are compared one by one. Three habits of hl7apy are taken into account, each
only where its own objects show it:

* what its tables do not define (a component after the last of its data type, a field after the last of its
  segment) has no
  number in hl7apy and is compared in sequence;
* SI, NM and the like are numbers there: "001" is "1";
* it strips blanks at the end of a segment.
"""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message, parse_segment

from hl7_gateway.er7.batch import split
from hl7_gateway.er7.definitions import nearest_version
from hl7_gateway.er7.escape import decode
from hl7_gateway.er7.message import Message, Segment
from hl7_gateway.er7.reader import read

Place = tuple[int, int, int, int]
"""Field, repetition, component, sub-component; the repetition from 0, the others from 1."""

# hl7apy has no such segment in the version that these messages declare.
UNKNOWN_TO_HL7APY = {"PRT"}


def test_reader_and_hl7apy_agree_on_every_leaf(conformance_data: Path) -> None:
    whole = 0
    compared: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for path in sorted(conformance_data.glob("hl7v2/**/*.hl7")):
        for raw in split(path.read_bytes()):
            message = read(raw)
            pairs = list(_pairs(message, refused))
            whole += len(pairs) == len(message.segments)
            for theirs, ours in pairs:
                compared[ours.name] += 1
                assert _their_leaves(theirs, ours) == _our_leaves(ours), (
                    f"{path.name}: {ours.name} at {ours.index}"
                )
    assert set(refused) <= UNKNOWN_TO_HL7APY
    assert whole >= 200
    assert compared.total() > 1800


def test_referee_notices_a_shifted_component() -> None:
    message = read(b"MSH|^~\\&|A|B|||20260101||ADT^A01|1|P|2.5\rPID|1||A^^^B\r")
    other = read(b"MSH|^~\\&|A|B|||20260101||ADT^A01|1|P|2.5\rPID|1||A^^B\r")
    theirs = parse_segment(
        message.segments[1].text, version="2.5", validation_level=VALIDATION_LEVEL.TOLERANT
    )
    assert _their_leaves(theirs, other.segments[1]) != _our_leaves(other.segments[1])


@pytest.mark.parametrize(
    "version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2"]
)
def test_reader_and_hl7apy_agree_in_every_version(version: str) -> None:
    text = (
        rf"MSH|^~\&|LIS^1.2^ISO|HOSP|HIE|CITY|20260101120000||ADT^A01|17|P|{version}" + "\r"
        "EVN|A01|20260101120000\r"
        "PID|1|9^^^A&1.2&ISO|100^^^HOSP&1.2.3&ISO~200^^^CITY||LI^WEI||19900101|M|||1 RENMIN^^ZZ^HA^450000||"
        "15400000000~1390000\r"
        "PV1|1|I|W1^101^1||||1^ZHANG^SAN\r"
        "ZPI|a^b&c~d||e\r"
    )
    message = read(text.encode())
    pairs = list(_pairs(message, Counter()))
    assert len(pairs) == len(message.segments)
    for theirs, ours in pairs:
        assert _their_leaves(theirs, ours) == _our_leaves(ours)


def _pairs(message: Message, refused: Counter[str]) -> Iterator[tuple[Any, Segment]]:
    """Yield hl7apy's segments beside ours; count those that hl7apy refuses."""
    texts = [segment.text for segment in message.segments]
    written = message.delimiters.encoding_characters
    texts[0] = texts[0].replace(written, written[:4], 1)
    try:
        parsed = parse_message(
            "\r".join(texts), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False
        )
    except HL7apyException:
        version = nearest_version(message.version)
        for text, ours in zip(texts, message.segments, strict=True):
            try:
                theirs = parse_segment(text, version=version, validation_level=VALIDATION_LEVEL.TOLERANT)
            except HL7apyException:
                refused[ours.name] += 1
                continue
            yield theirs, ours
        return
    assert len(parsed.children) == len(message.segments)
    yield from zip(parsed.children, message.segments, strict=True)


def _our_leaves(segment: Segment) -> dict[Place, str]:
    leaves = {
        (field, repetition, component, subcomponent): text.strip()
        for field in segment.filled()
        for repetition, components in enumerate(segment.repetitions(field))
        for component, subcomponents in enumerate(components, 1)
        for subcomponent, text in enumerate(subcomponents, 1)
        if text.strip()
    }
    if segment.name == "MSH":
        leaves[2, 0, 1, 1] = leaves[2, 0, 1, 1][:4]
    return leaves


def _their_leaves(theirs: Any, ours: Segment) -> dict[Place, str]:
    """Return hl7apy's leaves, decoded by our rule, at the places that hl7apy gives them."""
    leaves: dict[Place, str] = {}
    numbered = {_number(field.name) for field in theirs.children}
    nameless = [
        (field, repetition)
        for field in ours.filled()
        if field not in numbered and ours.raw(field).strip()
        for repetition in range(len(ours.repetitions(field)))
    ]
    repetitions: Counter[int] = Counter()
    for field in theirs.children:
        number = _number(field.name)
        if number:
            place = number, repetitions[number]
            repetitions[number] += 1
        else:
            place = nameless.pop(0)
        for component, subcomponent, leaf in _numbered_leaves(field, ours, *place):
            text = _text(leaf, theirs.name, place[0], ours)
            mine = _at(ours, *place, component, subcomponent)
            if leaf.datatype in ("NM", "SI") and _is_same_number(text, mine):
                text = mine
            if text.strip():
                leaves[*place, component, subcomponent] = text.strip()
    assert not nameless
    return leaves


def _numbered_leaves(
    field: Any, ours: Segment, number: int, repetition: int
) -> Iterator[tuple[int, int, Any]]:
    names = [_number(component.name) for component in field.children]
    spare = [
        at
        for at, component in enumerate(ours.repetitions(number)[repetition], 1)
        if at not in names and any(text.strip() for text in component)
    ]
    for position, component in enumerate(field.children, 1):
        at = names[position - 1] or (
            spare.pop(0) if any(names) or len(spare) == len(field.children) else position
        )
        for order, leaf in enumerate(component.children, 1):
            yield at, _number(leaf.name) or order, leaf


def _number(name: str | None) -> int:
    """Return 3 for "PID_3", 0 for what hl7apy has no number for."""
    tail = (name or "").rpartition("_")[2]
    return int(tail) if "_" in (name or "") and tail.isdigit() else 0


def _text(leaf: Any, segment: str, field: int, ours: Segment) -> str:
    value = leaf.value
    if value is not None and not isinstance(value, str):
        value = value.value if isinstance(getattr(value, "value", None), str) else leaf.to_er7()
    if segment == "MSH" and field in (1, 2):
        return str(value)
    return decode(str(value or ""), ours.delimiters, ours.charset)


def _at(segment: Segment, field: int, repetition: int, component: int, subcomponent: int) -> str:
    try:
        return segment.repetitions(field)[repetition][component - 1][subcomponent - 1]
    except IndexError:
        return ""


def _is_same_number(one: str, other: str) -> bool:
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False
