"""`private_key_jwt`: a client proves by a signed assertion who it is.

http://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html;
https://www.rfc-editor.org/rfc/rfc7523#section-3. Secrets, the other methods, are authlib's own.
"""

from datetime import datetime, timedelta
from typing import Final

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet

from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject
from hie.core.security_errors import RegistrationError
from hie.identity.clients import ASSERTION_ALGORITHMS, RegisteredClient, key_set
from hie.identity.published_keys import PublishedKeys
from hie.identity.secrets import digest

# "The exp SHALL be no more than five minutes in the future."
_LONGEST_LIFE: Final = timedelta(minutes=5)
_CLOCK_SKEW: Final = timedelta(seconds=30)
_LONGEST_ID: Final = 255
_USE: Final = """
INSERT INTO identity_client_assertion (digest, expires_at) VALUES (%s, %s) ON CONFLICT DO NOTHING
RETURNING true
"""
# The curve of each algorithm (RFC 7518, 3.4): a key is used with its own and no other.
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384"}


class PrivateKeyJWT(JWTBearerClientAssertion):  # type: ignore[misc] # authlib has no hints
    """authlib's client assertion with the rules of SMART, our clock and our store of `jti`."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(
        self, transaction: Transaction, published: PublishedKeys, audiences: tuple[str, ...], now: datetime
    ) -> None:
        """Take the audiences that an assertion may have: the token endpoint, and the issuer (RFC 7523, 3)."""
        super().__init__()
        self._transaction = transaction
        self._published = published
        self._audiences = audiences
        self._now = now

    def resolve_client_public_key(self, client: RegisteredClient) -> RegisteredClient:
        """Return the client: which of its keys it is depends on the header, see below."""
        return client

    def process_assertion_claims(self, assertion: str, client: RegisteredClient) -> None:
        """Raise InvalidClientError unless `assertion` was signed by `client` for us, now, and is new."""
        headers, _ = self.extract_assertion(assertion)
        algorithm, key_id = headers.get("alg"), headers.get("kid")
        if algorithm not in ASSERTION_ALGORITHMS or not isinstance(key_id, str):
            raise InvalidClientError(description="The assertion needs a kid and an asymmetric alg.")
        key = self._key(client, algorithm, key_id)
        try:
            claims = jwt.decode(assertion, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidClientError(description="The signature of the assertion is not valid.") from error
        self._check(claims, client.get_client_id())

    def _key(self, client: RegisteredClient, algorithm: str, key_id: str) -> Key:
        row = client.row
        try:
            if row.jwks is not None:
                keys: KeySet = key_set(row.jwks)
            elif row.jwks_uri:
                keys = self._published.of(row.jwks_uri, key_id)
            else:
                raise InvalidClientError(description="The client has no keys.")
        except RegistrationError as error:
            raise InvalidClientError(description="The keys of the client cannot be had.") from error
        for key in keys.keys:
            if key.kid == key_id and _suits(key, algorithm):
                return key
        raise InvalidClientError(description="The client has no such key for this alg.")

    def _check(self, claims: JsonObject, client_id: str) -> None:
        now = self._now.timestamp()
        skew = _CLOCK_SKEW.total_seconds()
        expires, token_id = claims.get("exp"), claims.get("jti")
        named = claims.get("aud")
        audiences = named if isinstance(named, list) else [named]
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise InvalidClientError(description="iss and sub of the assertion must be the client_id.")
        if not any(each in self._audiences for each in audiences if isinstance(each, str)):
            raise InvalidClientError(description="The assertion is for another server.")
        latest = now + _LONGEST_LIFE.total_seconds() + skew
        if not isinstance(expires, (int, float)) or isinstance(expires, bool) or not now < expires <= latest:
            raise InvalidClientError(
                description="exp of the assertion must be in the future, by no more than five minutes."
            )
        for name in ("nbf", "iat"):
            if name in claims and not (_is_number(claims[name]) and claims[name] <= now + skew):
                raise InvalidClientError(description="The assertion is not valid yet.")
        if not isinstance(token_id, str) or not 0 < len(token_id) <= _LONGEST_ID:
            raise InvalidClientError(description="The assertion needs a jti.")
        used = self._transaction.connection.execute(
            _USE, (digest(f"{client_id}\n{token_id}"), self._now + _LONGEST_LIFE + 2 * _CLOCK_SKEW)
        ).fetchone()
        if used is None:
            raise InvalidClientError(description="The assertion was used before.")


def _suits(key: Key, algorithm: str) -> bool:
    if key.get("alg", algorithm) != algorithm:
        return False
    if isinstance(key, ECKey):
        return key.curve_name == _CURVES.get(algorithm)
    return algorithm.startswith("RS")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
