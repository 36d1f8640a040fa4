"""With a name of its own and https: cookies that are bound to it, and settings that refuse less."""

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from pydantic import ValidationError

from hie import app as application
from hie import wiring
from hie.core.access import Role
from hie.core.errors import ConfigurationError
from hie.core.settings import Settings
from hie.identity import second_factor
from hie.identity.accounts import list_accounts
from hie.identity.demonstration import make_accounts
from hie.identity.revocations import forget_expired
from hie.identity.server import Terms
from tests.hie.identity.conftest import House, MovableClock, sign_in

BASE_URL = "https://hie.example/fhir"


@pytest.fixture
def secure(database_url: str, tmp_path: Path) -> Iterator[House]:
    """The exchange behind https."""
    clock = MovableClock()
    settings = Settings(auth="on", var_dir=tmp_path, base_url=BASE_URL, host="192.0.2.1")
    with wiring.build(settings, database_url=database_url, clock=clock) as exchange:
        yield House(exchange, application.build(exchange), clock)


def test_cookies_are_secure_and_bound_to_the_host(secure: House) -> None:
    """https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html."""
    person = secure.add("doctor", Role.CLINICIAN)
    browser = secure.browser()
    page = browser.get("/sign-in", headers={"Host": "hie.example"})
    (early,) = page.headers.get_list("set-cookie")
    answer = secure.exchange.identity.sign_in.by_password(person.account.name, "wrong")
    assert answer.outcome == "refused"
    assert early.startswith("__Host-form=")
    assert "Secure" in early
    assert "Domain" not in early
    assert "Path=/" in early
    browser.base = "https://hie.example"
    browser.cookies.clear()
    led = sign_in(browser, person.account.name)
    (cookie,) = [each for each in led.headers.get_list("set-cookie") if "session" in each]
    assert cookie.startswith("__Host-session=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert browser.get("/").status_code == 200


def test_demonstration_accounts_do_not_outlive_loopback(secure: House, tmp_path: Path) -> None:
    make_accounts(secure.exchange.identity, tmp_path, {})
    secure.exchange.identity.prepare()
    with secure.exchange.database.transaction() as transaction:
        assert list_accounts(transaction) == []


def test_what_has_expired_is_forgotten(secure: House) -> None:
    person = secure.add("doctor", Role.CLINICIAN)
    sign = secure.exchange.identity.sign_in
    assert sign.by_password(person.account.name, "wrong").outcome == "refused"
    assert sign.by_password(person.account.name, "Vier-Wände7 kosten").outcome == "complete"
    assert sign.by_password("nobody", "wrong").outcome == "refused"
    secure.clock.advance(days=40)
    with secure.exchange.database.transaction() as transaction:
        forget_expired(transaction, secure.clock.now())
        for table in ("identity_session", "identity_sign_in_failure"):
            left = transaction.connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our tables
            assert left == (0,)


@pytest.mark.parametrize(
    "values",
    [
        {"host": "192.0.2.1"},
        {"host": "192.0.2.1", "auth": "on"},
        {"host": "192.0.2.1", "auth": "on", "base_url": "http://hie.example/fhir"},
        {"auth": "on", "base_url": "http://hie.example/fhir"},
        {"mllp_host": "192.0.2.1", "auth": "on", "base_url": BASE_URL},
        {"host": "192.0.2.1", "auth": "off", "base_url": BASE_URL},
    ],
)
def test_listener_that_others_reach_needs_authentication_and_https(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(values)


def test_issuer_is_the_base_url_without_fhir() -> None:
    assert (
        Settings.model_validate({"base_url": "https://hie.example/city/fhir/"}).issuer
        == "https://hie.example/city"
    )


def test_administrator_has_no_role_until_the_second_factor_is_set_up(secure: House) -> None:
    """GB/T 22239-2019, 8.1.4.1 d)."""
    person = secure.add("admin", Role.SYSTEM_ADMINISTRATOR)
    identity = secure.exchange.identity
    browser = secure.browser()
    browser.base = "https://hie.example"
    sign_in(browser, person.account.name)
    assert browser.get("/administration").status_code == 403
    assert "/account/second-factor" in browser.get("/account").text
    with secure.exchange.database.transaction() as transaction:
        uri = second_factor.begin_set_up(transaction, person.account.id, wrapper=identity.wrapper)
        totp = pyotp.parse_uri(uri)
        assert isinstance(totp, pyotp.TOTP)
        now = secure.clock.now()
        assert second_factor.confirm(
            transaction, person.account.id, totp.at(now), wrapper=identity.wrapper, now=now
        )
    assert browser.get("/administration").status_code == 200


def test_setting_that_names_no_role_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="HIE_SECOND_FACTOR_ROLES"):
        Terms.of(Settings.model_validate({"second_factor_roles": ["king"]}))
