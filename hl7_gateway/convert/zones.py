"""The zone of a message: MSH-7's offset, if it has one, is the default of all its times.

HL7 v2.8 section 2.14.9.7: "If the time zone is specified, it will be used throughout the message as the
default time zone." Where it is the offset that the sender's zone had at that moment, the sender's zone
stays: it also knows what the offset was half a year before.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from hl7_gateway.sender import Sender

_WITH_OFFSET = re.compile(r"([0-9]{8}(?:[0-9]{2}){0,3})(?:\.[0-9]+)?([+-])([0-9]{2})([0-9]{2})")
_LONGEST_OFFSET = timedelta(hours=14)


def in_zone_of(written: str, sender: Sender) -> Sender:
    """Return `sender` in the zone that MSH-7, `written`, gives its message; as it is if that gives none."""
    match = _WITH_OFFSET.fullmatch(written)
    return _shifted(match[1][:10], match[2], match[3], match[4], sender) if match is not None else sender


@lru_cache(maxsize=4096)
def _shifted(moment: str, sign: str, hours: str, minutes: str, sender: Sender) -> Sender:
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset > _LONGEST_OFFSET:
        return sender
    if sign == "-":
        offset = -offset
    try:
        day = datetime.strptime(moment[:8], "%Y%m%d").replace(tzinfo=UTC)
        known = (day + timedelta(hours=int(moment[8:10] or 12))).astimezone(sender.zone).utcoffset()
    except (ValueError, OverflowError):
        return sender
    return sender if known == offset else replace(sender, zone=timezone(offset))
