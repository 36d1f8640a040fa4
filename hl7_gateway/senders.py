"""The directory of senders: which application of which facility sent a message, and with which profile.

Profiles are rows of the table `sender`; what a row leaves open is as the settings say. A sender that has no
row is accepted and entered, so that an operator sees it. Profiles are cached and read again after
`REFRESH_SECONDS`.
"""

import logging
import time
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from sqlmodel import select

from hie.core.db.database import Database
from hie.core.errors import ConfigurationError, ExchangeError, SenderDisabledError
from hie.core.settings import Settings
from hl7_gateway.er7 import charset
from hl7_gateway.er7.message import Message, Repetition
from hl7_gateway.er7.text import part
from hl7_gateway.sender import Sender, facility_id
from hl7_gateway.tables import SenderProfile

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 30.0
# HD is at most 227 characters long (HL7 v2.5.1 section 2.A.33).
_LONGEST_NAME = 227
# Where MSH-3 and MSH-4 stand in an MSH cut at its separator.
_APPLICATION, _FACILITY = 2, 3
_SEARCHED_BYTES = 1024
# Senders with a universal id that are remembered before all are made anew.
_NAMED = 4096

_ENTER = """
INSERT INTO sender (application, facility, first_seen_at, is_enabled, is_registered)
SELECT application, facility, %s, true, false FROM unnest(%s::text[], %s::text[]) AS s (application, facility)
ORDER BY application, facility ON CONFLICT (application, facility) DO NOTHING
"""

Name = tuple[str, str]
"""Application and facility."""


class Senders:
    """The senders of one process; not shared between threads."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings that stand where a profile says nothing; nothing is read yet."""
        self._zone = settings.zone
        self._identifier_base = settings.identifier_base
        self._charset = "utf-8"
        self._profiles: dict[Name, Sender] = {}
        self._named: dict[tuple[Name, str], Sender] = {}
        self._refused: dict[Name, ExchangeError] = {}
        self._charsets: dict[tuple[bytes, bytes], str] = {}
        self._unlisted: dict[Name, None] = {}
        self._read_at: float | None = None

    def charset(self, raw: bytes) -> str:
        """Return the character set in which a message that declares none is read.

        Only senders that have been met are known by their bytes; the first message of a sender is read as
        UTF-8 by default (the reader still finds other sets by itself).
        """
        return self._charsets.get(_bytes_of_name(raw), self._charset) if self._charsets else self._charset

    def of(self, message: Message, raw: bytes) -> Sender:
        """Return the sender of `message`, of whose bytes it takes note."""
        name = name_of(message)
        sender = self._profiles.get(name)
        if sender is None:
            sender = Sender(*name, zone=self._zone, identifier_base=self._identifier_base)
            self._profiles[name] = sender
            self._unlisted[name] = None
        elif sender.charset != self._charset:
            self._charsets[_bytes_of_name(raw)] = sender.charset
        universal = facility_id(message.sending_facility)
        return self._identified(name, sender, universal) if universal else sender

    def _identified(self, name: Name, sender: Sender, universal: str) -> Sender:
        """Return the sender with its facility's universal id; profiles are by name alone."""
        place = (name, _storable(universal))
        found = self._named.get(place)
        if found is None:
            if len(self._named) >= _NAMED:
                self._named.clear()
            found = self._named[place] = replace(sender, facility_id=place[1])
        return found

    def check(self, sender: Sender) -> None:
        """Raise SenderDisabledError for a sender switched off, ConfigurationError for a wrong profile."""
        refused = self._refused.get((sender.application, sender.facility))
        if refused is not None:
            raise refused.with_traceback(None)

    def refresh(self, database: Database) -> None:
        """Read the profiles if they are due; raises UnavailableError when the database is away."""
        if self._read_at is None or time.monotonic() - self._read_at > REFRESH_SECONDS:
            self._read(database)

    def enter(self, database: Database, now: datetime) -> None:
        """Enter the senders that were met and have no profile; raises UnavailableError."""
        if not self._unlisted:
            return
        names = list(self._unlisted)
        with database.transaction() as transaction:
            columns = ([name[0] for name in names], [name[1] for name in names])
            transaction.connection.execute(_ENTER, (now, *columns))
        for application, facility in names:
            logger.info("new sender %s|%s", application, facility)
        self._unlisted.clear()

    def _read(self, database: Database) -> None:
        with database.transaction() as transaction:
            rows = transaction.session.exec(select(SenderProfile)).all()
            self._profiles.clear()
            self._named.clear()
            self._refused.clear()
            for row in rows:
                self._take(row)
        self._charsets.clear()
        self._read_at = time.monotonic()

    def _take(self, row: SenderProfile) -> None:
        name = row.application, row.facility
        named = "|".join(name)
        zone, codec = self._zone, self._charset
        if not row.is_enabled:
            self._refused[name] = SenderDisabledError(f"The sender {named} is switched off", location="MSH-3")
        elif row.zone and row.zone not in available_timezones():
            self._refused[name] = ConfigurationError(
                f"The profile of {named} has the unknown zone {row.zone}"
            )
        elif row.charset and not charset.codec(row.charset):
            reason = f"The profile of {named} has the unknown character set {row.charset}"
            self._refused[name] = ConfigurationError(reason)
        else:
            zone = ZoneInfo(row.zone) if row.zone else zone
            codec = charset.codec(row.charset or codec) or codec
        base = row.identifier_base or self._identifier_base
        self._profiles[name] = Sender(*name, zone=zone, charset=codec, identifier_base=base)


def name_of(message: Message) -> Name:
    """Return application and facility of `message`, as the directory has them."""
    return _name(message.sending_application), _name(message.sending_facility)


def _name(hd: Repetition) -> str:
    """Return HD.1, else HD.2, as a name that a row takes."""
    return _storable((part(hd, 1) or part(hd, 2)).strip())


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")[:_LONGEST_NAME]


def _bytes_of_name(raw: bytes) -> tuple[bytes, bytes]:
    start = raw.find(b"MSH", 0, _SEARCHED_BYTES)
    if start < 0:
        return b"", b""
    fields = raw[start : start + _SEARCHED_BYTES].split(raw[start + 3 : start + 4] or b"|", _FACILITY + 1)
    return (fields[_APPLICATION], fields[_FACILITY]) if len(fields) > _FACILITY else (b"", b"")
