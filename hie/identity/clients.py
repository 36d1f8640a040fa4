"""Registered clients: what is checked when one registers, and what one may do.

Metadata as RFC 7591 names it (https://www.rfc-editor.org/rfc/rfc7591#section-2). `RegisteredClient` is what
authlib asks; redirect URIs are compared as strings, as RFC 9700, 2.1 wants
(https://www.rfc-editor.org/rfc/rfc9700#section-2.1), but for the port of a loopback address (RFC 8252, 7.3).
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit
from uuid import uuid4

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey
from sqlmodel import select

from hie.core import smart_scopes
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject
from hie.core.security_errors import RegistrationError
from hie.identity import revocations
from hie.identity.secrets import digest, new_secret
from hie.identity.tables import Client

# http://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html wants RS384 and ES384.
ASSERTION_ALGORITHMS: Final = ("RS384", "ES384", "RS256", "ES256")
AUTH_METHODS: Final = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
GRANT_TYPES: Final = ("authorization_code", "refresh_token", "client_credentials")
# Scopes that are about who signed in and about what the app is launched for, not about resources.
OTHER_SCOPES: Final = (
    "openid",
    "fhirUser",
    "profile",
    "offline_access",
    "online_access",
    "launch",
    "launch/patient",
    "launch/encounter",
)
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}")
_NAME_LENGTH: Final = 200
_URI_LENGTH: Final = 2000
_RSA_BITS: Final = 2048
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
_LOOPBACK_NAMES: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client registers as; names as in RFC 7591. `scopes` is the most that it is ever granted."""

    name: str
    auth_method: str
    scopes: Sequence[str]
    redirect_uris: Sequence[str] = ()
    grant_types: Sequence[str] = ()
    jwks: JsonObject | None = None
    jwks_uri: str = ""
    launch_uri: str = ""
    organization_id: str = ""
    may_introspect: bool = False
    client_id: str = field(default="")


class RegisteredClient:
    """A client as authlib asks about it (its `ClientMixin`)."""

    def __init__(self, row: Client) -> None:
        """Take the row of the client."""
        self.row = row

    def get_client_id(self) -> str:
        """Return the id."""
        return self.row.id

    def get_default_redirect_uri(self) -> None:
        """Return nothing: the redirect URI is always said and compared."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return `scope`; what of it is granted is decided where the person is known."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Return whether `redirect_uri` is registered, letter by letter."""
        return any(_is_same(redirect_uri, registered) for registered in self.row.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        """Return whether that is the secret of the client."""
        known = self.row.secret_digest
        return known is not None and hmac.compare_digest(known, digest(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - authlib's words
        """Return whether the client registered to authenticate by `method`; the same everywhere."""
        return self.row.auth_method == method

    def check_response_type(self, response_type: str) -> bool:
        """Return whether the client may ask for `response_type`; there is only "code"."""
        return response_type == "code" and "authorization_code" in self.row.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Return whether the client registered for `grant_type`."""
        return grant_type in self.row.grant_types


def register(
    transaction: Transaction, registration: Registration, *, now: datetime
) -> tuple[Client, str | None]:
    """Return the new client, and its secret where it authenticates by one, which is shown only now.

    Raises RegistrationError, which names what is wrong.
    """
    _check(registration)
    client_id = registration.client_id or str(uuid4())
    if transaction.session.get(Client, client_id) is not None:
        raise RegistrationError(f"There is a client `{client_id}` already")
    secret = new_secret() if registration.auth_method.startswith("client_secret") else None
    client = Client(
        id=client_id,
        name=registration.name.strip(),
        auth_method=registration.auth_method,
        secret_digest=None if secret is None else digest(secret),
        jwks=registration.jwks,
        jwks_uri=registration.jwks_uri,
        redirect_uris=list(registration.redirect_uris),
        grant_types=list(registration.grant_types),
        scopes=list(dict.fromkeys(registration.scopes)),
        launch_uri=registration.launch_uri,
        organization_id=registration.organization_id,
        may_introspect=registration.may_introspect,
        created_at=now,
    )
    transaction.session.add(client)
    transaction.session.flush()
    return client, secret


def usual_grant_types(auth_method: str, *, has_pages: bool) -> tuple[str, ...]:
    """Return the grant types of a client that named none: those of people where it has redirect URIs."""
    if has_pages:
        return ("authorization_code", "refresh_token")
    return () if auth_method == "none" else ("client_credentials",)


def place_of(uri: str) -> str:
    """Return where `uri` leads, as a Content-Security-Policy names it: an origin, or an app's own scheme."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def find_client(transaction: Transaction, client_id: str | None) -> RegisteredClient | None:
    """Return the client of that id, None where there is none or it is disabled."""
    if not client_id or not _ID.fullmatch(client_id):
        return None
    row = transaction.session.get(Client, client_id)
    return None if row is None or row.is_disabled else RegisteredClient(row)


def list_clients(transaction: Transaction) -> list[Client]:
    """Return all clients by name."""
    return list(transaction.session.exec(select(Client).order_by(Client.name, Client.id)))


def set_disabled(
    transaction: Transaction, client_id: str, *, is_disabled: bool, now: datetime, token_life: timedelta
) -> None:
    """Let the client in no more, or again; access tokens that it has end. Raises NotFoundError."""
    row = transaction.session.get(Client, client_id) if _ID.fullmatch(client_id) else None
    if row is None:
        raise NotFoundError("There is no such client")
    row.is_disabled = is_disabled
    transaction.session.add(row)
    if is_disabled:
        revocations.revoke(transaction, "client", client_id, now=now, token_life=token_life)


def key_set(jwks: JsonObject) -> KeySet:
    """Return the public keys of a JWK Set that assertions may be signed with, by their `kid`.

    Raises RegistrationError if there is none, or one that must not be there: private, too short, unnamed.
    """
    keys: list[Key] = []
    given = jwks.get("keys")
    for each in given if isinstance(given, list) else ():
        modulus = each.get("n") if isinstance(each, dict) and each.get("kty") == "RSA" else None
        # base64url: six bits a sign
        if isinstance(modulus, str) and len(modulus) * 6 < _RSA_BITS:
            raise RegistrationError(f"An RSA key of the JWK Set has fewer than {_RSA_BITS} bits")
    try:
        found = KeySet.import_key_set(jwks)  # type: ignore[arg-type] # a JSON object, checked here
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RegistrationError("The JWK Set cannot be read") from error
    for key in found.keys:
        if isinstance(key, (RSAKey, ECKey)):
            if key.is_private:
                raise RegistrationError(
                    "The JWK Set holds a private key; it must be changed, and kept secret"
                )
            if not key.kid or key.get("use", "sig") != "sig":
                continue
            keys.append(key)
    if not keys:
        raise RegistrationError("The JWK Set has no RSA or EC key for signatures that has a `kid`")
    return KeySet(keys)


def _check(registration: Registration) -> None:
    if registration.client_id and not _ID.fullmatch(registration.client_id):
        raise RegistrationError("A client's id has 1 to 100 of: letters, digits, . _ ~ -")
    if not registration.name.strip() or len(registration.name) > _NAME_LENGTH:
        raise RegistrationError(f"A client has a name of at most {_NAME_LENGTH} characters")
    if registration.auth_method not in AUTH_METHODS:
        raise RegistrationError(f"token_endpoint_auth_method is one of {', '.join(AUTH_METHODS)}")
    _check_grant_types(registration)
    for uri in registration.redirect_uris:
        _check_redirect_uri(uri)
    _check_keys(registration)
    for scope in registration.scopes:
        if scope not in OTHER_SCOPES and smart_scopes.parse(scope) is None:
            raise RegistrationError(f"`{scope[:100]}` is no scope of SMART App Launch")
    if registration.launch_uri:
        _check_redirect_uri(registration.launch_uri)


def _check_grant_types(registration: Registration) -> None:
    unknown = [each for each in registration.grant_types if each not in GRANT_TYPES]
    if unknown or not registration.grant_types:
        raise RegistrationError(f"grant_types are of {', '.join(GRANT_TYPES)}")
    if "client_credentials" in registration.grant_types and registration.auth_method == "none":
        raise RegistrationError("A client without credentials cannot use client_credentials")
    if ("authorization_code" in registration.grant_types) != bool(registration.redirect_uris):
        raise RegistrationError("redirect_uris belong to the grant type authorization_code")


def _check_keys(registration: Registration) -> None:
    has_keys = registration.jwks is not None or bool(registration.jwks_uri)
    if has_keys != (registration.auth_method == "private_key_jwt"):
        raise RegistrationError("jwks or jwks_uri belong to private_key_jwt")
    if registration.jwks is not None and registration.jwks_uri:
        raise RegistrationError("A client has either jwks or jwks_uri")
    if registration.jwks is not None:
        key_set(registration.jwks)


def _check_redirect_uri(uri: str) -> None:
    """Raise RegistrationError unless codes may be sent to `uri`."""
    parts = _parts(uri)
    if parts is None:
        raise RegistrationError("A redirect URI is absolute, without fragment, user and blanks")
    if parts.scheme == "https":
        return
    if parts.scheme == "http":
        if parts.hostname not in _LOOPBACK_NAMES:
            raise RegistrationError("A redirect URI is https, or http on this machine's loopback address")
    elif "." not in parts.scheme:
        raise RegistrationError("An app's own scheme is a domain name reversed, with a dot in it")


def _parts(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        has_port = parts.port != 0
    except ValueError:
        return None
    is_plain = uri.isascii() and uri.isprintable() and not set(uri) & set(' "\\<>^`{|}')
    is_whole = bool(_SCHEME.fullmatch(parts.scheme)) and has_port and len(uri) <= _URI_LENGTH
    if not is_plain or not is_whole or parts.fragment or uri.endswith("#") or "@" in parts.netloc:
        return None
    return parts if parts.netloc or parts.scheme not in ("http", "https") else None


def _is_same(given: str, registered: str) -> bool:
    if given == registered:
        return True
    one, other = _parts(given), _parts(registered)
    if one is None or other is None or not _is_loopback_address(other):
        return False
    return one._replace(netloc="") == other._replace(netloc="") and one.hostname == other.hostname


def _is_loopback_address(parts: SplitResult) -> bool:
    """Say whether the port may differ: http on a loopback address, which the name localhost is not."""
    try:
        return parts.scheme == "http" and ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
