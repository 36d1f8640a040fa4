"""ED, RP: encapsulated data and reference pointers.

Senders often name the wrong type; what the first bytes plainly are goes before what ED.2 and ED.3 say. What
is plainly not of the type that they say is of no known type (RFC 2046, 4.5.1).

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (ED[Attachment], RP[Attachment]);
tables 0191 (type of data), 0291 (subtype), 0299 (encoding): HL7 v2.8 chapter 2C.
"""

import base64
import binascii

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hie.core.fhir.signatures import contradicts
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_SIGNATURES = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"{\\rtf", "application/rtf"),
)
# Subtypes of table 0291 whose MIME type does not follow from the type of data.
_SUBTYPES = {
    "PDF": "application/pdf",
    "JPEG": "image/jpeg",
    "JPG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "TIF": "image/tiff",
    "DICOM": "application/dicom",
    "RTF": "application/rtf",
    "HTML": "text/html",
    "PLAIN": "text/plain",
    "TXT": "text/plain",
    "SGML": "text/sgml",
    "POSTSCRIPT": "application/postscript",
    "OCTET-STREAM": "application/octet-stream",
    "X-HL7-CDA-LEVEL-ONE": "text/xml",
}
# Table 0191 and the names of RFC 2046 to MIME's top-level types.
_TYPES = {
    "AP": "application",
    "APPLICATION": "application",
    "AU": "audio",
    "AUDIO": "audio",
    "FT": "text",
    "IM": "image",
    "IMAGE": "image",
    "MODEL": "model",
    "MULTIPART": "multipart",
    "TEXT": "text",
    "TX": "text",
    "VIDEO": "video",
}
_TOKEN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$&-^_.+")
_UNKNOWN_TYPE = "application/octet-stream"
_HEAD = 16


@datatype("ED_Attachment", uses=(2, 3, 4, 5))
def ed_attachment(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return an Attachment with its data; raises DataTypeError for data not in its encoding (ED.4)."""
    text = part(rep, 5)
    if not text.strip():
        return None
    data = _bytes(text, part(rep, 4).strip().upper())
    attachment: JsonObject = {}
    declared = _content_type(part(rep, 2), part(rep, 3))
    content_type = _signature(data) or declared
    if content_type is not None and contradicts(data, content_type):
        content_type = _UNKNOWN_TYPE
    if declared is None or declared != content_type:
        ctx.drop_filled(rep, (2, 3), "the content type is another one")
    if content_type is not None:
        attachment["contentType"] = content_type
    attachment["data"] = base64.b64encode(data).decode("ascii")
    return attachment


@datatype("RP_Attachment", uses=(1, 3, 4))
def rp_attachment(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return an Attachment that points to its content."""
    url = primitives.uri(part(rep, 1))
    if url is None:
        return None
    content_type = _content_type(part(rep, 3), part(rep, 4))
    if content_type is None:
        ctx.drop_filled(rep, (3, 4), "type and subtype are no content type")
        return {"url": url}
    return {"contentType": content_type, "url": url}


def _bytes(text: str, encoding: str) -> bytes:
    if encoding in ("", "A"):
        if encoding == "A" or not _is_base64(text):
            return text.encode("utf-8", "replace")
        encoding = "BASE64"
    packed = "".join(text.split())
    try:
        if encoding == "HEX":
            return bytes.fromhex(packed)
        if encoding == "BASE64":
            return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise DataTypeError(f"The data is not {encoding.title()}, as its encoding (ED.4) says") from error
    raise DataTypeError(f"`{primitives.shown(encoding)}` is no encoding of table 0299")


def _is_base64(text: str) -> bool:
    """Whether text without declared encoding is base64 of something that announces itself."""
    try:
        head = base64.b64decode("".join(text[: 4 * _HEAD].split())[: 4 * (_HEAD // 4)], validate=True)
    except (ValueError, binascii.Error):
        return False
    return _signature(head) is not None


def _signature(data: bytes) -> str | None:
    return next((kind for magic, kind in _SIGNATURES if data.startswith(magic)), None)


def _content_type(kind: str, subtype: str) -> str | None:
    """Return the MIME type of a type of data and its subtype, None when they make none."""
    sub = (primitives.code(subtype) or "").lower()
    if "/" in sub:
        top, _, rest = sub.partition("/")
        return sub if _is_token(top) and _is_token(rest) else None
    known = _SUBTYPES.get(sub.upper())
    if known is not None:
        return known
    named = (primitives.code(kind) or "").strip()
    if "/" in named:
        return _content_type("", named)
    top = _TYPES.get(named.upper(), "")
    if not sub or not _is_token(sub):
        return "text/plain" if top == "text" and not sub else _SUBTYPES.get(named.upper())
    if sub == "xml":
        return f"{top if top == 'text' else 'application'}/xml"
    return f"{top or 'application'}/{sub}"


def _is_token(text: str) -> bool:
    return bool(text) and _TOKEN.issuperset(text)
