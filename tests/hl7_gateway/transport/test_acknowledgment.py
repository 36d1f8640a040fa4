"""Acknowledgments against hl7apy: it reads ours, and builds the same fields."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hl7apy.core import Message as Hl7apyMessage
from hl7apy.parser import parse_message

from hie.core.errors import (
    EncodingError,
    ExchangeError,
    InvalidResourceError,
    Issue,
    MessageSyntaxError,
    NoMapError,
    PayloadTooLargeError,
    RequiredFieldError,
    UnavailableError,
)
from hl7_gateway.acknowledgment import Code, acknowledge
from hl7_gateway.er7.message import Message
from hl7_gateway.er7.reader import read
from hl7_gateway.header import UNKNOWN, header_from, header_of

NOW = datetime(2026, 3, 1, 9, 30, 5, tzinfo=timezone(timedelta(hours=8)))
VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
BEFORE_2_5 = VERSIONS[:5]
WITHOUT_STRUCTURE = VERSIONS[:3]


def message_of(
    version: str = "2.5.1", *, delimiters: str = "|^~\\&", charset: str = "", codec: str = "utf-8"
) -> bytes:
    f, c = delimiters[0], delimiters[1]
    event = f"ADT{c}A01" + (f"{c}ADT_A01" if version not in WITHOUT_STRUCTURE else "")
    fields = [
        "MSH",
        delimiters[1:],
        "HIS",
        f"第一医院{c}1.2.3{c}ISO",
        "HIE",
        "CITY",
        "20260301093000",
        "",
        event,
    ]
    fields += [
        "MSG\\T\\1" if delimiters.startswith("|^~\\&") else "MSG1",
        "P",
        version,
        "",
        "",
        "",
        "",
        "CHN",
        charset,
    ]
    return (f.join(fields) + f"\rEVN{f}A01\rPID{f}1\r").encode(codec)


def answer(raw: bytes, code: Code = "AA", error: ExchangeError | None = None) -> Message:
    return read(acknowledge(header_of(read(raw)), code, now=NOW, error=error))


def built_by_hl7apy(raw: bytes, version: str, code: str, control_id: str) -> Any:
    received = read(raw).header
    ack = Hl7apyMessage("ACK", version=version)
    ack.msh.msh_3 = received.raw(5)
    ack.msh.msh_4 = received.raw(6)
    ack.msh.msh_5 = received.raw(3)
    ack.msh.msh_6 = received.raw(4)
    ack.msh.msh_7 = "20260301093005+0800"
    ack.msh.msh_9 = "ACK^A01^ACK" if version not in WITHOUT_STRUCTURE else "ACK^A01"
    ack.msh.msh_10 = control_id
    ack.msh.msh_11 = received.raw(11)
    ack.msh.msh_12 = received.raw(12)
    ack.add_segment("MSA")
    ack.msa.msa_1 = code
    ack.msa.msa_2 = received.raw(10)
    return ack


@pytest.mark.parametrize("version", VERSIONS)
def test_acknowledgment_has_the_fields_of_one_built_by_hl7apy(version: str) -> None:
    # hl7apy declares the truncation character from 2.7 on.
    raw = message_of(version, delimiters="|^~\\&#" if version >= "2.7" else "|^~\\&")
    ours = acknowledge(header_of(read(raw)), "AA", now=NOW, control_id="0123456789")
    assert ours.decode() == built_by_hl7apy(raw, version, "AA", "0123456789").to_er7() + "\r"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("error", [None, RequiredFieldError("PID-3 has no value", location="PID-3.1")])
def test_hl7apy_reads_and_validates_the_acknowledgment(version: str, error: ExchangeError | None) -> None:
    raw = acknowledge(header_of(read(message_of(version))), "AE" if error else "AA", now=NOW, error=error)
    ack = parse_message(raw.decode().strip("\r"), find_groups=False)
    assert ack.version == version
    assert ack.msa.msa_1.value == ("AE" if error else "AA")
    names = [segment.name for segment in ack.children]
    assert names == ["MSH", "MSA", "ERR"] if error and version != "2.1" else ["MSH", "MSA"]
    if version not in WITHOUT_STRUCTURE:  # hl7apy finds the structure of a message by MSH-9.3
        assert ack.validate()


@pytest.mark.parametrize("version", [v for v in VERSIONS if v not in BEFORE_2_5])
def test_error_of_2_5_and_later_stands_in_err_with_segment_field_and_reason(version: str) -> None:
    error = RequiredFieldError("PID-3 has no value | at all", location="PID-3[2].4.1")
    err = answer(message_of(version), "AE", error).first("ERR")
    assert err is not None
    assert err.repetitions(1) == ()
    assert err.raw(2) == "PID^1^3^2^4^1"
    assert err.raw(3) == "101^Required field missing^HL70357"
    assert err.first(4) == "E"
    assert err.raw(8) == "PID-3 has no value \\F\\ at all"
    assert err.first(8) == error.message


@pytest.mark.parametrize("version", [v for v in BEFORE_2_5 if v != "2.1"])
def test_error_before_2_5_stands_in_msa_3_msa_6_and_err_1(version: str) -> None:
    ack = answer(message_of(version), "AE", RequiredFieldError("no value", location="OBX[3]-5"))
    msa, err = ack.first("MSA"), ack.first("ERR")
    assert msa is not None
    assert err is not None
    assert msa.first(3) == "OBX[3]-5: no value"
    assert msa.raw(6) == "101^Required field missing^HL70357"
    assert err.raw(1) == "OBX^3^5^101&Required field missing&HL70357"


@pytest.mark.parametrize(
    ("location", "erl"),
    [
        ("PID", "PID^1"),
        ("MSH[2]", "MSH^2"),
        ("PID-3", "PID^1^3"),
        ("PID-3.1", "PID^1^3^1^1"),
        ("OBX[12]-5[2].3.4", "OBX^12^5^2^3^4"),
        (None, ""),
        ("somewhere", ""),
    ],
)
def test_location_becomes_erl(location: str | None, erl: str) -> None:
    err = answer(message_of(), "AE", RequiredFieldError(location=location)).first("ERR")
    assert err is not None
    assert err.raw(2) == erl


def test_every_finding_of_validation_has_its_err() -> None:
    findings = [
        Issue("error", "structure", "birthDate is not a date", "Patient.birthDate"),
        Issue("warning", "invariant", "no name", "Patient"),
    ]
    errs = answer(message_of(), "AE", InvalidResourceError(findings)).all("ERR")
    found = [(err.first(3), err.first(4), err.first(7), err.first(8)) for err in errs]
    assert found == [
        ("102", "E", "Patient.birthDate", "birthDate is not a date"),
        ("102", "W", "Patient", "no name"),
    ]


@pytest.mark.parametrize(
    ("error", "code", "condition"),
    [
        (MessageSyntaxError(), "AR", "100"),
        (EncodingError(), "AR", "102"),
        (NoMapError(), "AR", "200"),
        (UnavailableError(), "AR", "207"),
        (PayloadTooLargeError(), "AR", "207"),
    ],
)
def test_error_names_its_condition_of_table_0357(error: ExchangeError, code: Code, condition: str) -> None:
    assert error.acknowledgment == code
    err = answer(message_of(), error.acknowledgment, error).first("ERR")
    assert err is not None
    assert err.first(3) == condition


def test_delimiters_of_the_message_are_those_of_its_acknowledgment() -> None:
    raw = message_of(delimiters="!@#*%")
    text = acknowledge(header_of(read(raw)), "AE", now=NOW, error=NoMapError("a!b@c#d%e", location="MSH-9"))
    assert text.startswith(b"MSH!@#*%!HIE!CITY!HIS!")
    ack = read(text)
    err = ack.first("ERR")
    assert err is not None
    assert err.first(8) == "a!b@c#d%e"
    assert ack.first("MSA") is not None


@pytest.mark.parametrize(
    ("charset", "codec"), [("GB18030", "gb18030"), ("UNICODE UTF-8", "utf-8"), ("BIG-5", "big5")]
)
def test_acknowledgment_is_in_the_character_set_of_the_message(charset: str, codec: str) -> None:
    name = "第一醫院" if codec == "big5" else "第一医院"
    raw = message_of(charset=charset).decode().replace("第一医院", name).encode(codec)
    text = acknowledge(header_of(read(raw)), "AE", now=NOW, error=NoMapError("没有")).decode(codec, "replace")
    assert f"|CITY|HIS|{name}^1.2.3^ISO|20260301093005+0800||" in text
    assert read(raw).header.raw(18) == charset
    assert text.split("\r")[0].endswith(f"|2.5.1||||||{charset}")


def test_error_text_that_the_character_set_lacks_is_replaced_not_lost_with_the_message() -> None:
    raw = message_of(charset="8859/1").decode().replace("第一医院", "Klinik").encode("latin-1")
    text = acknowledge(header_of(read(raw)), "AE", now=NOW, error=NoMapError("没有 map"))
    assert b"|?? map\r" in text


def test_control_ids_of_acknowledgments_differ_and_fit_st_20() -> None:
    header = header_of(read(message_of()))
    ids = {read(acknowledge(header, "AA", now=NOW)).control_id for _ in range(100)}
    assert len(ids) == 100
    assert {len(control_id) for control_id in ids} == {20}


def test_message_without_escape_character_gets_blanks_for_delimiters() -> None:
    raw = b"MSH|^~|HIS|H|HIE|C|20260301||ADT^A01|1|P|2.5\r"
    ack = answer(raw, "AE", NoMapError("a|b^c"))
    err = ack.first("ERR")
    assert err is not None
    assert err.first(8) == "a b c"


def test_header_is_made_out_of_bytes_that_the_reader_refuses() -> None:
    raw = "MSH|^~\\&|HIS|第一|HIE|CITY|1||ADT^A01|42|P|2.5||||||GB18030\rPID|\ud800".encode(
        "gb18030", "ignore"
    )
    raw += b"\xff\xff"
    text = acknowledge(header_from(raw), "AR", now=NOW, error=EncodingError("byte 9", location="MSH-18"))
    assert text.startswith(
        b"MSH|^~\\&|HIE|CITY|HIS|" + "第一".encode("gb18030") + b"|20260301093005+0800||ACK^A01^ACK|"
    )
    assert b"\rMSA|AR|42\r" in text


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"hello",
        b"MSH",
        b"MSHA",
        b"MSH|",
        b"MSH|^^^^|a|b",
        b"MSH||||||||||",
        b"\xff" * 3000,
        b"x" * 600 + b"MSH|^~\\&|A",
    ],
)
def test_bytes_without_a_header_get_an_acknowledgment_that_can_be_read(raw: bytes) -> None:
    ack = read(
        acknowledge(header_from(raw), "AR", now=NOW, error=MessageSyntaxError("no MSH", location="MSH"))
    )
    msa, err = ack.first("MSA"), ack.first("ERR")
    assert msa is not None
    assert err is not None
    assert (msa.first(1), msa.first(2), err.first(2), err.first(3)) == ("AR", "", "MSH", "100")


def test_generic_acknowledgment_is_of_version_2_5() -> None:
    ack = read(acknowledge(UNKNOWN, "AR", now=NOW.astimezone(UTC)))
    assert (ack.version, ack.code, ack.processing_id) == ("2.5", "ACK", "P")
    assert ack.header.first(7) == "20260301013005+0000"
