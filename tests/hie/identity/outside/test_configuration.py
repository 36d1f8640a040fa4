"""The file of providers: what is wrong with it stops the start, in words that name the place."""

from pathlib import Path

import pytest
import yaml

from hie.core.errors import ConfigurationError
from hie.identity.outside.configuration import read_providers

OIDC = {
    "kind": "oidc",
    "title": {"zh": "绿城通", "en": "City app"},
    "issuer": "https://id.example",
    "client_id": "hie",
    "client_secret": "s",
}
STAFF = {"persons": "staff", "roles": {"map": {"doctor": "clinician"}}}
IDENTITY = {"claim": "n", "system": "urn:x", "assurance": {"values": ["high"]}}


def _read(folder: Path, name: str, provider: object) -> None:
    file = folder / "providers.yaml"
    file.write_text(yaml.safe_dump({name: provider}))
    read_providers(file)


def test_providers_are_read_and_none_is_none(tmp_path: Path) -> None:
    _read(tmp_path, "city-app", OIDC)
    _read(tmp_path, "city-app", {**OIDC, "identity": IDENTITY})
    _read(tmp_path, "staff", {**OIDC, **STAFF})
    assert read_providers(None) == {}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("City", {}),
        ("a/b", {}),
        ("x", {"kind": "saml"}),
        ("x", {"issuer": "http://id.example"}),
        ("x", {"issuer": "https:///nowhere"}),
        ("x", {"issuer": ""}),
        ("x", {"client_secret": ""}),
        ("x", {"token_endpoint": "https://id.example/token"}),
        ("x", {"kind": "oauth2", "issuer": ""}),
        ("x", {"kind": "wechat", "issuer": "", "identity": IDENTITY}),
        ("x", {"persons": "staff"}),
        ("x", {**STAFF, "identity": IDENTITY}),
        ("x", {"persons": "staff", "roles": {"map": {"doctor": "god"}}}),
        ("x", {"roles": {"map": {}}}),
        ("x", {"unknown": 1}),
    ],
)
def test_bad_provider_is_refused(tmp_path: Path, name: str, change: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="HIE_IDENTITY_PROVIDERS") as refused:
        _read(tmp_path, name, {**OIDC, **change})
    assert "'s'" not in str(refused.value)


def test_file_that_is_not_there_or_no_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        read_providers(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("{")
    with pytest.raises(ConfigurationError):
        read_providers(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(ConfigurationError):
        read_providers(tmp_path / "list.yaml")
