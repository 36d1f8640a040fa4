"""Signing in on the portal: sessions, forms, lock-out, second factor; strangers learn nothing."""

import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pyotp
import pytest
from sqlmodel import select

from hie.core.access import Role
from hie.core.security_errors import AccountError, PasswordError
from hie.identity import second_factor
from hie.identity.accounts import Person, add_account, set_disabled, set_password, set_roles
from hie.identity.sign_in import make_link
from hie.identity.tables import AccountRole, PortalSession
from tests.hie.identity.conftest import PASSWORD, House, hidden, sign_in
from tests.hie.portal.browser import Browser


def is_in(browser: Browser) -> bool:
    """Return whether the browser may see a page."""
    return browser.get("/").status_code == 200


def test_page_leads_to_sign_in_and_back(house: House, clinician: Person) -> None:
    browser = house.browser()
    led = browser.get("/patients?q=x")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?back=/patients%3Fq%3Dx")
    answer = sign_in(browser, clinician.account.name, back="/patients?q=x")
    assert (answer.status_code, answer.headers["location"]) == (303, "/patients?q=x")
    assert is_in(browser)


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"]
)
def test_sign_in_leads_to_this_site_only(house: House, clinician: Person, back: str) -> None:
    assert sign_in(house.browser(), clinician.account.name, back=back).headers["location"] == "/"


def test_session_cookie_is_out_of_reach_of_scripts_and_other_sites(house: House, clinician: Person) -> None:
    answer = sign_in(house.browser(), clinician.account.name)
    (header,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith("session=")]
    assert "HttpOnly" in header
    assert "samesite=lax" in header.lower()
    assert "Path=/" in header
    assert "Domain" not in header


def test_session_is_another_one_after_sign_in(house: House, clinician: Person) -> None:
    browser = house.browser()
    browser.cookies.set("session", "planted", domain="testserver.local")
    answer = sign_in(browser, clinician.account.name)
    assert "planted" not in str(answer.headers)
    planted = house.browser()
    planted.cookies.set("session", "planted")
    assert not is_in(planted)
    first = browser.cookies["session"]
    with house.exchange.database.transaction() as transaction:
        key = make_link(transaction, clinician.account.id, now=house.clock.now())
    page = browser.get("/sign-in/link", params={"key": key})
    browser.post("/sign-in/link", data={"key": key, "form_token": hidden(page, "form_token")})
    assert browser.cookies["session"] != first


def test_database_holds_no_secret_of_a_session(house: House, clinician: Person) -> None:
    browser = house.browser()
    sign_in(browser, clinician.account.name)
    secret = browser.cookies["session"]
    with house.exchange.database.transaction() as transaction:
        rows = transaction.session.exec(select(PortalSession)).all()
        assert rows
        assert secret not in repr([row.model_dump() for row in rows])
        (hashed,) = transaction.connection.execute(
            "SELECT password_hash FROM identity_account WHERE id = %s", (clinician.account.id,)
        ).fetchone() or ("",)
    assert hashed.startswith("$argon2id$")


def test_session_ends_when_idle_and_after_its_longest_time(house: House, clinician: Person) -> None:
    browser = house.browser()
    sign_in(browser, clinician.account.name)
    house.clock.advance(minutes=29)
    assert is_in(browser)
    house.clock.advance(minutes=31)
    assert not is_in(browser)
    sign_in(browser, clinician.account.name)
    for _ in range(12 * 60 // 20):
        house.clock.advance(minutes=20)
        seen = is_in(browser)
    assert not seen


def test_sign_out_ends_the_session_on_the_server(house: House, clinician: Person) -> None:
    browser = house.browser()
    sign_in(browser, clinician.account.name)
    secret = browser.cookies["session"]
    page = browser.get("/account")
    assert browser.post("/sign-out", data={"form_token": "wrong"}).status_code == 403
    assert is_in(browser)
    assert browser.post("/sign-out", data={"form_token": hidden(page, "form_token")}).status_code == 303
    other = house.browser()
    other.cookies.set("session", secret)
    assert not is_in(other)


@pytest.mark.parametrize("form_token", ["", "made-up"])
def test_sign_in_form_of_another_site_is_refused(house: House, clinician: Person, form_token: str) -> None:
    browser = house.browser()
    form = {"name": clinician.account.name, "password": PASSWORD, "form_token": form_token}
    assert browser.post("/sign-in", data=form).status_code in (400, 403)
    page = browser.get("/sign-in")
    own = {**form, "form_token": hidden(page, "form_token")}
    cross = browser.post("/sign-in", data=own, headers={"Origin": "https://evil.example"})
    assert cross.status_code == 400
    assert not is_in(browser)


def test_wrong_name_and_wrong_password_are_answered_alike(house: House, clinician: Person) -> None:
    browser = house.browser()

    def answer(name: str) -> tuple[int, str]:
        given = sign_in(browser, name, "Wrong-password 1")
        text = given.text.replace(name, "NAME")
        return given.status_code, re.sub(r"\d\d:\d\d", "", re.sub(r'value="[^"]*"', "", text))

    assert answer(clinician.account.name) == answer("nobody.at-all")
    assert answer(clinician.account.name)[0] == 401


def test_lock_out_is_the_same_for_names_that_are_nobody_s(house: House, clinician: Person) -> None:
    """NIST SP 800-63B, 5.2.2."""
    sign = house.exchange.identity.sign_in
    for name in (clinician.account.name, "nobody.here"):
        outcomes = [sign.by_password(name, "Wrong-password 1").outcome for _ in range(7)]
        assert outcomes == ["refused"] * 5 + ["wait"] * 2
    assert sign.by_password(clinician.account.name, PASSWORD).outcome == "wait"
    house.clock.advance(seconds=29)
    assert sign.by_password(clinician.account.name, PASSWORD).wait.total_seconds() == 1
    house.clock.advance(seconds=1)
    assert sign.by_password(clinician.account.name.upper(), "Wrong-password 1").outcome == "refused"
    house.clock.advance(seconds=59)
    assert sign.by_password(clinician.account.name, PASSWORD).outcome == "wait"
    house.clock.advance(seconds=1)
    assert sign.by_password(clinician.account.name, PASSWORD).outcome == "complete"
    assert sign.by_password(clinician.account.name, "Wrong-password 1").outcome == "refused"


def test_attempts_at_once_are_counted_like_attempts_in_a_row(house: House, clinician: Person) -> None:
    sign = house.exchange.identity.sign_in

    def attempt(_number: int) -> str:
        return sign.by_password(clinician.account.name, "Wrong-password 1").outcome

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(attempt, range(12)))
    assert sorted(outcomes) == ["refused"] * 5 + ["wait"] * 7


def test_work_of_a_refusal_does_not_tell_whether_there_is_an_account(house: House) -> None:
    """The same hash is made either way: CPU time, since the machine's other work is not ours to steer."""
    sign = house.exchange.identity.sign_in

    def cost(call: Callable[[], object]) -> float:
        began = time.process_time()
        call()
        return time.process_time() - began

    known, unknown = [], []
    for number in range(6):
        name = house.add("doctor", Role.CLINICIAN).account.name
        known.append(cost(lambda name=name: sign.by_password(name, "Wrong-password 1")))  # type: ignore[misc] # mypy and defaults of lambdas
        unknown.append(cost(lambda number=number: sign.by_password(f"nobody{number}", "Wrong-password 1")))  # type: ignore[misc] # the same
    # A skipped hash would leave less than a tenth.
    assert min(unknown) > statistics.median(known) / 3
    assert min(known) > statistics.median(unknown) / 3


def test_disabled_account_cannot_sign_in_and_loses_its_sessions(house: House, clinician: Person) -> None:
    browser = house.browser()
    sign_in(browser, clinician.account.name)
    terms = house.exchange.identity.terms
    with house.exchange.database.transaction() as transaction:
        set_disabled(
            transaction,
            clinician.account.id,
            is_disabled=True,
            now=house.clock.now(),
            token_life=terms.longest_token,
        )
    assert not is_in(browser)
    assert house.exchange.identity.sign_in.by_password(clinician.account.name, PASSWORD).outcome == "refused"


def _set_up(house: House, person: Person) -> tuple[pyotp.TOTP, list[str]]:
    wrapper = house.exchange.identity.wrapper
    with house.exchange.database.transaction() as transaction:
        uri = second_factor.begin_set_up(transaction, person.account.id, wrapper=wrapper)
        totp = pyotp.parse_uri(uri)
        assert isinstance(totp, pyotp.TOTP)
        code = totp.at(house.clock.now())
        codes = second_factor.confirm(
            transaction, person.account.id, code, wrapper=wrapper, now=house.clock.now()
        )
    assert codes is not None
    return totp, codes


def _give_code(browser: Browser, code: str) -> httpx.Response:
    page = browser.get("/sign-in/code")
    return browser.post("/sign-in/code", data={"code": code, "form_token": hidden(page, "form_token")})


def test_second_factor_is_asked_for_and_a_code_is_taken_once(house: House, clinician: Person) -> None:
    totp, _ = _set_up(house, clinician)
    browser, other = house.browser(), house.browser()
    house.clock.advance(seconds=30)
    answer = sign_in(browser, clinician.account.name)
    assert answer.headers["location"] == "/sign-in/code?back=/"
    assert not is_in(browser)
    assert _give_code(browser, "000000").status_code == 401
    code = totp.at(house.clock.now())
    assert _give_code(browser, code).status_code == 303
    assert is_in(browser)
    sign_in(other, clinician.account.name)
    assert _give_code(other, code).status_code == 401
    assert not is_in(other)


def test_code_of_the_step_before_is_taken_and_older_ones_are_not(house: House, clinician: Person) -> None:
    totp, _ = _set_up(house, clinician)
    house.clock.advance(minutes=5)
    old, before = (totp.at(house.clock.now(), counter_offset=offset) for offset in (-2, -1))
    browser = house.browser()
    sign_in(browser, clinician.account.name)
    assert _give_code(browser, old).status_code == 401
    assert _give_code(browser, before).status_code == 303


def test_recovery_code_stands_in_once(house: House, clinician: Person) -> None:
    _, codes = _set_up(house, clinician)
    assert len(codes) == 10
    browser, other = house.browser(), house.browser()
    sign_in(browser, clinician.account.name)
    assert _give_code(browser, codes[3].upper()).status_code == 303
    sign_in(other, clinician.account.name)
    assert _give_code(other, codes[3]).status_code == 401


def test_guessing_codes_is_slowed_down_like_guessing_passwords(house: House, clinician: Person) -> None:
    totp, _ = _set_up(house, clinician)
    house.clock.advance(seconds=60)
    browser = house.browser()
    sign_in(browser, clinician.account.name)
    for _ in range(5):
        assert _give_code(browser, "000000").status_code == 401
    assert _give_code(browser, totp.at(house.clock.now())).status_code == 401


def test_totp_secret_and_recovery_codes_are_not_readable_in_the_database(
    house: House, clinician: Person
) -> None:
    totp, codes = _set_up(house, clinician)
    with house.exchange.database.transaction() as transaction:
        row = transaction.connection.execute(
            "SELECT totp_secret FROM identity_account WHERE id = %s", (clinician.account.id,)
        ).fetchone()
        digests = transaction.connection.execute(
            "SELECT digest FROM identity_recovery_code WHERE account_id = %s", (clinician.account.id,)
        ).fetchall()
    assert row is not None
    assert totp.secret.encode() not in row[0]
    assert not [code for code in codes if any(code.encode() in each[0] for each in digests)]


def test_link_signs_in_once_and_looking_at_it_changes_nothing(house: House, clinician: Person) -> None:
    with house.exchange.database.transaction() as transaction:
        key = make_link(transaction, clinician.account.id, now=house.clock.now())
        late = make_link(transaction, clinician.account.id, now=house.clock.now())
    first, second = house.browser(), house.browser()
    for browser, status in ((first, 303), (second, 401)):
        page = browser.get("/sign-in/link", params={"key": key})
        form = {"key": key, "form_token": hidden(page, "form_token")}
        assert browser.post("/sign-in/link", data=form).status_code == status
    assert is_in(first)
    assert not is_in(second)
    house.clock.advance(hours=24)
    page = second.get("/sign-in/link", params={"key": late})
    form = {"key": late, "form_token": hidden(page, "form_token")}
    assert second.post("/sign-in/link", data=form).status_code == 401


ADMINISTRATORS = (Role.SYSTEM_ADMINISTRATOR, Role.SECURITY_OFFICER, Role.AUDITOR)


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)], ids=str)
def test_one_account_cannot_be_two_administrators(house: House, pair: tuple[int, int]) -> None:
    both = [ADMINISTRATORS[number] for number in pair]
    with pytest.raises(AccountError, match="One account cannot be"):
        house.add("admin", *both)
    person = house.add("admin", both[0], Role.OPERATOR)
    with (
        pytest.raises(AccountError, match="One account cannot be"),
        house.exchange.database.transaction() as transaction,
    ):
        set_roles(
            transaction,
            person.account.id,
            both,
            now=house.clock.now(),
            token_life=house.exchange.identity.terms.longest_token,
        )
    with (
        pytest.raises(psycopg.errors.UniqueViolation),
        house.exchange.database.transaction() as transaction,
    ):
        transaction.session.add(AccountRole(account_id=person.account.id, role=both[1].value))


def test_name_is_unique_whatever_its_case(house: House, clinician: Person) -> None:
    for name in (clinician.account.name, clinician.account.name.upper()):
        with (
            pytest.raises(AccountError, match="already"),
            house.exchange.database.transaction() as transaction,
        ):
            add_account(
                transaction,
                name,
                roles=[Role.CITIZEN],
                password=PASSWORD,
                rule=house.exchange.identity.password_rule,
                now=house.clock.now(),
            )


@pytest.mark.parametrize("name", ["", "a", "x" * 101, "a b", "a\0b", "李四", "../etc", "<b>"])
def test_name_that_nobody_can_have_is_refused(house: House, name: str) -> None:
    assert house.exchange.identity.sign_in.by_password(name, PASSWORD).outcome in ("refused", "wait")
    with pytest.raises(AccountError), house.exchange.database.transaction() as transaction:
        add_account(
            transaction,
            name,
            roles=[],
            password=PASSWORD,
            rule=house.exchange.identity.password_rule,
            now=house.clock.now(),
        )


def test_password_that_breaks_the_rules_is_refused(house: House, clinician: Person) -> None:
    rule = house.exchange.identity.password_rule
    for password in ("short1A!", "aaaaaaaaaaaaA1!", f"{clinician.account.name}A1!", "onlysmallletters"):
        with pytest.raises(PasswordError), house.exchange.database.transaction() as transaction:
            set_password(transaction, clinician.account.id, password, rule=rule, now=house.clock.now())
