"""Signatures of content: whether bytes are of the media type that they are declared as, and whether they run.

A table of its own and no library: libraries name the likeliest type of unknown bytes, and call a text
that begins with "BM" a bitmap; here only a declared type is checked, and one that has no signature (text,
XML, JSON, a vendor's own) is never refused. Sources: WHATWG MIME Sniffing
(https://mimesniff.spec.whatwg.org/#matching-a-mime-type-pattern) unless another stands beside the row.
Whether content is harmful is not seen here: that is a virus scanner's work.
"""

from collections.abc import Callable
from typing import Final

# The bytes that `is_program` and `contradicts` look at: no signature lies further behind.
HEAD_BYTES: Final = 4096

Match = Callable[[bytes], bool]

_SYNC: Final = 0xFFE0
_LAYER: Final = 0x0006
_MS_DOS_STUB: Final = 0x40


def _begins(*beginnings: bytes) -> Match:
    return lambda head: head.startswith(beginnings)


def _at(offset: int, signature: bytes) -> Match:
    return lambda head: head.startswith(signature, offset)


def _chunk(form: bytes, kind: bytes) -> Match:
    """Match a RIFF or FORM: its name, four bytes of length, and its kind."""
    return lambda head: head.startswith(form) and head.startswith(kind, 8)


def _mpeg_audio(head: bytes) -> bool:
    """Match ID3, or a frame header's eleven bits with a layer that exists (mimesniff, 6.2.3)."""
    first = int.from_bytes(head[:2], "big")
    return (first & _SYNC == _SYNC and first & _LAYER != 0) or head.startswith(b"ID3")


_ZIP: Final = _begins(b"PK\x03\x04", b"PK\x05\x06")
_JPEG: Final = _begins(b"\xff\xd8\xff")
_OGG: Final = _begins(b"OggS\x00")
_MP4: Final = _at(4, b"ftyp")
_WAVE: Final = _chunk(b"RIFF", b"WAVE")
_AIFF: Final = _begins(b"FORM")
# [MS-CFB] 2.2, header signature
_COMPOUND_FILE: Final = _begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_OF_TYPE: Final[dict[str, Match]] = {
    # DICOM PS3.10, 7.1: a preamble of 128 bytes and the prefix
    "application/dicom": _at(128, b"DICM"),
    "application/gzip": _begins(b"\x1f\x8b\x08"),
    "application/msword": _COMPOUND_FILE,
    "application/ogg": _OGG,
    "application/pdf": _begins(b"%PDF-"),
    # Rich Text Format Specification 1.9.1, RTF Version
    "application/rtf": _begins(b"{\\rtf"),
    "application/vnd.ms-excel": _COMPOUND_FILE,
    "application/vnd.ms-powerpoint": _COMPOUND_FILE,
    "application/zip": _ZIP,
    "audio/aiff": _AIFF,
    "audio/basic": _begins(b".snd"),
    "audio/mp4": _MP4,
    "audio/mpeg": _mpeg_audio,
    "audio/ogg": _OGG,
    "audio/wav": _WAVE,
    "audio/wave": _WAVE,
    "audio/x-wav": _WAVE,
    "image/bmp": _begins(b"BM"),
    "image/gif": _begins(b"GIF87a", b"GIF89a"),
    "image/jpeg": _JPEG,
    "image/jpg": _JPEG,
    "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
    # TIFF 6.0, section 2: byte order and 42; BigTIFF has 43
    "image/tiff": _begins(b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    "image/webp": _chunk(b"RIFF", b"WEBP"),
    "text/rtf": _begins(b"{\\rtf"),
    "video/avi": _chunk(b"RIFF", b"AVI "),
    "video/mp4": _MP4,
    "video/ogg": _OGG,
    "video/webm": _begins(b"\x1aE\xdf\xa3"),
}
# ISO/IEC 29500-2: the packages of Office Open XML are archives of ZIP
_OFFICE_OPEN_XML: Final = "application/vnd.openxmlformats-officedocument."
_PROGRAMS: Final = (
    # System V ABI, chapter 4, ELF identification
    b"\x7fELF",
    # Mach-O (mach-o/loader.h: MH_MAGIC, MH_MAGIC_64 in both orders)
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    # Java Virtual Machine Specification 4.1, and Mach-O for several processors (mach-o/fat.h)
    b"\xca\xfe\xba\xbe",
)


def media_type(content_type: str) -> str:
    """Return the type and subtype of `content_type` in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def contradicts(head: bytes, content_type: str) -> bool:
    """Return whether content that begins with `head` cannot be of `content_type`.

    `head` holds the first `HEAD_BYTES` bytes or all there are. Types without signature contradict nothing.
    """
    declared = media_type(content_type)
    match = _ZIP if declared.startswith(_OFFICE_OPEN_XML) else _OF_TYPE.get(declared)
    return match is not None and not match(head)


def is_program(head: bytes) -> bool:
    """Return whether content that begins with `head` is an executable file.

    Of Windows's (PE format, MS-DOS stub: the offset at 0x3C leads to the signature) only where the
    signature lies in `head`; a text may begin with "MZ".
    """
    if head.startswith(_PROGRAMS):
        return True
    if not head.startswith(b"MZ") or len(head) < _MS_DOS_STUB:
        return False
    return head.startswith(b"PE\x00\x00", int.from_bytes(head[0x3C:_MS_DOS_STUB], "little"))
