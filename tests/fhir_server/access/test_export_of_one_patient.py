"""Jobs read as whoever asked for them: an export under a policy holds what its requester may read.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from hie import app, wiring
from hie.core.access import Permissive
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.ports import AccessPolicy
from hie.core.settings import Settings
from tests.fhir_server.access.city import CANARY, transaction
from tests.fhir_server.access.policies import DenyEverything, OnePatient
from tests.fhir_server.bad_input.api import Client

BASE = "http://127.0.0.1:8000"
ASYNC = {"prefer": "respond-async", "accept": "application/fhir+json"}

Export = Callable[[AccessPolicy, str], tuple[JsonObject, str]]


@pytest.fixture
def export(database_url: str, tmp_path: Path) -> Export:
    """Return a function that exports a path under a policy, and gives the manifest and all files' text."""
    settings = Settings(var_dir=tmp_path)

    def run(policy: AccessPolicy, path: str) -> tuple[JsonObject, str]:
        with (
            wiring.build(settings, database_url=database_url, access=policy) as exchange,
            Client(app.build(exchange)) as client,
        ):
            begun = client.request("GET", f"/fhir/{path}", headers=ASYNC)
            assert begun.status_code == 202, begun.text
            runner = exchange.job_runner()
            while runner.work_one():
                pass
            status = client.get(begun.headers["content-location"].removeprefix(BASE))
            assert status.status_code == 200, status.text
            manifest: JsonObject = loads(status.content)
            files = [client.get(each["url"].removeprefix(BASE)) for each in _files(manifest)]
            assert {each.status_code for each in files} <= {200}
            return manifest, "".join(each.text for each in files)

    with (
        wiring.build(settings, database_url=database_url) as exchange,
        Client(app.build(exchange)) as client,
    ):
        assert client.post("/fhir", dumps(transaction())).status_code == 200
        for name in ("c-x", "c-y"):
            assert client.request("DELETE", f"/fhir/Condition/{name}").status_code == 204
    return run


def _files(manifest: JsonObject) -> list[JsonObject]:
    return [each for group in ("output", "deleted", "error") for each in manifest.get(group, ())]


PATHS = ["$export", "Patient/$export", "Group/g/$export", "$export?_since=2020-01-01T00:00:00Z"]


@pytest.mark.parametrize("path", PATHS)
def test_an_export_holds_what_its_requester_may_read(export: Export, path: str) -> None:
    _, everything = export(Permissive(), path)
    assert CANARY in everything
    assert '"id":"o-x"' in everything
    manifest, text = export(OnePatient("x"), path)
    assert CANARY not in text
    assert '"id":"o-x"' in text
    # Neither may the list of what was deleted say that there ever was another's resource.
    assert "c-y" not in text
    assert manifest["error"] == []


@pytest.mark.parametrize("path", ["$export", "Patient/$export"])
def test_an_export_of_who_may_read_nothing_is_empty(export: Export, path: str) -> None:
    manifest, text = export(DenyEverything(), path)
    assert (manifest["output"], text) == ([], "")
