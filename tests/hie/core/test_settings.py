"""Settings refuse what would be unsafe or meaningless."""

import pytest
from pydantic import ValidationError

from hie.core.settings import Settings


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::", "hospital.example"])  # noqa: S104 - that these are refused is the point
@pytest.mark.parametrize("name", ["host", "mllp_host"])
def test_listener_refuses_any_address_but_loopback(name: str, address: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({name: address})


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_listener_takes_loopback(address: str) -> None:
    assert Settings.model_validate({"host": address}).host == address


def test_variable_of_the_environment_sets_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIE_PORT", "8123")
    assert Settings().port == 8123


def test_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="IANA"):
        Settings.model_validate({"time_zone": "Asia/Zhengzhou"})


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_base_url_follows_host_and_port_unless_it_is_set() -> None:
    assert Settings.model_validate({"port": 8400}).base_url == "http://127.0.0.1:8400/fhir"
    assert Settings.model_validate({"host": "::1"}).base_url == "http://[::1]:8000/fhir"
    assert (
        Settings.model_validate({"base_url": "https://hie.example/fhir"}).base_url
        == "https://hie.example/fhir"
    )
