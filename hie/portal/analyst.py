"""The analyst's page: daily counts of the surveilled groups, their thresholds, and what EARS says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from analytics.board import DayCount, SeriesBoard, board
from analytics.condition_groups import condition_groups
from hie.core.access import Role
from hie.core.db.database import Database
from hie.core.errors import NotFoundError
from hie.portal import chart
from hie.portal.chart import Chart
from hie.portal.page import Pages, requester_of
from hie.portal.people_of_trail import require_role

DAYS: Final = 90
ANALYSTS: Final = frozenset({Role.ANALYST, Role.PUBLIC_HEALTH_OFFICER})
# The days whose alarms are listed; older ones stand in the charts.
_LISTED: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Panel:
    """One series with its drawing."""

    series: SeriesBoard
    chart: Chart

    @property
    def total(self) -> int:
        """The cases of all days shown."""
        return sum(day.cases for day in self.series.days)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One day of one series on which a detector alarms."""

    series: SeriesBoard
    day: DayCount


def mount(router: APIRouter, pages: Pages, database: Database) -> None:
    """Add the page to `router`."""

    @router.get("/warning")
    def warning(request: Request, group: str = "") -> HTMLResponse:
        require_role(request, ANALYSTS)
        groups = condition_groups()
        if group and group not in {each.key for each in groups}:
            raise NotFoundError(f"There is no condition group `{group}`")
        today = pages.clock.now().astimezone(pages.zone).date()
        with database.transaction(requester=requester_of(request)) as transaction:
            every = board(transaction, today=today, days=DAYS)
        chosen = [series for series in every if group in {"", series.group.key}]
        shown = [series for series in chosen if group or not series.division]
        return pages.render(
            request,
            "warning.html",
            groups=groups,
            group=group,
            days=DAYS,
            listed_days=_LISTED.days,
            panels=[Panel(series, chart.draw(series.days)) for series in shown],
            alarms=_alarms(chosen),
            has_cases=any(day.cases for series in every for day in series.days),
            chart_width=chart.WIDTH,
            chart_height=chart.HEIGHT,
        )


def _alarms(every: Sequence[SeriesBoard]) -> list[Alarm]:
    """Return the alarms of the listed days: the newest first, then where most detectors agree."""
    found = [
        Alarm(series, day)
        for series in every
        for day in series.alarm_days
        if series.days[-1].day - day.day < _LISTED
    ]
    return sorted(
        found, key=lambda alarm: (alarm.day.day, len(alarm.day.alarms), alarm.day.cases), reverse=True
    )
