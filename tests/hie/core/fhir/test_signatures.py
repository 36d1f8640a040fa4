"""Signatures of content: WHATWG MIME Sniffing and the sources beside the table."""

import io
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.fhir.signatures import HEAD_BYTES, contradicts, is_program, media_type


def _archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return file.getvalue()


def _windows_program(offset: int = 0x80) -> bytes:
    """The headers of a Windows program: the MS-DOS stub's offset at 0x3C, the signature there."""
    stub = b"MZ" + bytes(0x3A) + offset.to_bytes(4, "little")
    return stub + bytes(offset - len(stub)) + b"PE\x00\x00" + bytes(20)


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
OF_THEIR_TYPE = [
    ("application/pdf", b"%PDF-1.7\n"),
    ("application/dicom", bytes(128) + b"DICM\x02\x00"),
    ("application/gzip", zlib.compress(b"x", wbits=31)),
    ("application/zip", _archive()),
    (DOCX, _archive()),
    ("application/rtf", rb"{\rtf1 x}"),
    ("application/msword", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
    ("image/gif", b"GIF89a"),
    ("image/bmp", b"BM\x00\x00"),
    ("image/tiff", b"II*\x00"),
    ("image/tiff", b"MM\x00*"),
    ("image/webp", b"RIFF\x10\x00\x00\x00WEBPVP8 "),
    ("audio/mpeg", b"ID3\x04"),
    ("audio/mpeg", b"\xff\xfb\x90\x64"),
    ("audio/wav", b"RIFF\x10\x00\x00\x00WAVEfmt "),
    ("audio/ogg", b"OggS\x00\x02"),
    ("video/mp4", b"\x00\x00\x00\x18ftypmp42"),
    ("video/webm", b"\x1aE\xdf\xa3"),
]


@pytest.mark.parametrize(("content_type", "content"), OF_THEIR_TYPE, ids=[each[0] for each in OF_THEIR_TYPE])
def test_content_of_its_type_is_told_from_html(content_type: str, content: bytes) -> None:
    assert not contradicts(content, content_type)
    assert not contradicts(content, f"{content_type.upper()} ; charset=utf-8")
    for other in (b"<!DOCTYPE html><script>alert(1)</script>", b"<svg onload=alert(1)>", b"x"):
        assert contradicts(other, content_type)


@pytest.mark.parametrize(("content_type", "content"), OF_THEIR_TYPE, ids=[each[0] for each in OF_THEIR_TYPE])
def test_content_of_another_type_is_told(content_type: str, content: bytes) -> None:
    kin = {"application/zip": DOCX, DOCX: "application/zip"}
    for other, _ in OF_THEIR_TYPE:
        if other not in (content_type, kin.get(content_type)):
            assert contradicts(content, other), other


@given(st.binary(max_size=64))
def test_types_without_signature_contradict_nothing(content: bytes) -> None:
    for content_type in ("text/plain", "text/html", "application/octet-stream", "application/hl7-v3+xml", ""):
        assert not contradicts(content, content_type)


@pytest.mark.parametrize(
    "content",
    [
        _windows_program(),
        _windows_program(HEAD_BYTES - 24),
        b"\x7fELF\x02\x01\x01",
        b"\xcf\xfa\xed\xfe\x0c\x00\x00\x01",
        b"\xca\xfe\xba\xbe\x00\x00\x00\x3d",
    ],
    ids=["windows", "windows-late", "elf", "mach-o", "java"],
)
def test_program_is_known_by_its_head(content: bytes) -> None:
    assert is_program(content)


def test_interpreter_of_this_test_is_a_program() -> None:
    if sys.platform != "linux":
        pytest.skip("what its programs look like is not known here")
    assert is_program(Path(sys.executable).resolve().read_bytes()[:HEAD_BYTES])


@pytest.mark.parametrize(
    "text", [b"", b"MZ", b"MZ: Musterzentrum " * 20, b"#!/bin/sh", b"PE\x00\x00", "脉率".encode()]
)
def test_text_is_no_program(text: bytes) -> None:
    assert not is_program(text)


def test_media_type_has_no_parameters() -> None:
    assert media_type(" Text/HTML ; charset=utf-8") == "text/html"
