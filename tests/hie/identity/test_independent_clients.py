"""Clients of other people's making against a real server process: authlib's for httpx."""

import os
import re
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from hie import wiring
from hie.core.access import Role
from hie.core.settings import Settings
from hie.identity.accounts import Links, add_account
from hie.identity.clients import Registration, register
from tests.conftest import fresh_database
from tests.hie.identity.conftest import CALLBACK, PASSWORD, VERIFIER

with warnings.catch_warnings():  # authlib would rather have the successor of httpx
    warnings.simplefilter("ignore")
    from authlib.integrations.httpx_client import OAuth2Client

KEY = ECKey.generate_key("P-384", {"kid": "his"})
SCOPE = "openid fhirUser launch/patient patient/*.rs offline_access"


@dataclass(frozen=True)
class Served:
    """A server process: its origin, and the ids of the clients that are registered."""

    origin: str
    app: str
    system: str


@pytest.fixture(scope="module")
def served(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The exchange in a process of its own, with a citizen, an app and a system."""
    folder = tmp_path_factory.mktemp("served")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with fresh_database(server_url, template) as url:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HIE_")},
            "HIE_DATABASE_URL": url,
            "HIE_PORT": str(port),
            "HIE_VAR_DIR": str(folder),
            "HIE_AUTH": "on",
        }
        app, system = _fill(url, folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "hie", "serve"], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            _wait(f"http://127.0.0.1:{port}/health")
            yield Served(f"http://127.0.0.1:{port}", app, system)
        finally:
            process.terminate()
            process.wait()


def _fill(url: str, folder: Path) -> tuple[str, str]:
    """Store what the tests need; return the ids of the clients."""
    with wiring.build(Settings(var_dir=folder), database_url=url) as exchange:
        now = exchange.clock.now()
        entry = {
            "resource": {"resourceType": "Patient", "id": "p1"},
            "request": {"method": "PUT", "url": "Patient/p1"},
        }
        with exchange.database.transaction() as transaction:
            exchange.repository.transact(
                transaction, [{"resourceType": "Bundle", "type": "transaction", "entry": [entry]}]
            )
            add_account(
                transaction,
                "citizen",
                roles=[Role.CITIZEN],
                password=PASSWORD,
                rule=exchange.identity.password_rule,
                now=now,
                links=Links(patient="p1"),
            )
            app, _ = register(
                transaction,
                Registration(
                    "App",
                    "none",
                    tuple(SCOPE.split()),
                    redirect_uris=(CALLBACK,),
                    grant_types=("authorization_code", "refresh_token"),
                ),
                now=now,
            )
            system, _ = register(
                transaction,
                Registration(
                    "HIS",
                    "private_key_jwt",
                    ("system/*.cruds",),
                    grant_types=("client_credentials",),
                    jwks={"keys": [KEY.as_dict(private=False)]},
                ),
                now=now,
            )
            return app.id, system.id


def _wait(address: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(address, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            assert time.monotonic() < deadline
        time.sleep(0.1)


def _field(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, page.text
    return found[1].replace("&amp;", "&")


def _consent(served: Served, address: str) -> str:
    """Return where the browser of the citizen is led after it allowed what `address` asks for."""
    with httpx.Client(base_url=served.origin, headers={"Accept": "text/html"}) as browser:
        page = browser.get(address, follow_redirects=True)
        form = {
            "name": "citizen",
            "password": PASSWORD,
            "form_token": _field(page, "form_token"),
            "back": _field(page, "back"),
        }
        page = browser.post("/sign-in", data=form, follow_redirects=True)
        answer = browser.post(
            "/oauth/decision",
            data={
                "form_token": _field(page, "form_token"),
                "request_query": _field(page, "request_query"),
                "decision": "grant",
                "patient": "p1",
                "chosen": re.findall(r'name="chosen" value="([^"]*)"', page.text),
            },
        )
        return str(answer.headers["location"])


def test_app_of_authlib_launches_reads_refreshes_and_revokes(served: Served) -> None:
    smart = httpx.get(f"{served.origin}/fhir/.well-known/smart-configuration").json()
    client = OAuth2Client(
        served.app,
        token_endpoint_auth_method="none",  # noqa: S106 - a public client has no secret
        code_challenge_method="S256",
        redirect_uri=CALLBACK,
        scope=SCOPE,
    )
    with client:
        address, state = client.create_authorization_url(
            smart["authorization_endpoint"], code_verifier=VERIFIER, aud=f"{served.origin}/fhir"
        )
        landed = _consent(served, address)
        token = client.fetch_token(
            smart["token_endpoint"], authorization_response=landed, state=state, code_verifier=VERIFIER
        )
        assert token["patient"] == "p1"
        keys = KeySet.import_key_set(httpx.get(smart["jwks_uri"]).json())
        claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
        assert claims["fhirUser"] == f"{served.origin}/fhir/Patient/p1"
        assert client.get(f"{served.origin}/fhir/Patient/p1").json()["id"] == "p1"
        first = token["access_token"]
        renewed = client.refresh_token(smart["token_endpoint"], refresh_token=token["refresh_token"])
        assert renewed["access_token"] != first
        assert client.get(f"{served.origin}/fhir/Patient?_id=p1").json()["entry"][0]["resource"]["id"] == "p1"
        revoked = client.revoke_token(
            smart["revocation_endpoint"],
            token=renewed["refresh_token"],
            token_type_hint="refresh_token",  # noqa: S106 - a kind of token
        )
        assert revoked.status_code == 200
        time.sleep(1.1)  # the list of revocations is read once a second
        for each in (first, renewed["access_token"]):
            answer = httpx.get(
                f"{served.origin}/fhir/Patient/p1", headers={"Authorization": f"Bearer {each}"}
            )
            assert answer.status_code == 401


def test_system_of_authlib_proves_itself_by_an_assertion(served: Served) -> None:
    endpoint = f"{served.origin}/oauth/token"
    method = PrivateKeyJWT(
        endpoint, alg="ES384", headers={"kid": "his"}, claims={"exp": int(time.time()) + 300}
    )
    client = OAuth2Client(served.system, KEY, token_endpoint_auth_method=method, scope="system/*.rs")
    with client:
        token = client.fetch_token(endpoint, grant_type="client_credentials")
        assert token["scope"] == "system/*.rs"
        assert client.get(f"{served.origin}/fhir/Patient?_id=p1").status_code == 200
