"""The providers of identity outside, as the file of HIE_IDENTITY_PROVIDERS describes them (YAML).

    city-app:
      kind: oidc                     # oidc, oauth2 or wechat
      title: {zh: 绿城通, en: City app}
      issuer: https://id.city.example
      client_id: hie
      client_secret_file: /etc/hie/city-app.secret
      identity:                      # what proves which Patient it is
        claim: id_number
        system: http://hie.example/sid/resident-id
        digest: none                 # or sha256, sm3: the claim is the digest of the number
        assurance: {claim: acr, values: [high]}

Nothing is fetched here. What a provider of `staff` says of roles is taken for roles at every sign-in.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hie.core.access import Role
from hie.core.errors import ConfigurationError
from hie.core.settings import is_loopback

NAME: Final = r"[a-z][a-z0-9-]{0,31}"
# Addresses of https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/Wechat_webpage_authorization.html
_WECHAT_AUTHORIZATION: Final = "https://open.weixin.qq.com/connect/oauth2/authorize"
_WECHAT_API: Final = "https://api.weixin.qq.com"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Title(_Strict):
    """The provider's name on pages."""

    zh: str
    en: str


class Assurance(_Strict):
    """The claim that says how well the provider knows the person, and the values that are well enough.

    OpenID Connect names it `acr` (https://openid.net/specs/openid-connect-core-1_0.html#IDToken).
    """

    claim: str = "acr"
    values: tuple[str, ...]


class IdentityClaim(_Strict):
    """The claim that proves which Patient the person is: its value is an identifier of `system`.

    With a `digest` the claim is the lower-case hexadecimal digest of the number, which the person types.
    """

    claim: str
    system: str
    digest: Literal["none", "sha256", "sm3"] = "none"
    assurance: Assurance


class Roles(_Strict):
    """What a provider of staff says of roles: its claim (parts joined by dots), ours by theirs.

    `links` are claims that hold ids of Practitioner, Organization and department.
    """

    claim: str = "roles"
    map: dict[str, Role]
    links: dict[Literal["practitioner", "organization", "department"], str] = {}


class ProviderConfiguration(_Strict):
    """One provider. `issuer` is of oidc; the endpoints are of oauth2, and of wechat where they differ.

    `further_urls` are beginnings of endpoints that an issuer has elsewhere than below its own URL.
    """

    kind: Literal["oidc", "oauth2", "wechat"]
    title: Title
    persons: Literal["citizens", "staff"] = "citizens"
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: str = Field("", repr=False)
    client_secret_file: Path | None = None
    client_authentication: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    scopes: tuple[str, ...] = ()
    issuer: str = ""
    further_urls: tuple[str, ...] = ()
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    subject_claim: str = "sub"
    identity: IdentityClaim | None = None
    roles: Roles | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        endpoints = (self.authorization_endpoint, self.token_endpoint, self.userinfo_endpoint)
        if self.kind == "oidc" and (not self.issuer or any(endpoints)):
            raise ValueError("oidc has an issuer, whose configuration names the endpoints")
        if self.kind == "oauth2" and not all(endpoints):
            raise ValueError("oauth2 has authorization_endpoint, token_endpoint and userinfo_endpoint")
        if self.kind == "wechat" and self.identity is not None:
            raise ValueError("wechat proves no identity; its persons are linked by an account or a card desk")
        if (self.persons == "staff") != (self.roles is not None):
            raise ValueError("roles are of providers of staff, and needed there")
        if self.persons == "staff" and (self.identity is not None or self.kind != "oidc"):
            raise ValueError("staff signs in by oidc, and is no Patient by it")
        for url in filter(None, (self.issuer, *endpoints, *self.further_urls)):
            if not is_confidential(url):
                raise ValueError(f"{url} is no https URL")
        if not self.client_secret and self.client_secret_file is None:
            raise ValueError("client_secret_file is missing")
        return self

    @property
    def secret(self) -> str:
        """The client's secret; raises ConfigurationError where its file cannot be read."""
        if self.client_secret_file is None:
            return self.client_secret
        try:
            return self.client_secret_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"{self.client_secret_file}: {error.strerror}") from error

    @property
    def authorization_url(self) -> str:
        """Where browsers are led to, by oauth2 and wechat."""
        return self.authorization_endpoint or _WECHAT_AUTHORIZATION

    @property
    def token_url(self) -> str:
        """Where codes are redeemed, by oauth2 and wechat."""
        return self.token_endpoint or f"{_WECHAT_API}/sns/oauth2/access_token"

    @property
    def userinfo_url(self) -> str:
        """Where claims are asked for, by oauth2 and wechat."""
        return self.userinfo_endpoint or f"{_WECHAT_API}/sns/userinfo"


def is_confidential(url: str) -> bool:
    """Return whether what is sent to `url` is read by nobody on the way: https, or this machine."""
    read = urlsplit(url)
    return bool(read.hostname) and (
        read.scheme == "https" or (read.scheme == "http" and is_loopback(read.hostname or ""))
    )


class _Providers(_Strict):
    providers: dict[Annotated[str, Field(pattern=f"^{NAME}$")], ProviderConfiguration]


def read_providers(file: Path | None) -> dict[str, ProviderConfiguration]:
    """Return the providers of `file` by name, none without one; raises ConfigurationError."""
    if file is None:
        return {}
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
        return _Providers(providers=raw or {}).providers
    except OSError as error:
        raise ConfigurationError(f"HIE_IDENTITY_PROVIDERS: {file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"HIE_IDENTITY_PROVIDERS: {file} is no YAML") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(each) for each in first["loc"][1:])
        raise ConfigurationError(f"HIE_IDENTITY_PROVIDERS: {place}: {first['msg']}") from error
