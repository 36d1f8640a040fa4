"""The part of the settings about who comes in; `hie.core.settings` has the others."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from hie.core.protection_settings import ProtectionSettings


class EntrySettings(ProtectionSettings):
    """Settings of authentication: sessions, tokens, other providers of identity."""

    auth: Literal["on", "off"] = Field(
        "on",
        description="Whether requests need authentication; off is for laboratories and serves loopback only",
    )
    metrics_networks: tuple[str, ...] = Field(
        ("127.0.0.0/8", "::1/128"),
        description="Networks that `/metrics` answers without a token, as a JSON list; others need one, of an"
        " operator, a system administrator or a client on its own behalf",
    )
    mllp_certificate: Path | None = Field(
        None,
        description="Certificate of the MLLP listener (PEM), which then speaks TLS and asks for senders' own",
    )
    mllp_key: Path | None = Field(None, description="The key of that certificate (PEM)")
    mllp_authorities: Path | None = Field(
        None, description="Certificates that those of senders must be signed by (PEM)"
    )
    mllp_senders: Path | None = Field(
        None,
        description="YAML file of the senders that each certificate speaks for (hl7_gateway/certificates.py"
        " describes it); needed beyond loopback",
    )
    access_token_seconds: Annotated[int, Field(ge=30, le=3600)] = Field(
        900, description="Life of an access token that a person granted"
    )
    backend_token_seconds: Annotated[int, Field(ge=30, le=3600)] = Field(
        300, description="Life of an access token that a client gets on its own behalf"
    )
    authorization_code_seconds: Annotated[int, Field(ge=10, le=600)] = Field(
        60, description="An authorization code must be used within this time"
    )
    refresh_token_days: Annotated[float, Field(gt=0)] = Field(
        30.0, description="How long after the person agreed a client may still refresh its access tokens"
    )
    signing_key_days: Annotated[float, Field(gt=0)] = Field(
        90.0, description="Age at which the keys that sign tokens are replaced"
    )
    session_idle_minutes: Annotated[float, Field(gt=0)] = Field(
        30.0, description="A session of the portal that is not used for this long has ended"
    )
    session_hours: Annotated[float, Field(gt=0)] = Field(
        12.0, description="Longest life of a session of the portal, however much it is used"
    )
    second_factor_roles: tuple[str, ...] = Field(
        ("system-administrator", "security-officer", "auditor"),
        description="Roles that an account has only once a second factor is set up, as a JSON list",
    )
    password_length: Annotated[int, Field(ge=8, le=64)] = Field(
        12, description="Fewest characters that a new password may have"
    )
    password_blocklist: Path | None = Field(
        None, description="File of passwords that nobody may choose, one a line; empty: none beyond the rules"
    )
    client_jwks_sources: tuple[str, ...] = Field(
        (),
        description="Beginnings of the URLs that clients may publish their keys under, as a JSON list"
        ' (["https://hospital.example/"]); empty: none, keys are registered with the client',
    )
    identity_providers: Path | None = Field(
        None,
        description="YAML file of the providers of identity by which citizens and staff sign in to the portal"
        " (hie/identity/outside/configuration.py describes it); empty: none",
    )
    oidc_issuer: str = Field(
        "", description="Issuer of an external OpenID provider whose access tokens are taken too"
    )
    oidc_audience: str = Field(
        "", description="Audience that tokens of the external provider must have (default: the base URL)"
    )
    oidc_roles_claim: str = Field(
        "roles", description="Claim of the external provider that holds roles, its parts joined by dots"
    )
    oidc_roles: dict[str, str] = Field(
        {},
        description="Role here by role there, as a JSON object"
        ' ({"doctor": "clinician"}); what it does not name gives none',
    )
    oidc_claims: dict[str, str] = Field(
        {},
        description="Claims of the external provider that hold ids of resources, as a JSON object of"
        " patient, practitioner, organization and department",
    )

    @field_validator("metrics_networks")
    @classmethod
    def _only_networks_of_metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ip_network(each)
        return value
