"""SMART Backend Services: a system proves itself by a signed assertion; bad assertions of every kind."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, RSAKey

from hie.core.security_errors import RegistrationError
from hie.identity.published_keys import PublishedKeys
from tests.hie.identity.conftest import BASE, ISSUER, House

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEYS: dict[str, Key] = {
    "ES384": ECKey.generate_key("P-384", {"kid": "ec"}),
    "RS384": RSAKey.generate_key(2048, {"kid": "rsa"}),
}


def jwks() -> dict[str, Any]:
    """Return the public keys as a client registers them."""
    return {"keys": [{**key.as_dict(private=False), "use": "sig"} for key in KEYS.values()]}


def register_system(house: House, **values: Any) -> str:
    """Return the id of a new system with keys."""
    given = {
        "auth_method": "private_key_jwt",
        "jwks": jwks(),
        "scopes": ("system/*.rs", "system/Observation.cruds"),
        "redirect_uris": (),
        "grant_types": ("client_credentials",),
        **values,
    }
    return house.register(**given)[0]


def assertion(
    house: House, client_id: str, algorithm: str = "ES384", key: Key | None = None, **changes: Any
) -> str:
    """Return a signed assertion; None leaves a claim out, `header_...` changes the header."""
    now = int(house.clock.now().timestamp())
    key = key or KEYS[algorithm]
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": f"{ISSUER}/oauth/token",
        "exp": now + 300,
        "jti": uuid4().hex,
        **{name: value for name, value in changes.items() if not name.startswith("header_")},
    }
    header = {"alg": algorithm, "kid": key.kid, "typ": "JWT"}
    header |= {
        name.removeprefix("header_"): value for name, value in changes.items() if name.startswith("header_")
    }
    whole = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(
        {name: value for name, value in header.items() if value is not None},
        whole,
        key,
        algorithms=[algorithm],
    )


def ask(house: House, text: str, scope: str | None = "system/*.rs", **fields: str) -> Any:
    """Return the token endpoint's answer to an assertion."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": text,
        **fields,
    }
    return house.program().post("/oauth/token", data=form if scope is None else {**form, "scope": scope})


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_signed_assertion_gives_a_token_that_reads(house: House, algorithm: str) -> None:
    client_id = register_system(house)
    answer = ask(house, assertion(house, client_id, algorithm))
    assert answer.status_code == 200, answer.text
    token = answer.json()
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 300, "system/*.rs")
    assert "refresh_token" not in token
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert house.program().get("/fhir/Patient/p1", headers=bearer).status_code == 200
    requester = house.exchange.identity.authenticator.authenticate({"authorization": bearer["Authorization"]})
    assert (requester.kind, requester.id, requester.scopes) == ("client", client_id, ("system/*.rs",))


def test_assertion_is_taken_once(house: House) -> None:
    client_id = register_system(house)
    text = assertion(house, client_id)
    assert ask(house, text).status_code == 200
    again = ask(house, text)
    assert again.json() == {"error": "invalid_client", "error_description": "The assertion was used before."}
    assert ask(house, assertion(house, client_id, jti="same")).status_code == 200
    assert ask(house, assertion(house, client_id, jti="same", aud=ISSUER)).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 99_999_999_999},
        {"iat": 99_999_999_999},
        {"nbf": 99_999_999_999},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 256},
        {"jti": 7},
        {"aud": None},
        {"aud": BASE},
        {"aud": "https://elsewhere.example/oauth/token"},
        {"aud": [7]},
        {"iss": "another"},
        {"iss": None},
        {"sub": None},
        {"sub": "another"},
        {"sub": 7},
        {"header_kid": None},
        {"header_kid": "unknown"},
        {"header_kid": "rsa"},
    ],
)
def test_bad_assertion_is_refused(house: House, changes: dict[str, Any]) -> None:
    client_id = register_system(house)
    answer = ask(house, assertion(house, client_id, **changes))
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == "invalid_client"


def test_assertion_of_five_minutes_is_the_longest(house: House) -> None:
    client_id = register_system(house)
    now = int(house.clock.now().timestamp())
    assert ask(house, assertion(house, client_id, exp=now + 300)).status_code == 200
    assert ask(house, assertion(house, client_id, exp=now + 600)).json()["error"] == "invalid_client"


def test_assertion_signed_by_another_key_or_by_a_public_key_as_secret_is_refused(house: House) -> None:
    client_id = register_system(house)
    foreign = ECKey.generate_key("P-384", {"kid": "ec"})
    assert ask(house, assertion(house, client_id, key=foreign)).json()["error"] == "invalid_client"
    public = OctKey.import_key(json.dumps(jwks()["keys"][0]))
    forged = jwt.encode(
        {"alg": "HS256", "kid": "ec"}, {"iss": client_id, "sub": client_id}, public, algorithms=["HS256"]
    )
    assert ask(house, forged).json()["error"] == "invalid_client"
    unsigned = assertion(house, client_id).rpartition(".")[0] + "."
    assert ask(house, unsigned).json()["error"] == "invalid_client"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "e30.e30.", "é.é.é", "." * 5])
def test_assertion_that_is_none_is_refused(house: House, text: str) -> None:
    assert ask(house, text).json()["error"] == "invalid_client"


def test_assertion_and_secret_together_are_refused(house: House) -> None:
    client_id = register_system(house)
    answer = house.program().post(
        "/oauth/token",
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": assertion(house, client_id),
        },
        auth=(client_id, "x"),
    )
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("system/*.cruds", ["system/*.rs", "system/Observation.cruds"]),
        ("system/Patient.read", ["system/Patient.read"]),
        ("system/Patient.rs?_id=p1", ["system/Patient.rs?_id=p1"]),
        ("system/Observation.c system/Patient.c", ["system/Observation.c"]),
        ("system/*.rs user/*.rs patient/*.rs openid offline_access", ["system/*.rs"]),
    ],
)
def test_scopes_never_exceed_the_registration(house: House, asked: str, granted: list[str]) -> None:
    client_id = register_system(house)
    assert ask(house, assertion(house, client_id), asked).json()["scope"].split() == granted


@pytest.mark.parametrize(
    "asked", [None, "", "user/*.rs", "openid", "system/Patient.sr", "system/Patient.c", "*"]
)
def test_request_for_nothing_that_can_be_granted_is_invalid_scope(house: House, asked: str | None) -> None:
    client_id = register_system(house)
    answer = ask(house, assertion(house, client_id), asked)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_client_uses_the_grant_types_it_registered(house: House) -> None:
    client_id, secret = house.register(auth_method="client_secret_post")
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    assert house.program().post("/oauth/token", data=form).json()["error"] == "unauthorized_client"


def test_job_belongs_to_the_client_whatever_token_it_asks_with(house: House) -> None:
    client_id, other_id = register_system(house), register_system(house)

    def bearer(client: str) -> dict[str, str]:
        token = ask(house, assertion(house, client)).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    headers = {**bearer(client_id), "Prefer": "respond-async", "Accept": "application/fhir+json"}
    begun = house.program().get("/fhir/$export", headers=headers)
    assert begun.status_code == 202, begun.text
    path = begun.headers["content-location"].removeprefix(ISSUER)
    house.clock.advance(seconds=200)
    assert house.program().get(path, headers=bearer(client_id)).status_code == 202
    assert house.program().get(path, headers=bearer(other_id)).status_code == 404
    assert house.program().get(path).status_code == 401


class _Keys(http.server.BaseHTTPRequestHandler):
    content = b""
    fetched = 0

    def do_GET(self) -> None:
        """Answer with the keys, or lead elsewhere."""
        type(self).fetched += 1
        if self.path == "/elsewhere/jwks":
            self.send_response(302)
            self.send_header("Location", "/keys/jwks")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content if self.path == "/keys/jwks" else b"x" * 300_000)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def key_server() -> Iterator[str]:
    """The address of a server that publishes the keys of a client."""
    _Keys.content, _Keys.fetched = json.dumps(jwks()).encode(), 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Keys)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_keys_under_a_url_are_fetched_once_and_again_for_a_new_key(house: House, key_server: str) -> None:
    house.exchange.identity.published = PublishedKeys(
        [f"{key_server}/keys/", f"{key_server}/elsewhere"], house.clock
    )
    client_id = register_system(house, jwks=None, jwks_uri=f"{key_server}/keys/jwks")
    for _ in range(3):
        assert ask(house, assertion(house, client_id)).status_code == 200
    assert _Keys.fetched == 1
    new = ECKey.generate_key("P-384", {"kid": "new"})
    _Keys.content = json.dumps({"keys": [new.as_dict(private=False)]}).encode()
    assert ask(house, assertion(house, client_id, key=new)).json()["error"] == "invalid_client"
    house.clock.advance(seconds=30)
    assert ask(house, assertion(house, client_id, key=new)).status_code == 200
    assert _Keys.fetched == 2


@pytest.mark.parametrize(
    "path", ["/other/jwks", "/keys/../other/jwks", "/keys/%2e%2e/other", "/elsewhere/jwks", "/keysx"]
)
def test_keys_are_fetched_from_permitted_places_only(house: House, key_server: str, path: str) -> None:
    published = PublishedKeys([f"{key_server}/keys/", f"{key_server}/elsewhere"], house.clock)
    house.exchange.identity.published = published
    client_id = register_system(house, jwks=None, jwks_uri=f"{key_server}{path}")
    assert ask(house, assertion(house, client_id)).json()["error"] == "invalid_client"
    assert _Keys.fetched == (1 if path.startswith("/elsewhere") else 0)


@pytest.mark.parametrize(
    "values",
    [
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [KEYS["ES384"].as_dict(private=True)]}},
        {"jwks": {"keys": [{**KEYS["RS384"].as_dict(private=False), "n": "A" * 171}]}},
        {"jwks": {"keys": [OctKey.generate_key(256, {"kid": "oct"}).as_dict()]}},
        {"jwks": {"keys": "none"}},
        {"jwks": {}},
        {"jwks": None},
        {"jwks": jwks(), "jwks_uri": "https://hospital.example/jwks"},
        {"auth_method": "none", "jwks": None},
        {"auth_method": "tls_client_auth"},
        {"grant_types": ()},
        {"grant_types": ("password",)},
        {"redirect_uris": ("https://app.example/",)},
        {"grant_types": ("authorization_code",)},
        {"grant_types": ("authorization_code",), "redirect_uris": ("http://app.example/",)},
        {"grant_types": ("authorization_code",), "redirect_uris": ("javascript:alert(1)",)},
        {"grant_types": ("authorization_code",), "redirect_uris": ("https://app.example/#x",)},
        {"grant_types": ("authorization_code",), "redirect_uris": ("https://a@app.example/",)},
        {"grant_types": ("authorization_code",), "redirect_uris": ("https:///x",)},
        {"scopes": ("system/Patient.sr",)},
        {"scopes": ("everything",)},
        {"name": " "},
        {"client_id": "a b"},
    ],
)
def test_bad_registration_is_refused(house: House, values: dict[str, Any]) -> None:
    with pytest.raises(RegistrationError):
        register_system(house, **values)
