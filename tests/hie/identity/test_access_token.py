"""Access tokens at the FHIR interface: taken, refused, revoked, refreshed, explained."""

import base64
import hmac
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import event

from hie.core.access import Role
from hie.core.security_errors import UnauthenticatedError
from hie.identity import accounts
from hie.identity.accounts import Person
from hie.identity.tokens import ACCESS_TOKEN_TYPE
from tests.hie.identity.conftest import (
    BASE,
    CALLBACK,
    ISSUER,
    VERIFIER,
    House,
    allow,
    answer_of,
    authorization,
    exchange_code,
    tokens_of,
)


def bearer(token: str) -> dict[str, str]:
    """Return the header of RFC 6750, 2.1."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def tokens(house: House, citizen: Person) -> dict[str, Any]:
    """The tokens of a citizen."""
    client_id, _ = house.register()
    browser = house.browser()
    house.let_in(browser, citizen)
    found = tokens_of(house, browser, client_id, "openid patient/*.rs offline_access", patient="p1")
    return {**found, "client_id": client_id}


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWS, unverified."""
    parts = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]
    return parts[0], parts[1]


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    """Return a JWS with any signature."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)
    ]
    return ".".join((*parts, signature))


def status(house: House, token: str) -> int:
    """Return the status that a read with `token` is answered with."""
    return house.program().get("/fhir/Patient/p1", headers=bearer(token)).status_code


def test_token_is_a_jwt_of_rfc_9068(tokens: dict[str, Any]) -> None:
    header, claims = read(tokens["access_token"])
    assert (header["typ"], header["alg"]) == (ACCESS_TOKEN_TYPE, "ES256")
    assert (claims["iss"], claims["aud"]) == (ISSUER, BASE)
    assert set(claims) >= {"sub", "client_id", "iat", "exp", "jti", "scope"}


def test_expired_token_is_refused_also_when_it_was_seen_before(house: House, tokens: dict[str, Any]) -> None:
    token = tokens["access_token"]
    assert status(house, token) == 200
    house.clock.advance(seconds=899)
    assert status(house, token) == 200
    house.clock.advance(seconds=1)
    answer = house.program().get("/fhir/Patient/p1", headers=bearer(token))
    assert answer.status_code == 401
    assert answer.json()["issue"][0]["diagnostics"] == "The access token has expired"


def test_token_with_another_signature_or_payload_is_refused(house: House, tokens: dict[str, Any]) -> None:
    token = tokens["access_token"]
    header, claims = read(token)
    assert status(house, token[:-8] + "AAAAAAAA") == 401
    assert status(house, unsigned(header, {**claims, "patient": "p2"}, token.rpartition(".")[2])) == 401


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "RS256", "ES384", "PS256"])
def test_algorithm_that_is_not_the_key_s_is_refused(
    house: House, tokens: dict[str, Any], algorithm: str
) -> None:
    header, claims = read(tokens["access_token"])
    confused = {**header, "alg": algorithm}
    assert status(house, unsigned(confused, claims)) == 401
    published = house.program().get("/oauth/jwks").json()["keys"]
    (public,) = [key for key in published if key["kid"] == header["kid"]]
    if algorithm == "HS256":
        # the public key as the secret of a MAC
        for secret in (json.dumps(public), ECKey.import_key(public).as_pem(private=False).decode()):
            content = unsigned(confused, claims).rstrip(".")
            code = hmac.digest(secret.encode(), content.encode(), "sha256")
            assert status(house, f"{content}.{base64.urlsafe_b64encode(code).rstrip(b'=').decode()}") == 401
    if algorithm == "RS256":
        forged = jwt.encode(confused, claims, RSAKey.generate_key(2048), algorithms=["RS256"])
        assert status(house, forged) == 401


def test_token_of_another_key_is_refused_with_and_without_our_key_id(
    house: House, tokens: dict[str, Any]
) -> None:
    header, claims = read(tokens["access_token"])
    own = ECKey.generate_key("P-256")
    for changed in (header, {**header, "kid": "unknown"}, {k: v for k, v in header.items() if k != "kid"}):
        assert status(house, jwt.encode(changed, claims, own, algorithms=["ES256"])) == 401
    injected = {**header, "jwk": own.as_dict(private=False), "jku": "https://evil.example/jwks"}
    forged = unsigned(
        injected, claims, jwt.encode(header, claims, own, algorithms=["ES256"]).rpartition(".")[2]
    )
    assert status(house, forged) == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.example/fhir"},
        {"aud": [f"{BASE}/Patient"]},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"exp": 0},
        {"nbf": 99_999_999_999},
        {"iat": 99_999_999_999},
    ],
)
def test_token_for_somebody_else_or_another_time_is_refused(
    house: House, tokens: dict[str, Any], changes: dict[str, Any]
) -> None:
    header, claims = read(tokens["access_token"])
    key = house.exchange.identity.keys.signing("ES256")
    changed = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    good = jwt.encode(header, {**claims, "jti": "another"}, key.key, algorithms=["ES256"])
    assert status(house, good) == 200
    assert status(house, jwt.encode(header, changed, key.key, algorithms=["ES256"])) == 401


def test_id_token_is_no_access_token(house: House, tokens: dict[str, Any]) -> None:
    assert status(house, tokens["id_token"]) == 401
    header, claims = read(tokens["access_token"])
    key = house.exchange.identity.keys.signing("ES256")
    wrong_type = jwt.encode({**header, "typ": "JWT"}, claims, key.key, algorithms=["ES256"])
    assert status(house, wrong_type) == 401


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Basic YTpi",
        "bearer x.y",
        "Bearer ....",
        "Bearer " + "x" * 20_000,
        "Bearer ä",
    ],
)
def test_malformed_authorization_header_is_answered_401(house: House, header: str) -> None:
    answer = house.program().get("/fhir/Patient/p1", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_two_authorization_headers_are_refused(house: House, tokens: dict[str, Any]) -> None:
    both = [("Authorization", f"Bearer {tokens['access_token']}"), ("Authorization", "Bearer x")]
    assert house.program().get("/fhir/Patient/p1", headers=both).status_code == 400


def test_token_is_not_looked_for_in_the_query(house: House, tokens: dict[str, Any]) -> None:
    """RFC 9700, 4.3.2: tokens in URLs leak."""
    address = f"/fhir/Patient/p1?access_token={tokens['access_token']}"
    assert house.program().get(address).status_code == 401


def test_refresh_token_gives_new_ones_and_is_good_once(house: House, tokens: dict[str, Any]) -> None:
    program = house.program()
    form = {"grant_type": "refresh_token", "client_id": tokens["client_id"]}
    first = program.post("/oauth/token", data={**form, "refresh_token": tokens["refresh_token"]}).json()
    assert first["scope"] == tokens["scope"]
    assert first["patient"] == "p1"
    second = program.post("/oauth/token", data={**form, "refresh_token": first["refresh_token"]}).json()
    assert status(house, second["access_token"]) == 200
    reused = program.post("/oauth/token", data={**form, "refresh_token": first["refresh_token"]})
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    house.clock.advance(seconds=2)
    for each in (tokens, first, second):
        assert status(house, each["access_token"]) == 401
    last = program.post("/oauth/token", data={**form, "refresh_token": second["refresh_token"]})
    assert last.json()["error"] == "invalid_grant"


def test_refresh_narrows_but_never_widens(house: House, tokens: dict[str, Any]) -> None:
    program = house.program()
    form = {
        "grant_type": "refresh_token",
        "client_id": tokens["client_id"],
        "refresh_token": tokens["refresh_token"],
        "scope": "patient/*.cruds",
    }
    assert program.post("/oauth/token", data=form).json()["error"] == "invalid_scope"


def test_refresh_token_of_another_client_is_refused(house: House, tokens: dict[str, Any]) -> None:
    other, _ = house.register()
    form = {"grant_type": "refresh_token", "client_id": other, "refresh_token": tokens["refresh_token"]}
    assert house.program().post("/oauth/token", data=form).json()["error"] == "invalid_grant"


def test_refresh_token_ends_with_its_time(house: House, tokens: dict[str, Any]) -> None:
    house.clock.advance(days=30)
    form = {
        "grant_type": "refresh_token",
        "client_id": tokens["client_id"],
        "refresh_token": tokens["refresh_token"],
    }
    assert house.program().post("/oauth/token", data=form).json()["error"] == "invalid_grant"


def test_online_access_ends_with_the_session(house: House, citizen: Person) -> None:
    client_id, _ = house.register(scopes=("patient/*.rs", "online_access"))
    browser, program = house.browser(), house.program()
    house.let_in(browser, citizen)
    found = tokens_of(house, browser, client_id, "patient/*.rs online_access", patient="p1")
    form = {"grant_type": "refresh_token", "client_id": client_id}
    found = program.post("/oauth/token", data={**form, "refresh_token": found["refresh_token"]}).json()
    house.clock.advance(minutes=31)
    late = program.post("/oauth/token", data={**form, "refresh_token": found["refresh_token"]})
    assert late.json()["error"] == "invalid_grant"


def test_revoked_access_token_is_refused_within_a_second(house: House, tokens: dict[str, Any]) -> None:
    program = house.program()
    form = {"client_id": tokens["client_id"], "token": tokens["access_token"]}
    assert status(house, tokens["access_token"]) == 200
    other, _ = house.register()
    assert program.post("/oauth/revoke", data={**form, "client_id": other}).status_code == 400
    assert program.post("/oauth/revoke", data=form).status_code == 200
    house.clock.advance(seconds=1)
    assert status(house, tokens["access_token"]) == 401
    refreshed = program.post(
        "/oauth/token",
        data={
            "grant_type": "refresh_token",
            "client_id": tokens["client_id"],
            "refresh_token": tokens["refresh_token"],
        },
    )
    assert status(house, refreshed.json()["access_token"]) == 200


def test_revoked_refresh_token_ends_the_access_tokens_too(house: House, tokens: dict[str, Any]) -> None:
    program = house.program()
    form = {"client_id": tokens["client_id"], "token": tokens["refresh_token"]}
    assert program.post("/oauth/revoke", data=form).status_code == 200
    house.clock.advance(seconds=1)
    assert status(house, tokens["access_token"]) == 401


def test_revoking_what_is_unknown_is_no_error(house: House, tokens: dict[str, Any]) -> None:
    for unknown in ("made-up", "a.b.c", "é"):
        form = {"client_id": tokens["client_id"], "token": unknown}
        assert house.program().post("/oauth/revoke", data=form).status_code == 200


def test_disabled_account_and_changed_roles_end_tokens(
    house: House, citizen: Person, tokens: dict[str, Any]
) -> None:
    with house.exchange.database.transaction() as transaction:
        accounts.set_roles(
            transaction,
            citizen.account.id,
            [Role.GUARDIAN],
            now=house.clock.now(),
            token_life=house.exchange.identity.terms.longest_token,
        )
    house.clock.advance(seconds=1)
    assert status(house, tokens["access_token"]) == 401


def test_introspection_tells_those_who_may_know(house: House, tokens: dict[str, Any]) -> None:
    program = house.program()
    server, secret = house.register(
        auth_method="client_secret_basic",
        may_introspect=True,
        scopes=("system/*.rs",),
        redirect_uris=(),
        grant_types=("client_credentials",),
    )
    stranger, other = house.register(
        auth_method="client_secret_basic",
        scopes=("system/*.rs",),
        redirect_uris=(),
        grant_types=("client_credentials",),
    )
    form = {"token": tokens["access_token"]}
    said = program.post("/oauth/introspect", data=form, auth=(server, secret)).json()
    assert said["active"] is True
    assert (said["scope"], said["client_id"], said["patient"]) == (tokens["scope"], tokens["client_id"], "p1")
    assert program.post("/oauth/introspect", data=form, auth=(stranger, other)).json() == {"active": False}
    assert program.post("/oauth/introspect", data=form, auth=(server, "wrong")).status_code == 401
    assert program.post("/oauth/introspect", data=form).status_code == 401
    house.clock.advance(seconds=900)
    assert program.post("/oauth/introspect", data=form, auth=(server, secret)).json() == {"active": False}


def test_confidential_client_must_prove_itself(house: House, citizen: Person) -> None:
    client_id, secret = house.register(auth_method="client_secret_basic")
    browser, program = house.browser(), house.program()
    house.let_in(browser, citizen)
    page = browser.get("/oauth/authorize", params=authorization(client_id, "patient/*.rs"))
    code = answer_of(allow(browser, page, patient="p1"))["code"]
    assert exchange_code(program, client_id, code).json()["error"] == "invalid_client"
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    assert program.post("/oauth/token", data=form, auth=(client_id, "wrong")).status_code == 401
    assert program.post("/oauth/token", data=form, auth=(client_id, secret or "")).status_code == 200


@pytest.mark.parametrize("credentials", ["Basic /////w==", "Basic !", "Basic", "Basic " + "A" * 5000])
def test_unreadable_client_credentials_are_refused(house: House, credentials: str) -> None:
    answer = house.program().post(
        "/oauth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": credentials}
    )
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] in ("invalid_client", "invalid_request")


def test_forms_that_are_none_are_refused(house: House) -> None:
    program = house.program()
    assert program.post("/oauth/token", json={"grant_type": "x"}).json()["error"] == "invalid_request"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (
        b"a=1&a=2",
        b"grant_type=%FF",
        b"x" * 70_000,
        "é".encode(),
        b"&".join([b"a%d=1" % n for n in range(99)]),
    ):
        answer = program.post("/oauth/token", content=body, headers=form)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_check_of_a_known_token_takes_no_look_into_the_database(house: House, tokens: dict[str, Any]) -> None:
    authenticator = house.exchange.identity.authenticator
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    first = authenticator.authenticate(headers)
    assert authenticator.recall(headers) == first
    house.clock.advance(seconds=2)
    assert authenticator.recall(headers) is None
    assert authenticator.authenticate(headers) == first
    assert first.kind == "person"
    assert first.patient == "p1"
    assert first.roles == {Role.CITIZEN}
    assert first.client == tokens["client_id"]
    assert "patient/*.rs" in (first.scopes or ())


def test_unknown_key_ids_do_not_reach_the_database_each_time(house: House, tokens: dict[str, Any]) -> None:
    header, claims = read(tokens["access_token"])
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    authenticator = house.exchange.identity.authenticator
    authenticator.authenticate(bearer_of(tokens))
    event.listen(house.exchange.database.engine, "before_cursor_execute", note)
    for number in range(100):
        forged = unsigned({**header, "kid": f"k{number}"}, claims, "AAAA")
        with pytest.raises(UnauthenticatedError):
            authenticator.authenticate({"authorization": f"Bearer {forged}"})
    event.remove(house.exchange.database.engine, "before_cursor_execute", note)
    assert len([each for each in statements if "identity_signing_key" in each]) <= 1


def bearer_of(tokens: dict[str, Any]) -> dict[str, str]:
    """Return the headers as a mapping of names in small letters."""
    return {"authorization": f"Bearer {tokens['access_token']}"}
