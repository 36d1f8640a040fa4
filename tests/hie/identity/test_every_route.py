"""No route of the application answers somebody who is not known, but those that are for everybody."""

import re

import pytest
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from fhir_server.interactions.route import Table
from hie.app import EVERYBODYS
from hie.identity.accounts import Person
from tests.hie.identity.conftest import House

# a request that comes from another machine: this one reads the metrics without a token
ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}


def routes(found: list[BaseRoute]) -> list[Route]:
    """Return every HTTP route, those inside others too."""
    listed: list[Route] = []
    for route in found:
        if isinstance(route, Route):
            listed.append(route)
        elif isinstance(route, Table):
            listed += routes(list(route._routes))
        elif isinstance(route, Mount):
            listed += routes(list(route.routes))
        elif not isinstance(route, WebSocketRoute) and hasattr(route, "original_router"):
            listed += routes(list(route.original_router.routes))
    return listed


def is_everybodys(path: str) -> bool:
    """Return whether the application lists `path` as for everybody."""
    return any(path.startswith(each) if each.endswith("/") else path == each for each in EVERYBODYS)


def test_every_route_but_those_for_everybody_asks_who_it_is(house: House) -> None:
    seen = 0
    program, browser = house.program(), house.browser()
    for route in routes(house.app.router.routes):
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        if is_everybodys(path):
            continue
        for method in route.methods or ():
            seen += 1
            answer = program.request(method, path, headers=ELSEWHERE)
            assert answer.status_code == 401, (method, path, answer.status_code)
            assert "WWW-Authenticate" in answer.headers
            if method == "GET":
                led = browser.get(path, headers=ELSEWHERE)
                assert (led.status_code, led.headers["location"][:9]) == (303, "/sign-in?"), path
    assert seen > 80


@pytest.mark.parametrize(
    "path",
    [
        "/fhir/metadata/../Patient",
        "/fhir/metadata/",
        "/static/../fhir/Patient",
        "/fhir//Patient",
        "/FHIR/Patient",
        "/oauth/",
        "/sign-inx",
    ],
)
def test_path_that_resembles_one_for_everybody_shows_nothing(house: House, path: str) -> None:
    assert house.program().get(path).status_code in (401, 404)


def test_everybody_is_told_how_to_be_known(house: House) -> None:
    program = house.program()
    for path in (
        "/fhir/metadata",
        "/fhir/.well-known/smart-configuration",
        "/health",
        "/oauth/jwks",
        "/sign-in",
    ):
        assert program.get(path).status_code == 200, path


def test_session_that_ended_is_nobody_s_at_the_fhir_interface(house: House, clinician: Person) -> None:
    browser = house.browser()
    house.let_in(browser, clinician)
    assert browser.get("/fhir/Patient", headers={"Accept": "application/json"}).status_code == 200
    house.clock.advance(minutes=31)
    assert browser.get("/fhir/Patient", headers={"Accept": "application/json"}).status_code == 401
