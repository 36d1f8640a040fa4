"""The pages of accounts and clients: one's own, and the system administrator's."""

import re
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from hie.core.access import Role
from hie.identity.accounts import Person
from tests.hie.identity.conftest import (
    BASE,
    CALLBACK,
    PASSWORD,
    House,
    allow,
    answer_of,
    authorization,
    exchange_code,
    hidden,
    sign_in,
    tokens_of,
)
from tests.hie.portal.browser import Browser


@pytest.fixture
def administrator(house: House) -> Browser:
    """A browser in which the system administrator is signed in."""
    browser = house.browser()
    sign_in(browser, house.add("admin", Role.SYSTEM_ADMINISTRATOR).account.name)
    return browser


def form(browser: Browser, **fields: object) -> dict[str, object]:
    """Return the fields of a form of the administration page."""
    return {"form_token": hidden(browser.get("/administration"), "form_token"), **fields}


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SYSTEM_ADMINISTRATOR])
def test_administration_is_the_system_administrator_s_alone(house: House, role: Role) -> None:
    browser = house.browser()
    sign_in(browser, house.add("other", role).account.name)
    own = hidden(browser.get("/account"), "form_token")
    assert browser.get("/administration").status_code == 403
    posted = {
        "form_token": own,
        "name": "new.account",
        "password": PASSWORD,
        "roles": ["system-administrator"],
    }
    assert browser.post("/administration/accounts", data=posted).status_code == 403
    client = {
        "form_token": own,
        "name": "x",
        "auth_method": "client_secret_basic",
        "scopes": "system/*.cruds",
    }
    assert browser.post("/administration/clients", data=client).status_code == 403


def test_bearer_token_opens_no_page_of_administration(house: House) -> None:
    house.register()
    browser = house.browser()
    sign_in(browser, house.add("admin", Role.SYSTEM_ADMINISTRATOR).account.name)
    client_id, _ = house.register(scopes=("openid", "user/Organization.rs"))
    token = tokens_of(house, browser, client_id, "user/Organization.rs")["access_token"]
    answer = house.program().get("/administration", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_account_is_added_and_signs_in(house: House, administrator: Browser) -> None:
    fields = form(administrator, name="New.Nurse", password=PASSWORD, roles=["clinician"], practitioner="pr7")
    assert administrator.post("/administration/accounts", data=fields).status_code == 303
    assert "new.nurse" in administrator.get("/administration").text
    assert sign_in(house.browser(), "new.nurse").status_code == 303
    again = administrator.post("/administration/accounts", data=fields)
    assert again.status_code == 422
    assert "already" in again.text


def test_two_administrators_in_one_hand_are_refused_with_a_sentence(administrator: Browser) -> None:
    fields = form(administrator, name="both", password=PASSWORD, roles=["auditor", "security-officer"])
    answer = administrator.post("/administration/accounts", data=fields)
    assert answer.status_code == 422
    assert "One account cannot be auditor and security-officer" in answer.text


def test_nobody_changes_their_own_roles(house: House) -> None:
    person = house.add("admin", Role.SYSTEM_ADMINISTRATOR)
    browser = house.browser()
    sign_in(browser, person.account.name)
    fields = form(browser, action="roles", roles=["clinician"])
    assert browser.post(f"/administration/accounts/{person.account.id}", data=fields).status_code == 422


def test_disabled_account_is_out_at_once(house: House, administrator: Browser, clinician: Person) -> None:
    browser = house.browser()
    sign_in(browser, clinician.account.name)
    fields = form(administrator, action="disable")
    path = f"/administration/accounts/{clinician.account.id}"
    assert administrator.post(path, data=fields).status_code == 303
    assert browser.get("/").status_code == 303
    assert administrator.post(path, data=form(administrator, action="enable")).status_code == 303
    assert sign_in(house.browser(), clinician.account.name).status_code == 303


def test_client_is_registered_and_its_secret_shown_once(house: House, administrator: Browser) -> None:
    fields = form(administrator, name="Hospital HIS", auth_method="client_secret_basic", scopes="system/*.rs")
    made = administrator.post("/administration/clients", data=fields)
    found = re.findall(r'<span class="digits">([^<]{36,})</span>', made.text)
    client_id, secret = found[0], found[1]
    grant = {"grant_type": "client_credentials", "scope": "system/*.rs"}
    assert house.program().post("/oauth/token", data=grant, auth=(client_id, secret)).status_code == 200
    assert secret not in administrator.get("/administration").text
    path = f"/administration/clients/{client_id}"
    assert administrator.post(path, data=form(administrator, action="disable")).status_code == 303
    assert house.program().post("/oauth/token", data=grant, auth=(client_id, secret)).status_code == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": "everything"},
        {"jwks": "{not json"},
        {"jwks": "[]"},
        {"auth_method": "private_key_jwt", "jwks_uri": "http://169.254.169.254/latest"},
        {"redirect_uris": "javascript:alert(1)"},
        {"name": ""},
    ],
)
def test_bad_registration_is_answered_with_a_sentence(administrator: Browser, fields: dict[str, str]) -> None:
    given = {"name": "App", "auth_method": "none", "scopes": "openid", "redirect_uris": CALLBACK, **fields}
    answer = administrator.post("/administration/clients", data=form(administrator, **given))
    assert answer.status_code in (400, 422)


def test_password_is_changed_by_who_knows_the_old_one(house: House, clinician: Person) -> None:
    browser = house.browser()
    sign_in(browser, clinician.account.name)

    def change(old: str, new: str) -> int:
        token = hidden(browser.get("/account"), "form_token")
        fields = {"old": old, "new": new, "form_token": token}
        return browser.post("/account/password", data=fields).status_code

    assert change("Wrong-password 1", "Another-way 77 Ö") == 422
    assert change(PASSWORD, "short") == 422
    assert change(PASSWORD, "Another-way 77 Ö") == 303
    assert browser.get("/account").status_code == 200
    assert sign_in(house.browser(), clinician.account.name).status_code == 401
    assert sign_in(house.browser(), clinician.account.name, "Another-way 77 Ö").status_code == 303


def test_grant_is_shown_and_taken_back(house: House, citizen: Person, clinician: Person) -> None:
    client_id, _ = house.register(name="Heart diary")
    browser, stranger = house.browser(), house.browser()
    sign_in(browser, citizen.account.name)
    sign_in(stranger, clinician.account.name)
    bearer = tokens_of(house, browser, client_id, "patient/*.rs offline_access", patient="p1")["access_token"]
    page = browser.get("/account")
    assert "Heart diary" in page.text
    fields = {"grant": hidden(page, "grant"), "form_token": hidden(page, "form_token")}
    foreign = {**fields, "form_token": hidden(stranger.get("/account"), "form_token")}
    assert stranger.post("/account/revoke", data=foreign).status_code == 404
    assert browser.post("/account/revoke", data=fields).status_code == 303
    house.clock.advance(seconds=1)
    headers = {"Authorization": f"Bearer {bearer}"}
    assert house.program().get("/fhir/Patient/p1", headers=headers).status_code == 401
    assert "Heart diary" not in browser.get("/account").text


def test_app_is_opened_from_a_chart_with_its_patient(house: House, clinician: Person) -> None:
    client_id, _ = house.register(name="Growth chart", launch_uri="https://app.example/launch?x=1")
    browser = house.browser()
    sign_in(browser, clinician.account.name)
    assert "/patients/p2/apps" in browser.get("/patients/p2").text
    page = browser.get("/patients/p2/apps")
    assert "https://app.example" in page.headers["content-security-policy"]
    fields = {"client_id": client_id, "form_token": hidden(page, "form_token")}
    led = browser.post("/patients/p2/apps", data=fields)
    address = urlsplit(led.headers["location"])
    launched = parse_qs(address.query)
    assert (address.netloc, launched["x"], launched["iss"]) == ("app.example", ["1"], [BASE])
    request = authorization(client_id, "launch patient/*.rs", launch=launched["launch"][0])
    code = answer_of(allow(browser, browser.get("/oauth/authorize", params=request)))["code"]
    assert exchange_code(house.program(), client_id, code).json()["patient"] == "p2"
    assert browser.post("/patients/nobody/apps", data=fields).status_code == 404
    other, _ = house.register()
    assert browser.post("/patients/p2/apps", data={**fields, "client_id": other}).status_code == 400


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/link?key=x", "/account", "/administration"])
def test_page_has_nothing_inline_and_is_whole_in_both_languages(administrator: Browser, path: str) -> None:
    for language in ("zh-CN", "en"):
        administrator.post("/language", data={"language": language})
        page = administrator.get(path)
        assert page.status_code in (200, 303)
        assert re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", page.text) is None
        policy = page.headers.get("content-security-policy", "form-action 'self'")
        assert "unsafe" not in policy
        if page.status_code == 200:  # a redirection shows nothing, and has the policy of what is no page
            assert "form-action 'self'" in policy


def test_second_factor_is_set_up_on_the_page(house: House, clinician: Person) -> None:
    browser = house.browser()
    sign_in(browser, clinician.account.name)
    token = hidden(browser.get("/account"), "form_token")
    browser.post("/account/second-factor", data={"form_token": token})
    page = browser.get("/account")
    found = re.search(r"otpauth://[^<]*", page.text)
    assert found is not None
    assert "<svg" in page.text
    totp = pyotp.parse_uri(found[0].replace("&amp;", "&"))
    assert isinstance(totp, pyotp.TOTP)
    wrong = browser.post("/account/second-factor/confirm", data={"form_token": token, "code": "000000"})
    assert wrong.status_code == 422
    right = browser.post(
        "/account/second-factor/confirm", data={"form_token": token, "code": totp.at(house.clock.now())}
    )
    assert len(re.findall(r"<li>[a-z2-9]{5}-[a-z2-9]{5}</li>", right.text)) == 10
    assert "otpauth" not in browser.get("/account").text
