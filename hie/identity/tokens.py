"""What is in our tokens, and their making.

An access token is a JWT of https://www.rfc-editor.org/rfc/rfc9068 with the FHIR base URL as its audience and,
beside the claims of the RFC, those that make a `Requester`. An ID token is that of OpenID Connect Core, 2
(https://openid.net/specs/openid-connect-core-1_0.html#IDToken) with the `fhirUser` of SMART.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from joserfc import jwt

from hie.core.access import Requester, Role
from hie.core.fhir.json import Json
from hie.identity.accounts import Person
from hie.identity.keys import KeyRing
from hie.identity.tables import Client, Grant

ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - the media type of RFC 9068, 2.1
# Claims of ours and the fields of Requester that they are.
_LINKS: Final = ("patient", "practitioner", "organization", "department")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token and what the token response says of it; `claims` are what is signed."""

    text: str
    claims: Mapping[str, Json] = field(repr=False)

    @property
    def expires_in(self) -> int:
        """Its life in seconds."""
        return int(self.claims["exp"] - self.claims["iat"])


class Tokens:
    """Makes tokens of one issuer for one FHIR server."""

    def __init__(self, keys: KeyRing, *, issuer: str, base_url: str) -> None:
        """Take the URLs of the issuer and of the FHIR server."""
        self._keys = keys
        self.issuer = issuer
        self.base_url = base_url.rstrip("/")

    def for_person(
        self, person: Person, grant: Grant, scopes: Iterable[str], *, now: datetime, life: timedelta
    ) -> AccessToken:
        """Return an access token of what `person` granted; its patient is the launch's, else its own."""
        account = person.account
        return self._access_token(
            {
                "sub": str(account.id),
                "client_id": grant.client_id,
                "scope": " ".join(scopes),
                "kind": "person",
                "roles": sorted(role.value for role in person.roles),
                "patient": grant.patient_id or account.patient_id,
                "practitioner": account.practitioner_id,
                "organization": account.organization_id,
                "department": account.department_id,
                "grant": str(grant.id),
                "auth_time": int(grant.authenticated_at.timestamp()),
            },
            now,
            life,
        )

    def for_client(
        self, client: Client, scopes: Iterable[str], *, now: datetime, life: timedelta
    ) -> AccessToken:
        """Return an access token of a client on its own behalf."""
        claims = {
            "sub": client.id,
            "client_id": client.id,
            "scope": " ".join(scopes),
            "kind": "client",
            "organization": client.organization_id,
        }
        return self._access_token(claims, now, life)

    def id_token(
        self, person: Person, grant: Grant, access_token: AccessToken, *, now: datetime, life: timedelta
    ) -> str:
        """Return the ID token that goes with `access_token`."""
        key = self._keys.signing("RS256")
        half = hashlib.sha256(access_token.text.encode()).digest()[:16]
        claims = {
            **self.user_claims(person, access_token.claims["scope"].split()),
            "iss": self.issuer,
            "aud": grant.client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
            "auth_time": int(grant.authenticated_at.timestamp()),
            "amr": list(grant.methods),
            # OpenID Connect Core, 3.1.3.6
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        }
        if grant.nonce:
            claims["nonce"] = grant.nonce
        return jwt.encode({"alg": key.algorithm, "kid": key.id}, claims, key.key, [key.algorithm])

    def user_claims(self, person: Person, scopes: Iterable[str]) -> dict[str, Json]:
        """Return what `scopes` let a client know of who signed in (OpenID Connect Core, 5.3 and 5.4)."""
        known = set(scopes)
        claims: dict[str, Json] = {"sub": str(person.account.id)}
        if "fhirUser" in known and person.fhir_user:
            claims["fhirUser"] = f"{self.base_url}/{person.fhir_user}"
        if "profile" in known:
            claims["preferred_username"] = person.account.name
            if person.account.display_name:
                claims["name"] = person.account.display_name
        return claims

    def _access_token(self, claims: Mapping[str, Json], now: datetime, life: timedelta) -> AccessToken:
        key = self._keys.signing("ES256")
        # In milliseconds, so that what follows a revocation at once is younger than it.
        issued_at = round(now.timestamp(), 3)
        whole = {
            **{name: value for name, value in claims.items() if value},
            "iss": self.issuer,
            "aud": self.base_url,
            "iat": issued_at,
            "exp": issued_at + int(life.total_seconds()),
            "jti": str(uuid4()),
        }
        header = {"alg": key.algorithm, "kid": key.id, "typ": ACCESS_TOKEN_TYPE}
        return AccessToken(jwt.encode(header, whole, key.key, [key.algorithm]), whole)


def requester_of(claims: Mapping[str, Json]) -> Requester:
    """Return who asks with an access token of ours that has these claims, which were verified."""
    links = {name: str(claims.get(name, "")) for name in _LINKS}
    kind = "client" if claims.get("kind") == "client" else "person"
    return Requester(
        kind,  # type: ignore[arg-type] # one of two literals
        str(claims["sub"]),
        client=str(claims["client_id"]),
        roles=frozenset(Role(role) for role in claims.get("roles", ())),
        scopes=tuple(str(claims.get("scope", "")).split()),
        session=str(claims.get("grant") or claims["jti"]),
        **links,
    )
