"""The statements of the operator's page, on the gateway's journal.

They read what indexes hold, whatever the size of the journal: counts from the key
(sender, received_at), failures from their own partial index, a sender's habits from
one message an hour. No field of a message but MSH-7 and MSH-10 leaves the journal here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import select

from analytics.tables import SurveillanceSiteRow
from hie.core.db.database import Transaction
from hie.core.errors import DataTypeError
from hl7_gateway.datatypes.dtm import date_time
from hl7_gateway.tables import SenderProfile

# A sender's habits are seen over three weeks: two whole weekends lie in them at any time.
HABIT: Final = timedelta(days=21)
# The last messages are looked at one by one, because a backlog comes within one hour.
_LATEST: Final = 300
# Messages whose header could not be read have no sender.
_UNREADABLE: Final = ""

_COUNTS: Final = """
SELECT s.name,
    (SELECT max(received_at) FROM journal WHERE sender = s.name),
    (SELECT count(*) FROM journal WHERE sender = s.name AND received_at >= %(today)s),
    (SELECT count(*) FROM journal WHERE sender = s.name AND received_at >= %(yesterday)s)
FROM unnest(%(names)s::text[]) AS s (name)
"""
_FAILED: Final = """
SELECT sender, count(*) FILTER (WHERE received_at >= %(today)s),
    count(*) FILTER (WHERE received_at >= %(yesterday)s)
FROM journal WHERE state = 'failed' AND received_at >= least(%(today)s, %(yesterday)s) GROUP BY sender
"""
_HABIT: Final = """
SELECT f.name, f.received_at, f.sent_at FROM (
    SELECT s.name, m.received_at, m.sent_at
    FROM unnest(%(names)s::text[]) AS s (name)
    CROSS JOIN generate_series(%(since)s, %(now)s, interval '1 hour') AS h (hour)
    CROSS JOIN LATERAL (
        SELECT received_at, sent_at FROM journal
        WHERE sender = s.name AND received_at >= h.hour AND received_at < h.hour + interval '1 hour'
        ORDER BY received_at DESC LIMIT 1) AS m
    UNION ALL
    SELECT s.name, m.received_at, m.sent_at
    FROM unnest(%(names)s::text[]) AS s (name)
    CROSS JOIN LATERAL (
        SELECT received_at, sent_at FROM journal WHERE sender = s.name
        ORDER BY received_at DESC LIMIT %(latest)s
    ) AS m
) AS f (name, received_at, sent_at)
"""
_FAILURES: Final = """
SELECT received_at, sender, event, control_id, stage, error ->> 'class', error ->> 'location', ack_code
FROM journal WHERE state = 'failed' ORDER BY received_at DESC, id DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Known:
    """A sender that the gateway has met; `name` is MSH-3|MSH-4, `institution` its name where one is known."""

    name: str
    application: str
    facility: str
    institution: str
    zone: ZoneInfo
    is_enabled: bool
    is_registered: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages of one sender: the last arrival, and counts since midnight and within 24 hours."""

    last: datetime | None
    today: int
    failed_today: int
    in_24_hours: int
    failed_in_24_hours: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that failed: where and why (an error class), without anything that it says."""

    received_at: datetime
    sender: str
    event: str
    control_id: str
    stage: str
    error: str
    location: str
    ack_code: str


def senders(transaction: Transaction, zone: ZoneInfo) -> list[Known]:
    """Return every sender by facility, and last the one that stands for unreadable headers."""
    sites = {row.institution: row.name for row in transaction.session.exec(select(SurveillanceSiteRow))}
    found = [
        Known(
            f"{row.application}|{row.facility}",
            row.application,
            row.facility,
            sites.get(row.facility, ""),
            ZoneInfo(row.zone) if row.zone else zone,
            row.is_enabled,
            row.is_registered,
        )
        for row in transaction.session.exec(select(SenderProfile))
    ]
    found.sort(key=lambda each: (each.facility, each.application))
    return [*found, Known(_UNREADABLE, "", "", "", zone, is_enabled=True, is_registered=False)]


def traffic(
    transaction: Transaction, names: Sequence[str], *, midnight: datetime, now: datetime
) -> dict[str, Traffic]:
    """Return the traffic of each sender; a message that failed and was repaired counts as stored."""
    since = {"today": midnight, "yesterday": now - timedelta(days=1)}
    failed = {
        name: (today, yesterday)
        for name, today, yesterday in transaction.connection.execute(_FAILED, since).fetchall()
    }
    rows = transaction.connection.execute(_COUNTS, {**since, "names": list(names)}).fetchall()
    return {
        name: Traffic(last, today, failed.get(name, (0, 0))[0], yesterday, failed.get(name, (0, 0))[1])
        for name, last, today, yesterday in rows
    }


def habits(transaction: Transaction, known: Sequence[Known], *, now: datetime) -> dict[str, list[datetime]]:
    """Return the times of a sample of each sender's messages: one of every hour, and the latest ones.

    The time of a message is its MSH-7; its arrival where MSH-7 gives no time of day.
    """
    zones = {each.name: each.zone for each in known}
    parameters = {"names": list(zones), "since": now - HABIT, "now": now, "latest": _LATEST}
    times: dict[str, list[datetime]] = {name: [] for name in zones}
    for name, received_at, text in transaction.connection.execute(_HABIT, parameters):
        times[name].append(_sent_at(text, zones[name]) or received_at)
    return times


def failures(transaction: Transaction, *, limit: int) -> list[Failure]:
    """Return the latest messages that failed, newest first."""
    rows = transaction.connection.execute(_FAILURES, (limit,)).fetchall()
    return [Failure(received_at, *(value or "" for value in rest)) for received_at, *rest in rows]


def _sent_at(text: str | None, zone: ZoneInfo) -> datetime | None:
    """Return the time of MSH-7 as written (its first component), None where it gives no time of day."""
    match = re.match(r"[0-9TZ.:+/\- ]+", text or "")
    if match is None:
        return None
    try:
        value = date_time(match[0], zone)
    except DataTypeError:
        return None
    return datetime.fromisoformat(value) if value is not None and "T" in value else None
