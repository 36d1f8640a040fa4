"""What comes back from a provider and is not taken: wrong, replayed, mixed up, forged."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import OctKey, RSAKey

from tests.hie.identity.outside.conftest import NUMBER, Outside, location
from tests.hie.identity.outside.simulator import CLIENT_ID, SECRET

PROVEN = {"sub": "someone", "acr": "high", "id_number": NUMBER}


@pytest.mark.parametrize("name", ["city-app", "health-app", "wechat"])
def test_answer_with_another_state_is_refused(outside: Outside, name: str) -> None:
    outside.providers[name].person |= {**PROVEN, "openid": "o"}
    browser = outside.house.browser()
    path, _, query = outside.lead(browser, name).partition("?")
    given = {key: values[0] for key, values in parse_qs(query).items()}
    for state in ("", "x", given["state"][:-1]):
        assert browser.get(path, params={**given, "state": state}).status_code == 403
    assert browser.get("/account").status_code == 303


@pytest.mark.parametrize("name", ["city-app", "health-app", "wechat"])
def test_answer_is_taken_once_and_from_its_browser_only(outside: Outside, name: str) -> None:
    outside.providers[name].person |= {**PROVEN, "openid": "o"}
    browser = outside.house.browser()
    back = outside.lead(browser, name)
    stranger = outside.house.browser()
    assert stranger.get(back).status_code == 403
    assert browser.get(back).status_code == 403, "what a stranger tried is used up"
    back = outside.lead(browser, name)
    assert browser.get(back).status_code in (200, 303)
    assert browser.get(back).status_code == 403


def test_answer_after_ten_minutes_is_refused(outside: Outside) -> None:
    outside.providers["city-app"].person |= PROVEN
    browser = outside.house.browser()
    back = outside.lead(browser, "city-app")
    outside.house.clock.advance(minutes=10)
    assert browser.get(back).status_code == 403


@pytest.mark.parametrize("name", ["city-app", "health-app", "wechat"])
def test_person_who_refuses_there_is_not_let_in(outside: Outside, name: str) -> None:
    outside.providers[name].faults["denied"] = True
    assert outside.sign_in(outside.house.browser(), name).status_code == 403


@pytest.mark.parametrize("name", ["city-app", "health-app", "wechat"])
def test_code_of_somebody_else_is_refused(outside: Outside, name: str) -> None:
    outside.providers[name].person |= {**PROVEN, "openid": "o"}
    attacker, victim = outside.house.browser(), outside.house.browser()
    stolen = parse_qs(urlsplit(outside.lead(attacker, name)).query)["code"][0]
    path, _, query = outside.lead(victim, name).partition("?")
    given = {key: values[0] for key, values in parse_qs(query).items()}
    answer = victim.get(path, params={**given, "code": stolen})
    # WeChat has no PKCE: there the state alone, which is this browser's, keeps stolen codes out
    assert answer.status_code == (200 if name == "wechat" else 403)
    again = outside.lead(victim, name).partition("?")[2]
    state = parse_qs(again)["state"][0]
    assert victim.get(path, params={"state": state, "code": stolen}).status_code == 403


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9/other", None])
def test_answer_of_another_issuer_is_a_mix_up(outside: Outside, issuer: str | None) -> None:
    outside.providers["city-app"].person |= PROVEN
    browser = outside.house.browser()
    path, _, query = outside.lead(browser, "city-app").partition("?")
    given = {key: values[0] for key, values in parse_qs(query).items()} | {"iss": issuer or ""}
    if issuer is None:
        del given["iss"]
    before = len(outside.providers["city-app"].codes)
    assert browser.get(path, params=given).status_code == 403
    assert len(outside.providers["city-app"].codes) == before, "the code went nowhere"


def test_answer_at_the_address_of_another_provider_is_a_mix_up(outside: Outside) -> None:
    outside.providers["city-app"].person |= PROVEN
    browser = outside.house.browser()
    back = outside.lead(browser, "city-app").replace("/city-app/", "/social-card/")
    assert browser.get(back).status_code == 403


@pytest.mark.parametrize(
    "faults",
    [
        {"claims": {"nonce": "another"}},
        {"claims": {"nonce": None}},
        {"claims": {"iss": "https://other.example"}},
        {"claims": {"aud": "another"}},
        {"claims": {"aud": ["another", CLIENT_ID]}},
        {"claims": {"azp": "another"}},
        {"claims": {"exp": 1}},
        {"claims": {"exp": None}},
        {"claims": {"iat": 1}},
        {"claims": {"iat": None}},
        {"claims": {"sub": ""}},
        {"claims": {"at_hash": "AAAA"}},
        {"key": RSAKey.generate_key(2048)},
        {"header": {"alg": "HS256"}, "key": OctKey.import_key(SECRET)},
        {"header": {"kid": "another"}},
        {"userinfo": {"sub": "another"}},
    ],
    ids=lambda faults: "-".join(
        f"{name} {list(value) if isinstance(value, dict) else ''}" for name, value in faults.items()
    ),
)
def test_id_token_that_is_not_for_us_now_is_refused(outside: Outside, faults: dict[str, Any]) -> None:
    outside.providers["city-app"].person |= PROVEN
    outside.providers["city-app"].faults |= faults
    browser = outside.house.browser()
    assert outside.sign_in(browser, "city-app").status_code == 403
    assert browser.get("/account").status_code == 303


def test_unsigned_id_token_is_refused(outside: Outside) -> None:
    simulator = outside.providers["city-app"]
    simulator.person |= PROVEN
    simulator.faults |= {"header": {"alg": "none"}}
    browser = outside.house.browser()
    assert outside.sign_in(browser, "city-app").status_code in (403, 503)
    assert browser.get("/account").status_code == 303


def test_back_leads_nowhere_else(outside: Outside) -> None:
    outside.providers["city-app"].person |= PROVEN
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        answer = outside.sign_in(outside.house.browser(), "city-app", back=back)
        assert location(answer) == "/my/accesses"
        assert answer.headers["location"].startswith("/")
        assert not answer.headers["location"].startswith("//")


def test_provider_that_is_not_configured_is_not_found(outside: Outside) -> None:
    browser = outside.house.browser()
    assert browser.get("/sign-in/with/nobody").status_code == 404
    assert browser.get("/sign-in/with/nobody/callback", params={"state": "x"}).status_code == 404
