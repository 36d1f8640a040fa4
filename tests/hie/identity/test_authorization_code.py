"""The authorization code flow over HTTP, as SMART App Launch has it; bad requests included."""

import json
from typing import Any, Final

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import KeySet

from hie.core import smart_scopes
from hie.identity.accounts import Person
from hie.identity.authorization import make_launch
from tests.hie.identity.conftest import (
    BASE,
    CALLBACK,
    ISSUER,
    House,
    allow,
    answer_of,
    authorization,
    exchange_code,
    hidden,
    tokens_of,
    without_none,
)

MADE_UP: Final = "made-up"


def test_standalone_launch_of_a_citizen_gives_tokens_for_its_own_record(
    house: House, citizen: Person
) -> None:
    client_id, _ = house.register()
    browser, program = house.browser(), house.program()
    request = authorization(
        client_id, "openid fhirUser profile launch/patient patient/*.rs offline_access", nonce="n1"
    )
    led = browser.get("/oauth/authorize", params=request)
    assert led.headers["location"].startswith("/sign-in?back=/oauth/authorize%3F")
    house.let_in(browser, citizen)
    page = browser.get("/oauth/authorize", params=request)
    assert "https://app.example" in page.headers["content-security-policy"]
    answer = answer_of(allow(browser, page, patient="p1"))
    assert answer["state"] == "a-state"
    assert answer["iss"] == ISSUER
    given = exchange_code(program, client_id, answer["code"])
    assert given.headers["cache-control"] == "no-store"
    tokens = given.json()
    assert tokens["token_type"] == "Bearer"  # noqa: S105 - the word of RFC 6750
    assert tokens["expires_in"] == 900
    assert tokens["patient"] == "p1"
    assert tokens["scope"] == request["scope"]
    keys = KeySet.import_key_set(program.get("/oauth/jwks").json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["fhirUser"] == f"{BASE}/Patient/p1"
    assert (claims["aud"], claims["iss"], claims["nonce"]) == (client_id, ISSUER, "n1")
    assert claims["name"] == citizen.account.display_name
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert program.get("/fhir/Patient/p1", headers=bearer).json()["id"] == "p1"
    assert program.get("/oauth/userinfo", headers=bearer).json()["sub"] == str(citizen.account.id)


def test_request_without_token_is_answered_401_with_an_outcome(house: House) -> None:
    answer = house.program().get("/fhir/Patient")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="hie"'
    assert answer.json() == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "login", "diagnostics": "The request needs an access token"}],
    }


def test_session_alone_reads_fhir_but_writes_nothing(house: House, clinician: Person) -> None:
    browser = house.browser()
    house.let_in(browser, clinician)
    assert browser.get("/fhir/Patient").status_code == 200
    resource = {"resourceType": "Patient"}
    assert browser.post("/fhir/Patient", json=resource).status_code == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"state": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"aud": "https://elsewhere.example/fhir"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": 'patient/*.rs "quoted"'}, "invalid_scope"),
        ({"scope": "system/*.rs"}, "invalid_scope"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"launch": "made-up"}, "invalid_request"),
        ({"prompt": "none"}, "consent_required"),
    ],
)
def test_bad_authorization_request_is_refused_at_the_redirect_uri(
    house: House,
    citizen: Person,
    changes: dict[str, str | None],
    error: str,
) -> None:
    client_id, _ = house.register()
    browser = house.browser()
    house.let_in(browser, citizen)
    answer = answer_of(
        browser.get(
            "/oauth/authorize", params=without_none({**authorization(client_id, "patient/*.rs"), **changes})
        )
    )
    assert answer["error"] == error
    assert answer.get("state") == (None if "state" in changes else "a-state")
    assert "code" not in answer


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "https://evil.example/callback",
        "https://app.example/callback/",
        "https://app.example/callback?x=1",
        "https://app.example/callback#x",
        "https://app.example/callback/../evil",
        "https://app.example@evil.example/callback",
        "https://app.example.evil.example/callback",
        "http://app.example/callback",
        "HTTPS://app.example/callback",
        "//app.example/callback",
        "javascript:alert(1)",
        'https://app.example/callback"\r\nX: y',
        "https://app.example/callbac%6B",
        "重定向",
    ],
)
def test_redirect_uri_that_is_not_registered_gets_nothing(house: House, redirect_uri: str | None) -> None:
    client_id, _ = house.register()
    request = authorization(client_id, "patient/*.rs", redirect_uri=redirect_uri)
    answer = house.browser().get("/oauth/authorize", params=request)
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize("client_id", ["nobody", "", "a\0b", "重", "' OR 1=1 --"])
def test_unknown_client_gets_nothing(house: House, client_id: str) -> None:
    answer = house.browser().get("/oauth/authorize", params=authorization(client_id, "patient/*.rs"))
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_parameter_given_twice_is_refused(house: House) -> None:
    client_id, _ = house.register()
    address = "/oauth/authorize?" + "&".join(
        f"{name}={value}" for name, value in authorization(client_id, "openid", aud=None).items()
    )
    twice = f"{address}&redirect_uri=https://evil.example/"
    assert house.browser().get(twice).status_code == 400


def test_loopback_redirect_uri_may_have_another_port(house: House, citizen: Person) -> None:
    client_id, _ = house.register(redirect_uris=("http://127.0.0.1/back",))
    browser = house.browser()
    house.let_in(browser, citizen)
    for uri, status in (("http://127.0.0.1:49152/back", 200), ("http://localhost:49152/back", 400)):
        request = authorization(client_id, "patient/*.rs", redirect_uri=uri)
        assert browser.get("/oauth/authorize", params=request).status_code == status


def test_code_is_taken_once_and_its_second_use_ends_every_token(house: House, citizen: Person) -> None:
    client_id, _ = house.register()
    browser, program = house.browser(), house.program()
    house.let_in(browser, citizen)
    page = browser.get("/oauth/authorize", params=authorization(client_id, "patient/*.rs offline_access"))
    code = answer_of(allow(browser, page, patient="p1"))["code"]
    tokens = exchange_code(program, client_id, code).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert program.get("/fhir/Patient/p1", headers=bearer).status_code == 200
    again = exchange_code(program, client_id, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    house.clock.advance(seconds=2)
    refused = program.get("/fhir/Patient/p1", headers=bearer)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": tokens["refresh_token"]}
    assert program.post("/oauth/token", data=form).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "another-verifier-of-at-least-forty-three-signs-0123456789"}, "invalid_grant"),
        ({"code_verifier": create_s256_code_challenge("x")}, "invalid_grant"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_secret": "x"}, "invalid_client"),
    ],
)
def test_bad_token_request_is_refused(
    house: House,
    citizen: Person,
    changes: dict[str, str | None],
    error: str,
) -> None:
    client_id, _ = house.register()
    browser = house.browser()
    house.let_in(browser, citizen)
    page = browser.get("/oauth/authorize", params=authorization(client_id, "patient/*.rs"))
    code = answer_of(allow(browser, page, patient="p1"))["code"]
    wanted: dict[str, Any] = {"client_id": client_id, "code": code, **changes}
    answer = exchange_code(house.program(), **wanted)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == error
    assert "access_token" not in answer.json()


def test_code_expires_and_belongs_to_its_client(house: House, citizen: Person) -> None:
    client_id, _ = house.register()
    other_id, _ = house.register()
    browser, program = house.browser(), house.program()
    house.let_in(browser, citizen)
    request = authorization(client_id, "patient/*.rs")
    code = answer_of(allow(browser, browser.get("/oauth/authorize", params=request), patient="p1"))["code"]
    assert exchange_code(program, other_id, code).json()["error"] == "invalid_grant"
    assert exchange_code(program, client_id, code).status_code == 200
    late = answer_of(allow(browser, browser.get("/oauth/authorize", params=request), patient="p1"))["code"]
    house.clock.advance(seconds=61)
    assert exchange_code(program, client_id, late).json()["error"] == "invalid_grant"


def test_scopes_are_narrowed_to_registration_and_role(house: House, citizen: Person) -> None:
    client_id, _ = house.register(scopes=("patient/*.cruds", "user/*.cruds", "launch/patient"))
    browser = house.browser()
    house.let_in(browser, citizen)
    asked = (
        "patient/*.cruds user/*.cruds system/*.rs offline_access openid"
        " patient/Observation.rs?category=laboratory"
    )
    tokens = tokens_of(house, browser, client_id, asked, patient="p1")
    granted = tokens["scope"].split()
    assert "patient/*.rs" in granted
    assert "patient/Observation.rs?category=laboratory" in granted
    read = [each for each in map(smart_scopes.parse, granted) if each is not None]
    assert {each.context for each in read} == {"patient"}
    assert not any("d" in each.permissions for each in read)
    assert "offline_access" not in granted
    assert "refresh_token" not in tokens
    assert "id_token" not in tokens


def test_person_may_grant_less_than_is_asked_for_but_not_more(house: House, citizen: Person) -> None:
    client_id, _ = house.register(scopes=("patient/Observation.rs", "patient/Condition.rs"))
    browser = house.browser()
    house.let_in(browser, citizen)
    page = browser.get(
        "/oauth/authorize", params=authorization(client_id, "patient/Observation.rs patient/Condition.rs")
    )
    chosen = ["patient/Condition.rs", "patient/*.cruds", "user/*.cruds"]
    code = answer_of(allow(browser, page, patient="p1", chosen=chosen))["code"]
    assert exchange_code(house.program(), client_id, code).json()["scope"] == "patient/Condition.rs"


def test_citizen_cannot_choose_another_patient(house: House, citizen: Person) -> None:
    client_id, _ = house.register()
    browser = house.browser()
    house.let_in(browser, citizen)
    request = authorization(client_id, "launch/patient patient/*.rs")
    page = browser.get("/oauth/authorize", params=request)
    assert "Canary Two" not in page.text
    assert allow(browser, page, patient="p2").status_code == 400
    assert allow(browser, page, patient="").status_code == 400


def test_clinician_picks_a_patient_by_name(house: House, clinician: Person) -> None:
    client_id, _ = house.register()
    browser = house.browser()
    house.let_in(browser, clinician)
    request = authorization(client_id, "launch/patient patient/*.rs")
    assert "Canary" not in browser.get("/oauth/authorize", params=request).text
    page = browser.get("/oauth/authorize", params={**request, "patient_query": "Canary Two"})
    assert 'value="p2"' in page.text
    code = answer_of(allow(browser, page, patient="p2"))["code"]
    tokens = exchange_code(house.program(), client_id, code).json()
    assert tokens["patient"] == "p2"
    assert tokens["need_patient_banner"] is True
    assert allow(browser, page, patient="unknown").status_code == 400


def test_refusal_of_the_person_is_access_denied(house: House, citizen: Person) -> None:
    client_id, _ = house.register()
    browser = house.browser()
    house.let_in(browser, citizen)
    page = browser.get("/oauth/authorize", params=authorization(client_id, "patient/*.rs"))
    assert answer_of(allow(browser, page, decision="deny"))["error"] == "access_denied"


def test_decision_needs_the_token_of_the_page_and_a_page_of_this_site(house: House, citizen: Person) -> None:
    client_id, _ = house.register()
    browser = house.browser()
    house.let_in(browser, citizen)
    page = browser.get("/oauth/authorize", params=authorization(client_id, "patient/*.rs"))
    assert allow(browser, page, patient="p1", form_token=MADE_UP).status_code == 403
    form = {
        "form_token": hidden(page, "form_token"),
        "request_query": hidden(page, "request_query"),
        "decision": "grant",
        "chosen": "patient/*.rs",
        "patient": "p1",
    }
    other_site = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/oauth/decision", data=form, headers=other_site).status_code == 400


def test_posted_authorization_request_leads_to_the_page(house: House) -> None:
    client_id, _ = house.register()
    request = authorization(client_id, "patient/*.rs")
    led = house.browser().post("/oauth/authorize", data=request)
    assert led.status_code == 303
    assert led.headers["location"].startswith("/oauth/authorize?response_type=code")


def test_ehr_launch_gives_the_context_of_the_chart_once(
    house: House, citizen: Person, clinician: Person
) -> None:
    client_id, _ = house.register(launch_uri="https://app.example/launch")
    other_id, _ = house.register(launch_uri="https://app.example/launch")
    with house.exchange.identity.work() as work:
        _, launch = make_launch(work, clinician, client_id, patient="p2", encounter="e9")
    stranger, browser = house.browser(), house.browser()
    house.let_in(stranger, citizen)
    house.let_in(browser, clinician)
    request = authorization(client_id, "launch patient/*.rs", launch=launch)
    assert answer_of(stranger.get("/oauth/authorize", params=request))["error"] == "invalid_request"
    foreign = authorization(other_id, "launch patient/*.rs", launch=launch)
    assert answer_of(browser.get("/oauth/authorize", params=foreign))["error"] == "invalid_request"
    page = browser.get("/oauth/authorize", params=request)
    assert "Canary Two" in page.text
    code = answer_of(allow(browser, page))["code"]
    tokens = exchange_code(house.program(), client_id, code).json()
    assert (tokens["patient"], tokens["encounter"]) == ("p2", "e9")
    assert answer_of(browser.get("/oauth/authorize", params=request))["error"] == "invalid_request"


def test_discovery_documents_name_endpoints_that_answer(house: House) -> None:
    program = house.program()
    smart = program.get("/fhir/.well-known/smart-configuration").json()
    openid = program.get("/.well-known/openid-configuration").json()
    assert smart["code_challenge_methods_supported"] == ["S256"]
    assert {"launch-ehr", "launch-standalone", "permission-v2", "client-confidential-asymmetric"} <= set(
        smart["capabilities"]
    )
    assert openid["issuer"] == smart["issuer"] == ISSUER
    for name, address in {**smart, **openid}.items():
        if name.endswith(("_endpoint", "_uri")):
            path = address.removeprefix(ISSUER)
            assert program.get(path).status_code in (200, 400, 401, 405), name
    assert json.dumps(smart)
    assert CALLBACK not in json.dumps(openid)
