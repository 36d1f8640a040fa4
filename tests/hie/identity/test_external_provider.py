"""Access tokens of an external OpenID provider: a strict one of our own making, over HTTP."""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from hie.core.access import Role
from hie.core.errors import ConfigurationError
from hie.core.security_errors import InvalidTokenError
from hie.core.settings import Settings
from hie.identity.external import ExternalProvider
from tests.hie.identity.conftest import BASE, MovableClock

KEY = RSAKey.generate_key(2048, {"kid": "theirs"})


class _Provider(http.server.BaseHTTPRequestHandler):
    issuer = ""
    issuer_said = ""
    jwks_path = "/realm/keys"

    def do_GET(self) -> None:
        """Answer with the configuration or the keys."""
        content: dict[str, Any]
        if self.path == "/realm/.well-known/openid-configuration":
            origin = self.issuer.removesuffix("/realm")
            content = {"issuer": self.issuer_said, "jwks_uri": f"{origin}{self.jwks_path}"}
        elif self.path in ("/realm/keys", "/elsewhere"):
            content = {"keys": [{**KEY.as_dict(private=False), "use": "sig"}]}
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def issuer() -> Iterator[str]:
    """The issuer of a provider that runs."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    _Provider.issuer = _Provider.issuer_said = f"http://127.0.0.1:{server.server_address[1]}/realm"
    _Provider.jwks_path = "/realm/keys"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield _Provider.issuer
    server.shutdown()
    thread.join()
    server.server_close()


def provider(issuer: str, clock: MovableClock, **values: Any) -> ExternalProvider:
    """Return the provider that settings name."""
    given: dict[str, Any] = {
        "auth": "on",
        "base_url": BASE,
        "oidc_issuer": issuer,
        "oidc_roles_claim": "realm_access.roles",
        "oidc_roles": {"doctor": "clinician", "nurse": "clinician", "root": "system-administrator"},
        "oidc_claims": {"practitioner": "fhir.practitioner", "organization": "org"},
        **values,
    }
    made = ExternalProvider.of(Settings(**given), clock)
    assert made is not None
    return made


def token(issuer: str, clock: MovableClock, algorithm: str = "RS256", key: Any = KEY, **changes: Any) -> str:
    """Return a token of theirs; None leaves a claim out."""
    now = int(clock.now().timestamp())
    claims = {
        "iss": issuer,
        "sub": "u1",
        "aud": [BASE, "another"],
        "exp": now + 60,
        "iat": now,
        "azp": "ward-app",
        "scope": "user/*.rs",
        "realm_access": {"roles": ["doctor", "offline_access"]},
        "fhir": {"practitioner": "pr9"},
        "org": "o9",
        **changes,
    }
    header = {"alg": algorithm, "kid": "theirs"}
    return jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, key, algorithms=[algorithm])


def verify(made: ExternalProvider, text: str) -> Any:
    """Return who asks."""
    header = json.loads(base64.urlsafe_b64decode(text.split(".", maxsplit=1)[0] + "=="))
    return made.verify(text, header)[0]


def test_token_of_the_provider_says_who_asks(issuer: str) -> None:
    clock = MovableClock()
    requester = verify(provider(issuer, clock), token(issuer, clock))
    assert requester.kind == "person"
    assert requester.id == f"{issuer}#u1"
    assert requester.roles == {Role.CLINICIAN}
    assert (requester.practitioner, requester.organization, requester.patient) == ("pr9", "o9", "")
    assert (requester.client, requester.scopes) == ("ward-app", ("user/*.rs",))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": 99_999_999_999},
        {"sub": None},
    ],
)
def test_token_for_somebody_else_or_another_time_is_refused(issuer: str, changes: dict[str, Any]) -> None:
    clock = MovableClock()
    with pytest.raises(InvalidTokenError):
        verify(provider(issuer, clock), token(issuer, clock, **changes))


def test_token_that_the_provider_did_not_sign_is_refused(issuer: str) -> None:
    clock = MovableClock()
    made = provider(issuer, clock)
    secret = OctKey.import_key(json.dumps(KEY.as_dict(private=False)))
    forged = [
        token(issuer, clock, key=RSAKey.generate_key(2048)),
        token(issuer, clock, algorithm="ES256", key=ECKey.generate_key("P-256")),
        token(issuer, clock, algorithm="HS256", key=secret),
        token(issuer, clock)[:-9] + "AAAAAAAAA",
    ]
    for text in forged:
        with pytest.raises(InvalidTokenError):
            verify(made, text)


def test_configuration_of_another_issuer_is_not_believed(issuer: str) -> None:
    clock = MovableClock()
    _Provider.issuer_said = "https://elsewhere.example"
    with pytest.raises(InvalidTokenError):
        verify(provider(issuer, clock), token(issuer, clock))


def test_keys_are_fetched_below_the_issuer_or_a_permitted_source_only(issuer: str) -> None:
    clock = MovableClock()
    _Provider.jwks_path = "/elsewhere"
    with pytest.raises(InvalidTokenError):
        verify(provider(issuer, clock), token(issuer, clock))
    permitted = provider(issuer, clock, client_jwks_sources=(f"{issuer.removesuffix('/realm')}/elsewhere",))
    assert verify(permitted, token(issuer, clock)).roles == {Role.CLINICIAN}


def test_setting_that_names_no_role_of_ours_is_refused(issuer: str) -> None:
    for wrong in ({"oidc_roles": {"doctor": "king"}}, {"oidc_claims": {"shoe-size": "x"}}):
        with pytest.raises(ConfigurationError):
            provider(issuer, MovableClock(), **wrong)
