"""Access tokens of an external OpenID provider, taken beside our own where a setting names its issuer.

The provider says where its keys are (https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig);
which of its roles is which of ours, and which claims hold ids of resources, are settings. Tokens are JWTs
signed with an asymmetric algorithm; that a provider has revoked one is known when it expires.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from hie.core.access import Requester, Role
from hie.core.clock import Clock
from hie.core.errors import ConfigurationError, UnavailableError
from hie.core.fhir.json import Json
from hie.core.security_errors import InvalidTokenError, RegistrationError
from hie.core.settings import Settings
from hie.identity.published_keys import PublishedKeys

_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384")
_DISCOVER_AGAIN: Final = timedelta(hours=1)
_CLOCK_SKEW_SECONDS: Final = 30.0
_LINKS: Final = ("patient", "practitioner", "organization", "department")


@dataclass(frozen=True, slots=True)
class _Provider:
    jwks_uri: str
    at: datetime


class ExternalProvider:
    """Verifies tokens of one issuer; safe to share between threads."""

    def __init__(
        self,
        issuer: str,
        *,
        audience: str,
        roles_claim: str,
        roles: Mapping[str, Role],
        claims: Mapping[str, str],
        published: PublishedKeys,
        clock: Clock,
    ) -> None:
        """Take the mapping of roles and of the ids that a Requester has, by their claims."""
        self._issuer = issuer
        self._audience = audience
        self._roles_claim = roles_claim
        self._roles = roles
        self._claims = claims
        self._published = published
        self._clock = clock
        self._provider: _Provider | None = None
        self._lock = Lock()

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> "ExternalProvider | None":
        """Return the provider that the settings name, None where they name none.

        Raises ConfigurationError for roles that there are not.
        """
        if not settings.oidc_issuer:
            return None
        try:
            roles = {theirs: Role(ours) for theirs, ours in settings.oidc_roles.items()}
        except ValueError as error:
            raise ConfigurationError(f"HIE_OIDC_ROLES: {error}") from error
        unknown = sorted(set(settings.oidc_claims) - set(_LINKS))
        if unknown:
            raise ConfigurationError(f"HIE_OIDC_CLAIMS: {unknown[0]} is none of {', '.join(_LINKS)}")
        return cls(
            settings.oidc_issuer,
            audience=settings.oidc_audience or settings.base_url.rstrip("/"),
            roles_claim=settings.oidc_roles_claim,
            roles=roles,
            claims=settings.oidc_claims,
            published=PublishedKeys([settings.oidc_issuer, *settings.client_jwks_sources], clock),
            clock=clock,
        )

    def verify(self, token: str, header: Mapping[str, Json]) -> tuple[Requester, Mapping[str, Json]]:
        """Return who asks with `token`, and its claims; raises InvalidTokenError."""
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in _ALGORITHMS or not isinstance(key_id, str) or "crit" in header:
            raise InvalidTokenError("The access token was signed with a key that is not known here")
        key = self._key(key_id, algorithm)
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidTokenError("The signature of the access token is not valid") from error
        self._check(claims)
        return self._requester(claims), claims

    def _check(self, claims: Mapping[str, Json]) -> None:
        now = self._clock.now().timestamp()
        audience = claims.get("aud")
        if claims.get("iss") != self._issuer:
            raise InvalidTokenError("The access token has another issuer")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise InvalidTokenError("The access token is for another server")
        expires, begins = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(expires, (int, float)) or not isinstance(claims.get("sub"), str):
            raise InvalidTokenError("The access token lacks exp or sub")
        if now >= expires:
            raise InvalidTokenError("The access token has expired")
        if not isinstance(begins, (int, float)) or begins > now + _CLOCK_SKEW_SECONDS:
            raise InvalidTokenError("The access token is not valid yet")

    def _requester(self, claims: Mapping[str, Json]) -> Requester:
        given = _at(claims, self._roles_claim)
        names = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        links = {ours: str(_at(claims, theirs) or "") for ours, theirs in self._claims.items()}
        scope = claims.get("scope")
        return Requester(
            "person",
            f"{self._issuer}#{claims['sub']}",
            client=str(claims.get("azp") or claims.get("client_id") or ""),
            roles=frozenset(self._roles[name] for name in names if name in self._roles),
            scopes=tuple(scope.split()) if isinstance(scope, str) else (),
            session=str(claims.get("jti", "")),
            **links,
        )

    def _key(self, key_id: str, algorithm: str) -> Key:
        try:
            keys: KeySet = self._published.of(self._discovered(), key_id)
        except (RegistrationError, UnavailableError) as error:
            raise InvalidTokenError("The keys of the external provider cannot be had") from error
        kind = ECKey if algorithm.startswith("ES") else RSAKey
        for key in keys.keys:
            if key.kid == key_id and isinstance(key, kind) and key.get("alg", algorithm) == algorithm:
                return key
        raise InvalidTokenError("The access token was signed with a key that is not known here")

    def _discovered(self) -> str:
        """Return the URL of the provider's keys, as its configuration says."""
        now = self._clock.now()
        with self._lock:
            if self._provider is None or now - self._provider.at >= _DISCOVER_AGAIN:
                url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
                found = self._published.fetch(url)
                if found.get("issuer") != self._issuer or not isinstance(found.get("jwks_uri"), str):
                    raise UnavailableError("The external provider's configuration is another issuer's")
                self._provider = _Provider(found["jwks_uri"], now)
            return self._provider.jwks_uri


def _at(claims: Mapping[str, Json], path: str) -> Json:
    """Return the claim at `path`, its parts joined by dots (``realm_access.roles``)."""
    value: Json = claims
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
