"""HL7's R4 examples through the whole API: created, read, found, asked for as XML, sent back as XML.

What comes back says the same to the last digit; XML sent back makes no new version, because the server finds
its content unchanged. An eighth of the examples runs in `make test`, all of them at full size.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from fastapi import FastAPI

from fhir_server.router import build_router
from fhir_server.service import Repository
from hie.core.access import Permissive
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from hie.core.fhir.json import Json, dumps, loads
from hie.core.settings import Settings, ValidationLevel
from hie.core.web import errors
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.interactions.conftest import INDEXER, SEARCH, VALIDATOR

_XML: Final = {"accept": "application/fhir+xml"}
_JSON: Final = {"accept": "application/fhir+json"}
_SENT_XML: Final = {"content-type": "application/fhir+xml"}
# linkId is required of every item (https://hl7.org/fhir/R4/questionnaire.html), and this one has none.
_INVALID: Final = frozenset({"Questionnaire-qs1.json"})
_EIGHTH: Final = 8


@pytest.fixture
def server(database: Database) -> Client:
    """A client of a server with the settings it has out of the box."""
    repository = Repository(
        validator=VALIDATOR,
        validation=ValidationLevel.STRUCTURE,
        indexer=INDEXER,
        search=SEARCH,
        access=Permissive(),
        clock=SystemClock(),
        delete_limit=1,
    )
    app = FastAPI()
    errors.install(app)
    app.include_router(build_router(repository, database, Settings(_env_file=None)))
    return Client(app)


def test_an_eighth_of_the_examples_comes_back_as_it_was_sent(server: Client, conformance_data: Path) -> None:
    files = _files(conformance_data)
    _send_all(server, files[::_EIGHTH])


@pytest.mark.full
@pytest.mark.timeout(900)
def test_every_example_comes_back_as_it_was_sent(server: Client, conformance_data: Path) -> None:
    files = _files(conformance_data)
    assert len(files) > 1_000
    _send_all(server, files)


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "fhir" / "r4-examples").glob("*-*.json"))


def _send_all(server: Client, files: list[Path]) -> None:
    refused = [file.name for file in files if not _comes_back(server, file)]
    assert set(refused) <= _INVALID


def _comes_back(server: Client, file: Path) -> bool:
    """Send an example on its way; return whether it was taken, assert that nothing of it is lost."""
    given = file.read_bytes()
    named = json.loads(given)
    url = f"{named['resourceType']}/{named['id']}"
    created = server.put(url, content=given)
    if created.status_code == 422:
        return False
    assert created.status_code == 201, (file.name, created.text)
    expected = _meaning(given)
    assert _meaning(server.get(url, headers=_JSON).content) == expected, file.name

    found: Json = loads(server.get(f"{named['resourceType']}?_id={named['id']}").content)
    (entry,) = found["entry"]
    assert _meaning(dumps(entry["resource"])) == expected, file.name

    as_xml = server.get(url, headers=_XML)
    assert as_xml.headers["content-type"].startswith("application/fhir+xml"), file.name
    again = server.put(url, content=as_xml.content, headers=_SENT_XML)
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"'), (file.name, again.text)
    return True


def _meaning(text: bytes) -> str:
    """Return JSON with sorted names and all digits, without what the server writes into meta.

    A decimal is its digits and their place: `1E-2` says the same as `0.01`, but not as `0.010`.
    """
    resource: Json = json.loads(text, parse_float=_digits, parse_int=_digits)
    meta = {
        name: value
        for name, value in resource.pop("meta", {}).items()
        if name not in ("versionId", "lastUpdated")
    }
    return json.dumps({**resource, **({"meta": meta} if meta else {})}, sort_keys=True)


def _digits(number: str) -> str:
    return str(Decimal(number).as_tuple())
