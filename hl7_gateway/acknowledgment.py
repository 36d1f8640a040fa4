r"""Writes the acknowledgment of a message: MSH, MSA and, where there is something to say, ERR.

A writer of its own for the hot path; tests hold it equal to what hl7apy builds. HL7 v2.5.1 sections 2.9.2
(original mode), 2.13.1 (ACK), 2.15.5 (ERR), 2.15.8 (MSA), http://www.hl7.eu/HL7v2x/v251/std251/ch02.html. Up
to version 2.4 an error stands in MSA-3, MSA-6 and ERR-1 (ELD), from 2.5 in ERR-2, ERR-3, ERR-4, ERR-7 and
ERR-8; a version that is not given is answered as 2.5.
"""

import re
import secrets
from datetime import datetime
from typing import Literal

from hie.core.errors import ExchangeError, Issue
from hl7_gateway.header import Header

Code = Literal["AA", "AE", "AR", "CA", "CE", "CR"]
"""MSA-1, https://terminology.hl7.org/CodeSystem-v2-0008.html."""

# https://terminology.hl7.org/CodeSystem-v2-0357.html
CONDITIONS = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "104": "Value too long",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application error",
}
# https://terminology.hl7.org/CodeSystem-v2-0516.html
_SEVERITIES = {"fatal": "F", "error": "E", "warning": "W", "information": "I"}
_LOCATION = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<sequence>\d+)\])?"
    r"(?:-(?P<field>\d+)(?:\[(?P<repetition>\d+)\])?(?:\.(?P<component>\d+)(?:\.(?P<subcomponent>\d+))?)?)?"
)
_FIRST_WITH_STRUCTURE = (2, 3, 1)  # MSH-9.3 exists from 2.3.1 on
_FIRST_WITH_ERR_2 = (2, 5)
_FIRST_WITH_ELD = (2, 2)
# One ERR a finding, but an acknowledgment stays small.
_MOST_FINDINGS = 20
_LONGEST_TEXT = 500


def acknowledge(
    header: Header,
    code: Code,
    *,
    now: datetime,
    error: ExchangeError | None = None,
    control_id: str | None = None,
) -> bytes:
    """Return the acknowledgment of the message with `header`, in its delimiters and character set.

    `now` goes into MSH-7 with its offset; `control_id` into MSH-10 (a new one when None). `error` is worded
    by ERR segments, one a finding.
    """
    is_modern = not header.version or header.version >= _FIRST_WITH_ERR_2
    segments = [_msh(header, now, control_id or secrets.token_hex(10).upper())]
    field = header.delimiters.field
    if error is None:
        segments.append(f"MSA{field}{code}{field}{header.control_id}")
    elif is_modern:
        segments.append(f"MSA{field}{code}{field}{header.control_id}")
        segments += [_err(header, error, issue) for issue in error.issues[:_MOST_FINDINGS]]
    else:
        segments += _older(header, code, error)
    text = "\r".join(segments) + "\r"
    return text.encode(header.charset, errors="replace")


def _msh(header: Header, now: datetime, control_id: str) -> str:
    raw = header.raw
    fields = [
        "MSH",
        raw(2),
        raw(5),
        raw(6),
        raw(3),
        raw(4),
        now.strftime("%Y%m%d%H%M%S%z"),
        "",
        _message_type(header),
    ]
    fields += [control_id, raw(11), raw(12)]
    if raw(18):
        fields += ["", "", "", "", "", raw(18)]
    return header.delimiters.field.join(fields)


def _message_type(header: Header) -> str:
    component = header.delimiters.component
    if not header.event or not component:
        return "ACK"
    parts = ["ACK", header.escape(header.event)]
    if not header.version or header.version >= _FIRST_WITH_STRUCTURE:
        parts.append("ACK")
    return component.join(parts)


def _err(header: Header, error: ExchangeError, issue: Issue) -> str:
    escape, component = header.escape, header.delimiters.component
    condition = component.join((error.condition, CONDITIONS.get(error.condition, ""), "HL70357"))
    diagnostics = issue.expression or error.expression or ""
    fields = ("ERR", "", _erl(header, error.location), condition, _SEVERITIES[issue.severity], "", "")
    return header.delimiters.field.join((*fields, escape(diagnostics), escape(_text(issue.message))))


def _erl(header: Header, location: str | None) -> str:
    place = _LOCATION.fullmatch(location or "")
    if place is None:
        return ""
    parts = (
        place["segment"],
        place["sequence"] or "1",
        place["field"] or "",
        place["repetition"] or ("1" if place["component"] else ""),
        place["component"] or "",
        place["subcomponent"] or "",
    )
    component = header.delimiters.component
    return component.join(parts).rstrip(component) if component else place["segment"]


def _older(header: Header, code: Code, error: ExchangeError) -> list[str]:
    escape, delimiters = header.escape, header.delimiters
    place = _LOCATION.fullmatch(error.location or "")
    named = (error.condition, CONDITIONS.get(error.condition, ""), "HL70357")
    text = f"{error.location}: {error.message}" if error.location else error.message
    msa = ["MSA", code, header.control_id, escape(_text(text))]
    if header.version >= _FIRST_WITH_ELD and delimiters.component:
        msa += ["", "", delimiters.component.join(named)]
    segments = [delimiters.field.join(msa)]
    if header.version >= _FIRST_WITH_ELD and delimiters.component and delimiters.subcomponent:
        where = (place["segment"], place["sequence"] or "1", place["field"] or "") if place else ("", "", "")
        # The fourth component is a CE whose own components are therefore sub-components.
        eld = delimiters.component.join((*where, delimiters.subcomponent.join(named)))
        segments.append(f"ERR{delimiters.field}{eld}")
    return segments


def _text(message: str) -> str:
    return message if len(message) <= _LONGEST_TEXT else message[: _LONGEST_TEXT - 1] + "…"
