"""An exchange that encrypts what it stores, one a module."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from hie import wiring
from hie.core.fhir.json import JsonObject
from hie.core.ports import TransactionResult
from hie.core.settings import Settings
from tests.conftest import fresh_database

Store = Callable[..., Sequence[TransactionResult]]


def settings_of(folder: Path, *, encryption: str = "on", crypto: str = "international") -> Settings:
    """Return settings whose keys, logs and jobs lie in `folder`."""
    return Settings.model_validate(
        {
            "encryption": encryption,
            "crypto": crypto,
            "var_dir": folder,
            "key_folder": folder / "keys",
            "audit": "off",
            "auth": "off",
        }
    )


@pytest.fixture(scope="module")
def url(server_url: str, template: str) -> Iterator[str]:
    """The URL of the module's database."""
    with fresh_database(server_url, template) as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the module's keys."""
    return tmp_path_factory.mktemp("encryption")


@pytest.fixture(scope="module")
def exchange(url: str, folder: Path) -> Iterator[wiring.Exchange]:
    """The exchange that encrypts."""
    with wiring.build(settings_of(folder), database_url=url) as made:
        yield made


@pytest.fixture(scope="module")
def plain(url: str, folder: Path) -> Iterator[wiring.Exchange]:
    """Another process on the same database that does not."""
    with wiring.build(settings_of(folder, encryption="off"), database_url=url) as made:
        yield made


def put(exchange: wiring.Exchange, *resources: JsonObject) -> Sequence[TransactionResult]:
    """Store `resources` by their ids, each in a Bundle of its own."""
    bundles: list[JsonObject] = [
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "resource": each,
                    "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"},
                }
            ],
        }
        for each in resources
    ]
    with exchange.database.transaction() as transaction:
        return exchange.repository.transact(transaction, bundles)


def patient(identity: str, family: str = "Doe") -> JsonObject:
    """Return a Patient."""
    return {
        "resourceType": "Patient",
        "id": identity,
        "identifier": [{"system": "urn:oid:1.2", "value": f"MR-{identity}"}],
        "name": [{"family": family}],
    }


def observation(identity: str, *patients: str, value: str = "text") -> JsonObject:
    """Return an Observation about the first of `patients`, performed by the others."""
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"text": "note"},
        **({"subject": {"reference": f"Patient/{patients[0]}"}} if patients else {}),
        **(
            {"performer": [{"reference": f"Patient/{each}"} for each in patients[1:]]} if patients[1:] else {}
        ),
        "valueString": value,
    }
