"""Every route of the whole application has a declared reach; a new one fails here until it says who gets in.

Routes of the FHIR API are tried one by one in `test_every_way`, whose list comes from the same table.
"""

from collections.abc import Iterator
from typing import Final

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from hie import app, wiring
from hie.core.access import Requester
from hie.core.settings import Settings
from tests.fhir_server.access.city import CANARY
from tests.hie.policy.city import ANALYST, CITIZEN, CLINICIAN, OPERATOR, STRANGER
from tests.hie.policy.conftest import As

# Nobody need be known: how to become known, and the server's own state.
EVERYBODY: Final = {
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/fhir/.well-known/smart-configuration",
    "/health",
    "/language",
    "/oauth/authorize",
    "/oauth/decision",
    "/oauth/introspect",
    "/oauth/jwks",
    "/oauth/revoke",
    "/oauth/token",
    "/sign-in",
    "/sign-in/code",
    "/sign-in/link",
    "/sign-out",
    "/static/{name}",
}
# What is shown is asked of the repository, on behalf of who is signed in, or is that account's own.
BY_POLICY: Final = {
    "/",
    "/account",
    "/account/password",
    "/account/revoke",
    "/account/second-factor",
    "/account/second-factor/confirm",
    "/my/accesses",
    "/my/accesses/complaints",
    "/oauth/userinfo",
    "/patients",
    "/patients/{patient_id}",
    "/patients/{patient_id}/apps",
    "/role",
}
# Figures and descriptions without persons.
WITHOUT_PERSONS: Final = {"/api/openapi.json", "/metrics", "/warning", "/gateway"}
# For roles that the page or the policy asks for.
BY_ROLE: Final = {
    "/administration",
    "/administration/accounts",
    "/administration/accounts/{account_id}",
    "/administration/clients",
    "/administration/clients/{client_id}",
    "/audit",
    "/complaints",
    "/complaints/{number}",
    "/jobs",
    "/jobs/{identity}",
    "/jobs/{identity}/cancel",
    "/subscriptions",
    "/subscriptions/{identity}",
    "/subscriptions/{identity}/redrive",
}
DECLARED: Final = EVERYBODY | BY_POLICY | WITHOUT_PERSONS | BY_ROLE
# A route of the FHIR API, whose ways are tried elsewhere; its sockets are bound by a token of a request.
_OF_FHIR: Final = "/fhir"


def paths(routes: list[BaseRoute]) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from paths(inner.routes)
        elif hasattr(route, "path"):
            yield route.path


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    settings = Settings(auth="on", var_dir=tmp_path_factory.mktemp("var"))
    with wiring.build(settings, database_url="postgresql://nobody@127.0.0.1:1/none") as exchange:
        yield app.build(exchange)


def test_every_route_declares_who_reaches_it(application: FastAPI) -> None:
    found = {each for each in paths(application.router.routes) if not each.startswith(f"{_OF_FHIR}/")}
    found |= {each for each in paths(application.router.routes) if each in EVERYBODY}
    unmatched = {each.replace(":path}", "}") for each in found} ^ DECLARED
    assert unmatched == set()


@pytest.mark.parametrize(
    "who",
    [CITIZEN, CLINICIAN, STRANGER, OPERATOR, ANALYST],
    ids=["citizen", "doctor", "stranger", "operator", "analyst"],
)
def test_no_page_shows_another_record(looking: As, who: Requester) -> None:
    client = looking(who)
    for path in sorted(BY_POLICY | WITHOUT_PERSONS | BY_ROLE):
        url = path.replace("{patient_id}", "y").replace("{identity}", "1").replace("{number}", "1")
        for asked in (url, f"{url}?name=CANARY&q=CANARY&family=CANARY"):
            answer = client.get(asked)
            assert answer.status_code < 500, (asked, answer.text)
            assert CANARY not in answer.text, asked


@pytest.mark.parametrize(
    ("path", "permitted"),
    [("/jobs", OPERATOR), ("/subscriptions", OPERATOR)],
)
def test_pages_of_a_role_refuse_others(looking: As, path: str, permitted: Requester) -> None:
    for who in (CITIZEN, CLINICIAN, ANALYST):
        assert looking(who).get(path).status_code == 403, who
    assert looking(permitted).get(path).status_code == 200
