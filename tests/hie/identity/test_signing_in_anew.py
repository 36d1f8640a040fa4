"""prompt and max_age of OpenID Connect Core, 3.1.2.1: who signed in too long ago does so again."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest

from hie.core.access import Role
from hie.identity.accounts import Links, Person
from tests.hie.identity.conftest import PASSWORD as WORD
from tests.hie.identity.conftest import House, allow, answer_of, authorization, hidden
from tests.hie.portal.browser import Browser


@pytest.fixture
def person(house: House) -> Person:
    """A citizen, who is Patient/p1."""
    return house.add("citizen", Role.CITIZEN, links=Links(patient="p1"))


def asked(house: House, browser: Browser, **parameters: str) -> str:
    """Return the path that an authorization request of a registered client leads to, "" for its page."""
    client_id, _ = house.register()
    answer = browser.get("/oauth/authorize", params=authorization(client_id, "openid", **parameters))
    return "" if answer.status_code == 200 else answer.headers["location"]


@pytest.mark.parametrize("parameters", [{"prompt": "login"}, {"prompt": "login consent"}, {"max_age": "0"}])
def test_person_who_must_sign_in_again_does_so_once(
    house: House, person: Person, parameters: dict[str, str]
) -> None:
    browser = house.browser()
    house.let_in(browser, person)
    house.clock.advance(seconds=1)
    led = asked(house, browser, **parameters)
    assert urlsplit(led).path == "/sign-in"
    page = browser.get(led)
    assert page.status_code == 200, "the form is shown to who is signed in already"
    # the first field of that name leads back from a switch of language
    back = unescape(re.findall(r'name="back" value="([^"]*)"', page.text)[-1])
    form = {"name": person.account.name, "password": WORD, "back": back}
    entered = browser.post("/sign-in", data={**form, "form_token": hidden(page, "form_token")})
    assert entered.headers["location"].startswith("/oauth/authorize?")
    answer = answer_of(allow(browser, browser.get(entered.headers["location"])))
    assert answer["state"] == "a-state"
    assert "code" in answer


def test_max_age_counts_from_signing_in(house: House, person: Person) -> None:
    browser = house.browser()
    house.let_in(browser, person)
    house.clock.advance(minutes=5)
    assert asked(house, browser, max_age="301") == ""
    assert asked(house, browser, max_age="299").startswith("/sign-in?")
    none = asked(house, browser, max_age="299", prompt="none")
    assert parse_qs(urlsplit(none).query)["error"] == ["login_required"]


@pytest.mark.parametrize("max_age", ["-1", "x", "1.5", "9" * 30, "١"])
def test_max_age_that_is_no_number_of_seconds_is_refused(house: House, person: Person, max_age: str) -> None:
    browser = house.browser()
    house.let_in(browser, person)
    refused = asked(house, browser, max_age=max_age)
    assert parse_qs(urlsplit(refused).query)["error"] == ["invalid_request"]


def test_capability_statement_names_the_endpoints_that_there_are(house: House) -> None:
    program = house.program()
    (rest,) = program.get("/fhir/metadata").json()["rest"]
    security = rest["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    (uris,) = security["extension"]
    named = {each["url"]: each["valueUri"] for each in uris["extension"]}
    configuration = program.get("/fhir/.well-known/smart-configuration").json()
    assert named == {
        "authorize": configuration["authorization_endpoint"],
        "token": configuration["token_endpoint"],
        "introspect": configuration["introspection_endpoint"],
        "revoke": configuration["revocation_endpoint"],
    }
