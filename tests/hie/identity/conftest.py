"""The exchange with authentication on, a person of each kind, and clients of other people's making."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI

from hie import app as application
from hie import wiring
from hie.core.access import Permissive, Role
from hie.core.settings import Settings
from hie.identity import sessions
from hie.identity.accounts import Links, Person, person_of, set_roles
from hie.identity.clients import Registration, register
from hie.identity.passwords import hash_password
from hie.identity.tables import Account
from tests.conftest import fresh_database
from tests.hie.portal.browser import Browser

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
BASE = "http://localhost/fhir"
ISSUER = "http://localhost"
PASSWORD = "Vier-Wände7 kosten"  # noqa: S105 - of accounts that live as long as a test
SCOPES = (
    *("openid", "fhirUser", "profile", "offline_access", "launch", "launch/patient"),
    *("patient/*.rs", "user/*.cruds"),
)
CALLBACK = "https://app.example/callback"
VERIFIER = "a-code-verifier-of-at-least-forty-three-signs-0123456789"


class MovableClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        """Start at NOW."""
        self.time = NOW

    def now(self) -> datetime:
        """Return the time that was set."""
        return self.time

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self.time += timedelta(**span)


@dataclass
class House:
    """The application, and what tests do with it."""

    exchange: wiring.Exchange
    app: FastAPI
    clock: MovableClock

    def browser(self) -> Browser:
        """Return a browser that nobody is signed in with."""
        return Browser(self.app)

    def program(self) -> Browser:
        """Return a client that shows no pages."""
        return Program(self.app)

    def add(self, kind: str, *roles: Role, links: Links | None = None) -> Person:
        """Return a new account whose name begins with `kind`, with PASSWORD."""
        links = links or Links()
        account = Account(
            id=uuid4(),
            name=f"{kind}.{uuid4().hex[:8]}",
            display_name=f"The {kind}",
            password_hash=_hash_of_password(),
            patient_id=links.patient,
            practitioner_id=links.practitioner,
            organization_id=links.organization,
            created_at=self.clock.now(),
        )
        now, life = self.clock.now() - timedelta(seconds=1), self.exchange.identity.terms.longest_token
        with self.exchange.database.transaction() as transaction:
            transaction.session.add(account)
            transaction.session.flush()
            set_roles(transaction, account.id, roles, now=now, token_life=life)
            return person_of(transaction, account.id)

    def let_in(self, browser: Browser, person: Person) -> None:
        """Give the browser a session of the person, without the cost of a password."""
        with self.exchange.database.transaction() as transaction:
            begun = sessions.begin(
                transaction,
                person.account.id,
                methods=("pwd",),
                is_complete=True,
                lifetimes=self.exchange.identity.terms.sessions,
                now=self.clock.now(),
            )
        browser.cookies.set("session", begun.secret)

    def register(self, **values: Any) -> tuple[str, str | None]:
        """Return id and secret of a new client; a public one with one redirect URI unless told otherwise."""
        given: dict[str, Any] = {
            "name": "An app",
            "auth_method": "none",
            "scopes": SCOPES,
            "redirect_uris": (CALLBACK,),
            "grant_types": ("authorization_code", "refresh_token"),
        }
        given.update(values)
        with self.exchange.database.transaction() as transaction:
            client, secret = register(transaction, Registration(**given), now=self.clock.now())
        return client.id, secret

    def store(self, *resources: dict[str, Any]) -> None:
        """Store resources under their ids."""
        entries = [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in resources
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        with self.exchange.database.transaction() as transaction:
            (result,) = self.exchange.repository.transact(transaction, [bundle])
            assert result.error is None


@cache
def _hash_of_password() -> str:
    """Return one hash for all accounts: each would take a fifth of a second."""
    return hash_password(PASSWORD)


class Program(Browser):
    """A program: it asks for JSON."""

    accept = "application/json"


def hidden(page: httpx.Response, name: str) -> str:
    """Return the value of a hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text
    return found[1].replace("&amp;", "&")


def sign_in(browser: Browser, name: str, password: str = PASSWORD, back: str = "/") -> httpx.Response:
    """Return the answer to the sign-in form."""
    page = browser.get("/sign-in", params={"back": back})
    return browser.post(
        "/sign-in",
        data={"name": name, "password": password, "form_token": hidden(page, "form_token"), "back": back},
    )


def authorization(client_id: str, scope: str, **changes: str | None) -> dict[str, str]:
    """Return the parameters of an authorization request; None leaves one out."""
    given: dict[str, str | None] = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": scope,
        "state": "a-state",
        "aud": BASE,
        "code_challenge": create_s256_code_challenge(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return without_none(given)


def without_none(given: dict[str, str | None]) -> dict[str, str]:
    """Return what is not None."""
    return {name: value for name, value in given.items() if value is not None}


def allow(browser: Browser, page: httpx.Response, **fields: Any) -> httpx.Response:
    """Return the answer to the consent page, all of whose scopes are granted."""
    assert page.status_code == 200, page.text
    form = {
        "form_token": hidden(page, "form_token"),
        "request_query": hidden(page, "request_query"),
        "decision": "grant",
        "chosen": re.findall(r'name="chosen" value="([^"]*)"', page.text),
        **fields,
    }
    return browser.post("/oauth/decision", data=form)


def answer_of(redirection: httpx.Response) -> dict[str, str]:
    """Return the parameters that a redirection to the client carries."""
    assert redirection.status_code == 303, redirection.text
    address = redirection.headers["location"]
    assert address.startswith(CALLBACK), address
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def exchange_code(program: Browser, client_id: str, code: str, **changes: Any) -> httpx.Response:
    """Return the token endpoint's answer to a code."""
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **changes,
    }
    return program.post(
        "/oauth/token", data={name: value for name, value in form.items() if value is not None}
    )


def tokens_of(house: House, browser: Browser, client_id: str, scope: str, **fields: Any) -> dict[str, Any]:
    """Return the token response after the browser's person allowed everything."""
    page = browser.get("/oauth/authorize", params=authorization(client_id, scope))
    code = answer_of(allow(browser, page, **fields))["code"]
    answer = exchange_code(house.program(), client_id, code)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.text)
    return found


@pytest.fixture(scope="module")
def house(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The exchange with authentication on, at a time that tests move; one for all tests of a module.

    Whoever is known may do everything: what is tested here is who that is.
    """
    clock = MovableClock()
    settings = Settings(
        auth="on", var_dir=tmp_path_factory.mktemp("var"), base_url=BASE, second_factor_roles=()
    )
    with (
        fresh_database(server_url, template) as url,
        wiring.build(settings, database_url=url, clock=clock, access=Permissive()) as exchange,
    ):
        house = House(exchange, application.build(exchange), clock)
        house.store(
            {"resourceType": "Patient", "id": "p1", "name": [{"text": "Canary One"}]},
            {"resourceType": "Patient", "id": "p2", "name": [{"text": "Canary Two"}]},
        )
        yield house


@pytest.fixture
def clinician(house: House) -> Person:
    """A clinician."""
    return house.add("dr.li", Role.CLINICIAN, links=Links(practitioner="pr1", organization="org1"))


@pytest.fixture
def citizen(house: House) -> Person:
    """A citizen, who is Patient/p1; there is a Patient/p2 too."""
    return house.add("citizen", Role.CITIZEN, links=Links(patient="p1"))
