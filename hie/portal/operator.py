"""The operator's page: who sends, what fails, and who has fallen silent. No patient stands on it."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from hie.core.access import Role
from hie.core.db.database import Database
from hie.portal import queries
from hie.portal.page import Pages, requester_of
from hie.portal.people_of_trail import require_role
from hie.portal.queries import Known, Traffic
from hie.portal.silence import Judgement, Voice, judge

OPERATORS: Final = frozenset({Role.OPERATOR})
_FAILURES: Final = 30


@dataclass(frozen=True, slots=True)
class SenderRow:
    """One sender as the page shows it; `quiet_for` is how long it has been silent."""

    known: Known
    traffic: Traffic
    judgement: Judgement
    quiet_for: timedelta | None

    @property
    def is_silent(self) -> bool:
        """Whether the sender should have been heard by now; one that is switched off should not."""
        return self.judgement.voice is Voice.SILENT and self.known.is_enabled


def mount(router: APIRouter, pages: Pages, database: Database) -> None:
    """Add the page to `router`."""

    @router.get("/gateway")
    def gateway(request: Request) -> HTMLResponse:
        require_role(request, OPERATORS)
        now = pages.clock.now()
        local = now.astimezone(pages.zone)
        midnight = datetime.combine(local.date(), time.min, pages.zone)
        with database.transaction(requester=requester_of(request)) as transaction:
            known = queries.senders(transaction, pages.zone)
            traffic = queries.traffic(transaction, [each.name for each in known], midnight=midnight, now=now)
            habits = queries.habits(transaction, known, now=now)
            failures = queries.failures(transaction, limit=_FAILURES)
        rows = [
            _row(each, traffic[each.name], habits[each.name], now)
            for each in known
            if each.name or traffic[each.name].last is not None
        ]
        rows.sort(key=lambda row: not row.is_silent)
        return pages.render(
            request,
            "gateway.html",
            rows=rows,
            silent=[row for row in rows if row.is_silent],
            failures=failures,
            today=sum(row.traffic.today for row in rows),
            failed_today=sum(row.traffic.failed_today for row in rows),
            in_24_hours=sum(row.traffic.in_24_hours for row in rows),
            failed_in_24_hours=sum(row.traffic.failed_in_24_hours for row in rows),
        )


def _row(known: Known, traffic: Traffic, times: list[datetime], now: datetime) -> SenderRow:
    judgement = judge(times, now)
    quiet_for = now - judgement.last if judgement.last is not None else None
    return SenderRow(known, traffic, judgement, quiet_for)
