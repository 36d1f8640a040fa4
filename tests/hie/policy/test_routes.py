"""Every route of the whole application has a declared reach; a new one fails here until it says who gets in.

Routes of the FHIR API are tried one by one in `test_every_way`, whose list comes from the same table.
"""

from collections.abc import Iterator
from typing import Final

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from hie import app, wiring
from hie.core.access import ANONYMOUS, Requester, Role
from hie.core.settings import Settings
from tests.fhir_server.access.city import CANARY
from tests.hie.policy.city import (
    ADMINISTRATOR,
    ANALYST,
    CITIZEN,
    CLINICIAN,
    HOSPITAL,
    OPERATOR,
    STRANGER,
    person,
)
from tests.hie.policy.conftest import As

OFFICER: Final = person(Role.SECURITY_OFFICER, id="a-9")
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
    "/sign-in/with/number",
    "/sign-in/with/{name}",
    "/sign-in/with/{name}/callback",
    "/sign-out",
    "/static/{name}",
}
# What is shown is asked of the repository, on behalf of who is signed in, or is that account's own.
BY_POLICY: Final = {
    "/",
    "/account",
    "/account/outside/unlink",
    "/account/outside/{name}",
    "/account/password",
    "/account/revoke",
    "/account/second-factor",
    "/account/second-factor/confirm",
    "/api/rights/receipts",
    "/api/rights/receipts/{identity}",
    "/api/rights/receipts/{identity}/verification",
    "/api/rights/requests",
    "/api/rights/requests/{identity}",
    "/api/rights/requests/{identity}/copy/{name}",
    "/api/rights/requests/{identity}/steps",
    "/my/accesses",
    "/my/accesses/complaints",
    "/my/consents",
    "/my/consents/{identity}/withdraw",
    "/my/notices",
    "/my/rights",
    "/my/rights/correction",
    "/my/rights/receipts/{identity}",
    "/my/rights/receipts/{identity}/file",
    "/my/rights/requests",
    "/my/rights/requests/{identity}/copy/{name}",
    "/my/rights/requests/{identity}/steps",
    "/oauth/userinfo",
    "/patients",
    "/patients/{patient_id}",
    "/patients/{patient_id}/apps",
    "/role",
}
# Figures and descriptions without persons.
WITHOUT_PERSONS: Final = {"/api/openapi.json", "/api/rights/grounds", "/metrics", "/privacy"}
# For roles that the page or the policy asks for.
BY_ROLE: Final = {
    "/administration",
    "/administration/accounts",
    "/administration/accounts/{account_id}",
    "/administration/clients",
    "/administration/clients/{client_id}",
    "/card-desk",
    "/card-desk/find",
    "/card-desk/link",
    "/api/rights/processing",
    "/api/rights/processing/export",
    "/api/rights/processing/{identity}",
    "/api/rights/processing/{identity}/retirement",
    "/audit",
    "/complaints",
    "/complaints/{number}",
    "/emergencies",
    "/emergencies/{identity}",
    "/emergency",
    "/emergency/{identity}/end",
    "/gateway",
    "/jobs",
    "/jobs/{identity}",
    "/jobs/{identity}/cancel",
    "/projects",
    "/projects/{project}",
    "/projects/{project}/exports/{job}/{name}",
    "/projects/{project}/{step}",
    "/processing",
    "/processing/export",
    "/processing/{identity}",
    "/processing/{identity}/retirement",
    "/rights",
    "/rights/{identity}",
    "/rights/{identity}/steps",
    "/subscriptions",
    "/subscriptions/{identity}",
    "/subscriptions/{identity}/redrive",
    "/warning",
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
    [
        ("/jobs", OPERATOR),
        ("/subscriptions", OPERATOR),
        ("/gateway", OPERATOR),
        ("/warning", ANALYST),
        ("/emergency", CLINICIAN),
        ("/emergencies", OFFICER),
        ("/complaints", OFFICER),
        ("/audit", OFFICER),
        ("/my/consents", CITIZEN),
        ("/my/notices", CITIZEN),
        ("/my/accesses", CITIZEN),
    ],
)
def test_pages_of_a_role_refuse_others(looking: As, path: str, permitted: Requester) -> None:
    for who in (CITIZEN, CLINICIAN, OPERATOR, ANALYST, ADMINISTRATOR, OFFICER, HOSPITAL, ANONYMOUS):
        answer = looking(who).get(path)
        assert answer.status_code == (200 if who is permitted else 403), (who, answer.text)
