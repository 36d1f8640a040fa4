"""Every form and every page of the application, as its router table lists them.

A new form that takes what another site's page sends fails here, and so does a page that could be framed.
"""

import re
from enum import Enum
from http import HTTPStatus
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import pytest
from annotated_types import Ge, MinLen
from fastapi.routing import APIRoute
from starlette.routing import Route

from hie.core.access import Role
from hie.identity import sessions
from hie.identity.accounts import Links, Person
from tests.hie.identity.conftest import House
from tests.hie.identity.test_every_route import routes
from tests.hie.portal.browser import Browser

# What a client application or its person's browser sends from elsewhere by design, held by other means:
# a client's own credentials, or a redirection to a page that asks (RFC 6749, 3.1).
FROM_ELSEWHERE = {
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/userinfo",
    "/oauth/authorize",
}
WELL_KNOWN = ("/.well-known/", "/fhir/.well-known/")
OWN_SITE_ONLY = "A form is sent from a page of this site only"
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
OTHER_SITES: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]
ROLES = [
    (Role.SYSTEM_ADMINISTRATOR,),
    (Role.SECURITY_OFFICER,),
    (Role.AUDITOR,),
    (Role.CLINICIAN,),
    (Role.OPERATOR,),
    (Role.CITIZEN,),
]


def forms(house: House) -> list[Route]:
    """Return every route that takes a form and is no program's."""
    found = [
        route
        for route in routes(house.app.router.routes)
        if "POST" in (route.methods or ())  # other methods no form has, and CORS asks for leave
        and not route.path.startswith("/fhir")
        and route.path not in FROM_ELSEWHERE
    ]
    assert len(found) > 15
    return found


def filled(route: Route) -> dict[str, Any]:
    """Return values that the form of `route` takes, by the types of its fields."""
    assert isinstance(route, APIRoute), route.path
    values: dict[str, Any] = {}
    for field in route.dependant.body_params:
        annotation = field.field_info.annotation
        known = field.field_info.metadata
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            values[field.alias] = next(iter(annotation)).value
        elif get_origin(annotation) is Literal:
            values[field.alias] = get_args(annotation)[0]
        elif annotation is int:
            values[field.alias] = next((each.ge for each in known if isinstance(each, Ge)), 0)
        elif annotation is str:
            shortest = next((each.min_length for each in known if isinstance(each, MinLen)), 0)
            values[field.alias] = "x" * max(1, shortest)
    return values


@pytest.fixture(scope="module")
def people(house: House) -> list[Person]:
    """A person of every kind that has pages of its own."""
    return [
        house.add("person", *roles, links=Links(patient="p1", practitioner="pr1", organization="org1"))
        for roles in ROLES
    ]


def address(route: Route, person: Person) -> str:
    """Return an address that `route` takes; 1 is a number and a text."""
    assert isinstance(route, APIRoute), route.path
    path = route.path
    for field in route.dependant.path_params:
        annotation = field.field_info.annotation
        value = str(person.account.id) if annotation is UUID else "1"
        if get_origin(annotation) is Literal:
            value = get_args(annotation)[0]
        path = path.replace(f"{{{field.alias}}}", value)
    return path


def half_signed_in(house: House, browser: Browser, person: Person) -> None:
    """Give the browser a session that waits for the second factor."""
    with house.exchange.database.transaction() as transaction:
        begun = sessions.begin(
            transaction,
            person.account.id,
            methods=("pwd",),
            is_complete=False,
            lifetimes=house.exchange.identity.terms.sessions,
            now=house.clock.now(),
        )
    browser.cookies.set("session", begun.secret)


def answer(house: House, person: Person, route: Route, headers: dict[str, str]) -> tuple[int, str]:
    """Return status and text of the form's answer to a person's browser."""
    browser = house.program()
    if route.path == "/sign-in/code":
        half_signed_in(house, browser, person)
    else:
        house.let_in(browser, person)
    found = browser.post(address(route, person), data=filled(route), headers=headers)
    return found.status_code, found.text


def test_form_that_another_site_sends_is_refused(house: House, people: list[Person]) -> None:
    for route in forms(house):
        answers = [answer(house, person, route, CROSS_SITE) for person in people]
        assert all(400 <= status < 500 for status, _ in answers), (route.path, answers)
        # what takes JSON alone is asked of no other site's page without leave (CORS): no form can send it
        is_for_programs = all(status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE for status, _ in answers)
        # not for lack of a role alone: somebody who may send it is told why not so
        senders = [each for each, (_, text) in zip(people, answers, strict=True) if OWN_SITE_ONLY in text]
        assert is_for_programs or senders, (route.path, answers)
        for headers in OTHER_SITES if senders else ():
            status, text = answer(house, senders[0], route, headers)
            assert (status, OWN_SITE_ONLY in text) == (400, True), (route.path, headers)


def test_every_answer_forbids_being_framed_sniffed_kept_and_scripted(
    house: House, people: list[Person]
) -> None:
    seen = 0
    shown_to = [person for person in people if person.roles & {Role.SYSTEM_ADMINISTRATOR, Role.CITIZEN}]
    browsers = [house.browser() for _ in shown_to]
    for browser, person in zip(browsers, shown_to, strict=True):
        house.let_in(browser, person)
    for route in routes(house.app.router.routes):
        if "GET" not in (route.methods or ()):
            continue
        path = re.sub(r"\{[^}]*\}", "p1", route.path)
        shown = browsers if not path.startswith("/fhir") else browsers[:1]
        for browser in shown:
            found = browser.get(path).headers
            seen += 1
            policy = found["content-security-policy"]
            directives = {each.split()[0]: each.split()[1:] for each in policy.split(";")}
            assert directives["default-src"] in (["'none'"], ["'self'"]), path
            assert directives.get("script-src", ["'none'"]) in (["'none'"], ["'self'"]), path
            is_sandboxed = "sandbox" in directives
            assert is_sandboxed or directives["frame-ancestors"] == ["'none'"], path
            assert "unsafe" not in policy or is_sandboxed, path
            assert found["x-frame-options"] == "DENY", path
            assert found["x-content-type-options"] == "nosniff", path
            assert found["referrer-policy"] in ("no-referrer", "same-origin"), path
            if not path.startswith(("/static", "/oauth/jwks", *WELL_KNOWN)):  # the same for everybody
                assert found["cache-control"] in ("no-store", "private, no-store", "no-cache"), path
    assert seen > 100
