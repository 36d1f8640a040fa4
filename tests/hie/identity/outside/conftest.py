"""The exchange with authentication on and five providers outside."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from hie import app as application
from hie import wiring
from hie.core.access import Permissive
from hie.core.settings import Settings
from tests.conftest import fresh_database
from tests.hie.identity.conftest import BASE, ISSUER, House, MovableClock
from tests.hie.identity.outside.simulator import CLIENT_ID, SECRET, Simulator
from tests.hie.portal.browser import Browser

SYSTEM = "http://hie.example/sid/resident-id"
NUMBER = "410102199001011239"
KINDS = {
    "city-app": "oidc",
    "social-card": "oidc",
    "health-app": "oauth2",
    "wechat": "wechat",
    "staff": "oidc",
}


@dataclass
class Outside:
    """The house and its providers by name."""

    house: House
    providers: dict[str, Simulator]

    def lead(self, browser: Browser, name: str, path: str = "", **query: str) -> str:
        """Return the address that the provider sends the browser back to, after it was led there."""
        led = browser.get(path or f"/sign-in/with/{name}", params=query)
        assert led.status_code == 303, led.text
        there = httpx.get(led.headers["location"].partition("#")[0])
        assert there.status_code == 302, there.text
        return str(there.headers["location"]).removeprefix(ISSUER)

    def sign_in(self, browser: Browser, name: str, **query: str) -> httpx.Response:
        """Return the page that the browser is shown when it is back."""
        return browser.get(self.lead(browser, name, **query))


@pytest.fixture(scope="module")
def outside(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    clock = MovableClock()
    simulators = {
        name: Simulator(kind, f"{ISSUER}/sign-in/with/{name}/callback", clock)  # type: ignore[arg-type] # KINDS
        for name, kind in KINDS.items()
    }
    folder = tmp_path_factory.mktemp("var")
    (folder / "secret").write_text(f"{SECRET}\n")
    file = folder / "providers.yaml"
    file.write_text(yaml.safe_dump(_providers(simulators, str(folder / "secret"))))
    settings = Settings(auth="on", var_dir=folder, base_url=BASE, identity_providers=file)
    with (
        fresh_database(server_url, template) as url,
        wiring.build(settings, database_url=url, clock=clock, access=Permissive()) as exchange,
    ):
        house = House(exchange, application.build(exchange), clock)
        identifier = [{"system": SYSTEM, "value": NUMBER}]
        house.store(
            {"resourceType": "Patient", "id": "p1", "birthDate": "1990-01-01", "identifier": identifier},
            {"resourceType": "Patient", "id": "gone", "active": False, "identifier": identifier},
        )
        yield Outside(house, simulators)
    for each in simulators.values():
        each.close()


@pytest.fixture(autouse=True)
def _as_they_were(outside: Outside) -> Iterator[None]:
    yield
    for each in outside.providers.values():
        each.faults.clear()
        each.person.clear()
    with outside.house.exchange.database.transaction() as transaction:
        transaction.connection.execute("TRUNCATE identity_outside_code, identity_account CASCADE")


def hashed(number: str) -> str:
    """Return the digest that a provider tells instead of the number."""
    return hashlib.sha256(number.encode()).hexdigest()


def location(response: httpx.Response) -> str:
    """Return the path that a redirection leads to."""
    assert response.status_code == 303, response.text
    return urlsplit(response.headers["location"]).path


def _providers(simulators: dict[str, Simulator], secret_file: str) -> dict[str, object]:
    assured = {"claim": "acr", "values": ["high"]}
    identity = {"claim": "id_number", "system": SYSTEM, "assurance": assured}
    described: dict[str, object] = {}
    for name, simulator in simulators.items():
        one: dict[str, object] = {
            "kind": simulator.kind,
            "title": {"zh": f"平台 {name}", "en": f"Provider {name}"},
            "client_id": CLIENT_ID,
            "client_secret_file": secret_file,
        }
        if simulator.kind == "oidc":
            one["issuer"] = simulator.issuer
        else:
            place = "/sns/oauth2/access_token" if simulator.kind == "wechat" else "/token"
            one |= {
                "authorization_endpoint": f"{simulator.issuer}/authorize",
                "token_endpoint": f"{simulator.issuer}{place}",
                "userinfo_endpoint": f"{simulator.issuer}/userinfo",
            }
        described[name] = one
    described["city-app"] |= {"identity": identity}  # type: ignore[operator] # the dicts made above
    described["health-app"] |= {"identity": identity}  # type: ignore[operator]
    described["social-card"] |= {  # type: ignore[operator]
        "identity": {**identity, "claim": "id_number_sha256", "digest": "sha256"}
    }
    described["staff"] |= {  # type: ignore[operator]
        "persons": "staff",
        "roles": {
            "claim": "realm_access.roles",
            "map": {"doctor": "clinician", "desk": "card-desk", "root": "system-administrator"},
            "links": {"practitioner": "practitioner", "organization": "organization"},
        },
    }
    return described
