"""A citizen and a card desk at a browser: out to a provider and back, against a server process."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright

from hie import wiring
from hie.core.access import Role
from hie.core.clock import SystemClock
from hie.core.settings import Settings
from hie.identity.accounts import add_account
from hie.identity.sign_in import make_link
from tests.conftest import ROOT, fresh_database
from tests.environment import clean_environment
from tests.hie.identity.outside.conftest import NUMBER, SYSTEM
from tests.hie.identity.outside.simulator import CLIENT_ID, SECRET, Simulator
from tests.hie.portal.chromium import ARGUMENTS, CHROMIUM, FAINT, MARKS, Visit

pytestmark = MARKS


@dataclass
class City:
    """A server process, its providers, and a link that lets a card desk in."""

    address: str
    app: Simulator
    wechat: Simulator
    desk: str


@pytest.fixture(scope="module")
def city(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("var")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    path = f"{address}/sign-in/with"
    app = Simulator("oidc", f"{path}/app/callback", SystemClock())
    wechat = Simulator("wechat", f"{path}/wechat/callback", SystemClock())
    (folder / "providers.yaml").write_text(yaml.safe_dump(_providers(app, wechat)))
    with fresh_database(server_url, template) as url:
        desk = _fill(url, folder)
        environment = clean_environment(
            HIE_DATABASE_URL=url,
            HIE_PORT=str(port),
            HIE_VAR_DIR=str(folder),
            HIE_IDENTITY_PROVIDERS=str(folder / "providers.yaml"),
            PYTHONPATH=str(ROOT),
        )
        with _serving(environment, address):
            yield City(address, app, wechat, f"{address}/sign-in/link?key={desk}")
    app.close()
    wechat.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.mark.parametrize(("width", "scripts"), [(1280, True), (390, False)], ids=["desk", "phone"])
def test_citizen_signs_in_by_the_citys_app(
    city: City, chromium: Browser, width: int, *, scripts: bool
) -> None:
    city.app.person.update({"sub": "c1", "acr": "high", "id_number": NUMBER})
    visit = Visit(chromium, city.address, width=width, scripts=scripts)
    page = visit.page
    page.goto("/account")
    page.get_by_role("link", name="绿城通").click()
    assert page.url == f"{city.address}/account"
    assert page.evaluate(FAINT) == []
    assert "绿城通" in page.get_by_role("region", name="已绑定的平台").inner_text()
    page.get_by_role("button", name="退出登录").click()
    assert page.get_by_role("link", name="同时退出该平台").get_attribute("href")
    page.goto("/account")
    assert page.get_by_role("heading", level=1).inner_text() == "登录"
    assert _own_faults(visit, city) == []


def test_card_desk_links_who_comes_with_wechat(city: City, chromium: Browser) -> None:
    city.wechat.person["openid"] = "o1"
    citizen = Visit(chromium, city.address, width=390, scripts=False)
    citizen.page.goto("/sign-in")
    citizen.page.get_by_role("link", name="微信").click()
    code = citizen.page.locator("strong.digits").inner_text()
    assert citizen.page.evaluate(FAINT) == []
    desk = Visit(chromium, city.address, width=1280, scripts=True)
    desk.page.goto(city.desk)
    desk.page.get_by_role("main").get_by_role("button").click()
    desk.page.goto("/card-desk")
    desk.page.get_by_label("绑定码").fill(code)
    desk.page.get_by_label("证件号或卡号").fill(NUMBER)
    desk.page.get_by_role("button", name="查找").click()
    assert "1990-01-01" in desk.page.inner_text("main")
    assert desk.page.evaluate(FAINT) == []
    desk.page.get_by_role("button", name="确认绑定").click()
    assert "已绑定" in desk.page.get_by_role("status").inner_text()
    citizen.page.get_by_role("link", name="返回登录").click()
    citizen.page.get_by_role("link", name="微信").click()
    assert citizen.page.url.partition("#")[0] == f"{city.address}/my/accesses"
    citizen.page.get_by_role("button", name="English").click()
    citizen.page.goto("/account")
    assert "Linked providers" in citizen.page.inner_text("main")
    assert _own_faults(desk, city) == []
    assert _own_faults(citizen, city) == []


def _own_faults(visit: Visit, city: City) -> list[str]:
    """Return what went wrong; that the way leads over the providers is meant."""
    meant = tuple(f"foreign {each.issuer}/authorize" for each in (city.app, city.wechat))
    return [each for each in visit.faults if not each.startswith(meant)]


def _providers(app: Simulator, wechat: Simulator) -> dict[str, object]:
    client = {"client_id": CLIENT_ID, "client_secret": SECRET}
    assured = {"values": ["high"]}
    identity = {"claim": "id_number", "system": SYSTEM, "assurance": assured}
    titles = [{"zh": "绿城通", "en": "City app"}, {"zh": "微信", "en": "WeChat"}]
    return {
        "app": {"kind": "oidc", "title": titles[0], "issuer": app.issuer, **client, "identity": identity},
        "wechat": {
            "kind": "wechat",
            "title": titles[1],
            **client,
            "authorization_endpoint": f"{wechat.issuer}/authorize",
            "token_endpoint": f"{wechat.issuer}/sns/oauth2/access_token",
        },
    }


def _fill(url: str, folder: Path) -> str:
    """Store the Patient, add a card desk, and return the secret of the link that lets it in."""
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "birthDate": "1990-01-01",
        "name": [{"text": "测试一"}],
        "identifier": [{"system": SYSTEM, "value": NUMBER}],
    }
    entry = {"resource": patient, "request": {"method": "PUT", "url": "Patient/p1"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    with (
        wiring.build(Settings(var_dir=folder), database_url=url) as exchange,
        exchange.database.transaction() as transaction,
    ):
        (result,) = exchange.repository.transact(transaction, [bundle])
        assert result.error is None
        now = exchange.clock.now()
        person = add_account(
            transaction,
            "desk",
            roles=[Role.CARD_DESK],
            password="Vier-Wände7 kosten",  # noqa: S106 - of an account that lives as long as a test
            rule=exchange.identity.password_rule,
            now=now,
        )
        return make_link(transaction, person.account.id, now=now)


@contextmanager
def _serving(environment: dict[str, str], address: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "hie", "serve"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{address}/health", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)
