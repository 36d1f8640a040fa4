"""Tokens that an attacker makes: headers that name another key, other types of key, more scope.

What a good token is and the plain forgeries are in `tests/hie/identity`; here are the ways around its key
(RFC 8725, 2 and 3; https://www.rfc-editor.org/rfc/rfc8725).
"""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from hie.core.access import Role
from hie.identity.accounts import Links, Person
from tests.hie.identity.conftest import House, tokens_of
from tests.hie.identity.test_access_token import bearer, read, status, unsigned

Tokens = dict[str, Any]
KEY_IDS = [
    "../../../../dev/null",
    "/proc/sys/kernel/randomize_va_space",
    "file:///dev/null",
    "https://evil.example/key.json",
    "http://169.254.169.254/latest/meta-data/",
    "' OR '1'='1",
    "'; DROP TABLE identity_signing_key; --",
    "x' UNION SELECT 'AA==",
    "$(id)",
    "`id`",
    "\0",
    "",
    "a" * 100_000,
    "\ud800",
]


@pytest.fixture(scope="module")
def tokens(house: House) -> Tokens:
    """The tokens of a citizen who granted reading."""
    return granted(house)


def granted(house: House) -> Tokens:
    """Return the tokens of a new grant to read."""
    citizen = house.add("citizen", Role.CITIZEN, links=Links(patient="p1"))
    client_id, _ = house.register()
    browser = house.browser()
    house.let_in(browser, citizen)
    found = tokens_of(house, browser, client_id, "patient/*.rs offline_access", patient="p1")
    return {**found, "client_id": client_id}


def signed(header: dict[str, Any], claims: dict[str, Any], key: ECKey) -> str:
    """Return a token with any header, signed by `key`: what joserfc would refuse to make."""
    content = unsigned(header, claims).rstrip(".")
    r, s = decode_dss_signature(key.get_op_key("sign").sign(content.encode(), ECDSA(SHA256())))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("key_id", KEY_IDS, ids=range(len(KEY_IDS)))
def test_key_id_is_a_name_and_nothing_that_is_looked_up_elsewhere(
    house: House, tokens: Tokens, key_id: str
) -> None:
    header, claims = read(tokens["access_token"])
    own = ECKey.generate_key("P-256")
    assert status(house, signed({**header, "kid": key_id}, claims, own)) == 401
    assert status(house, tokens["access_token"]) == 200


@pytest.mark.parametrize("key_id", [5, None, True, [], {}, ["a"], {"a": 1}, 1.5])
def test_key_id_that_is_no_text_is_refused(house: House, tokens: Tokens, key_id: object) -> None:
    header, claims = read(tokens["access_token"])
    assert status(house, signed({**header, "kid": key_id}, claims, ECKey.generate_key("P-256"))) == 401


def test_key_that_the_token_brings_along_is_not_believed(house: House, tokens: Tokens) -> None:
    header, claims = read(tokens["access_token"])
    own = ECKey.generate_key("P-256")
    public = own.as_dict(private=False)
    certificate = base64.b64encode(own.as_der(private=False)).decode()
    without = {name: value for name, value in header.items() if name != "kid"}
    for brought in (
        {"jwk": public},
        {"jwk": {**public, "kid": header["kid"]}},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/certificate"},
        {"x5c": [certificate]},
    ):
        for base in (header, without):
            assert status(house, signed({**base, **brought}, claims, own)) == 401, brought


def test_extension_that_is_critical_and_unknown_is_refused(house: House, tokens: Tokens) -> None:
    """RFC 7515, 4.1.11; the signature is our own key's."""
    header, claims = read(tokens["access_token"])
    key = house.exchange.identity.keys.signing("ES256").key
    assert isinstance(key, ECKey)
    assert status(house, signed(header, {**claims, "jti": "good"}, key)) == 200
    extras: list[dict[str, Any]] = [
        {"crit": ["x"], "x": 1},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
    ]
    for extra in extras:
        assert status(house, signed({**header, **extra}, {**claims, "jti": "bad"}, key)) == 401, extra


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "Ed25519", "ES256"])
def test_key_of_another_type_under_our_key_id_is_refused(
    house: House, tokens: Tokens, algorithm: str
) -> None:
    header, claims = read(tokens["access_token"])
    keys: dict[str, ECKey | OKPKey] = {
        "Ed25519": OKPKey.generate_key("Ed25519"),
        "ES256": ECKey.generate_key("P-256"),
    }
    key = keys.get(algorithm) or RSAKey.generate_key(2048)
    forged = jwt.encode({**header, "alg": algorithm}, claims, key, algorithms=[algorithm])
    assert status(house, forged) == 401
    # and what our other published key signs is not what this key's tokens are
    for published in house.program().get("/oauth/jwks").json()["keys"]:
        mixed = {**header, "kid": published["kid"], "alg": algorithm}
        assert status(house, jwt.encode(mixed, claims, key, algorithms=[algorithm])) == 401


def test_token_of_our_other_key_is_held_to_that_key_s_algorithm(house: House, tokens: Tokens) -> None:
    """ID tokens may be signed by RSA (OpenID Connect Core 1.0, 15.1); access tokens are not, by confusion."""
    header, claims = read(tokens["access_token"])
    for algorithm in ("ES256", "RS256"):
        key = house.exchange.identity.keys.signing(algorithm)
        other = "RS256" if algorithm == "ES256" else "ES256"
        content = {**claims, "jti": f"mix-{algorithm}"}
        good = jwt.encode({**header, "kid": key.id, "alg": algorithm}, content, key.key, [algorithm])
        named = unsigned({**header, "kid": key.id, "alg": other}, content, good.rpartition(".")[2])
        assert status(house, named) == 401


@pytest.mark.parametrize(
    "text",
    [
        "e30.e30.e30",
        "e30..",
        "..",
        "." * 1000,
        "eyJhbGciOiJub25lIn0.e30.",
        "A" * 60_000,
        "é.é.é",
        "e30.e30.e30.e30.e30",
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0....",
    ],
    ids=range(9),
)
def test_what_is_no_signed_token_is_refused(house: House, text: str) -> None:
    answer = house.program().get("/fhir/Patient/p1", headers={"Authorization": f"Bearer {text}".encode()})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "scope",
    [
        "patient/*.cruds",
        "patient/*.write",
        "patient/*.*",
        "user/*.rs",
        "system/*.rs",
        "patient/Patient.u",
        "openid",
        "patient/*.rs?_id=p2 patient/Patient.cruds",
    ],
)
def test_refresh_gives_no_scope_that_was_not_granted(house: House, scope: str) -> None:
    """RFC 6749, 6; version 1 of the language of scopes is no way around version 2."""
    given = granted(house)
    form = {
        "grant_type": "refresh_token",
        "client_id": given["client_id"],
        "refresh_token": given["refresh_token"],
        "scope": f"patient/*.rs {scope}",
    }
    answer = house.program().post("/oauth/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_bearer_of_a_page_s_session_and_the_other_way_round(house: House, clinician: Person) -> None:
    browser = house.browser()
    house.let_in(browser, clinician)
    secret = browser.cookies.get("session")
    assert secret is not None
    assert house.program().get("/fhir/Patient/p1", headers=bearer(secret)).status_code == 401


def test_token_in_a_cookie_is_no_session(house: House, tokens: Tokens) -> None:
    program = house.program()
    program.cookies.set("session", tokens["access_token"])
    assert program.get("/fhir/Patient/p1").status_code == 401
