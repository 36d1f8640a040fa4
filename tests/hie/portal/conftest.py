"""The portal on the real repository, with persons that belong to nobody."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import sync_playwright

from hie import wiring
from hie.core.settings import Settings
from hie.core.web import errors
from hie.portal import router
from tests.hie.portal.browser import Browser
from tests.hie.portal.chromium import ARGUMENTS, CHROMIUM
from tests.hie.portal.records import store

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)


class FixedClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """Return the same time."""
        return NOW


@pytest.fixture
def exchange(database_url: str) -> Iterator[wiring.Exchange]:
    """The parts of the exchange on a fresh database, at a fixed time."""
    with wiring.build(Settings(), database_url=database_url, clock=FixedClock()) as parts:
        yield parts


@pytest.fixture
def filled(exchange: wiring.Exchange) -> wiring.Exchange:
    """The exchange with the records of `tests.hie.portal.records`."""
    store(exchange)
    return exchange


@pytest.fixture
def client(exchange: wiring.Exchange) -> Browser:
    """A browser without JavaScript, at the portal of `exchange`."""
    application = FastAPI()
    errors.install(application)
    router.install(
        application,
        router.Parts(
            store=exchange.repository,
            database=exchange.database,
            jobs=exchange.jobs,
            subscriptions=exchange.subscriptions,
            emergency=exchange.emergency_access,
            projects=exchange.privacy.projects,
            project_jobs=exchange.project_jobs,
            clock=exchange.clock,
            zone=exchange.settings.zone,
            rights=exchange.rights,
        ),
    )

    @application.get("/fhir/{rest:path}")
    def fault(rest: str) -> None:
        raise ZeroDivisionError(rest)

    @application.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError

    return Browser(application)


@pytest.fixture
def browser() -> Iterator[Chromium]:
    """A headless Chromium."""
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()
