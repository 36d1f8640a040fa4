"""The API as a client meets it, on a fresh database: what the tests of bad input share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Self

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from fhir_server.tables import INDEX_TABLES
from fhir_server.validation.structure import StructureValidator
from hie.core.fhir.json import Json, JsonObject

STRUCTURE = StructureValidator()
LARGEST_BODY = 64 * 1024
FHIR = {"content-type": "application/fhir+json"}
TABLES = ("resource", "resource_history", "outbox", *(table.name for table in INDEX_TABLES))

OBSERVATION: JsonObject = {"resourceType": "Observation", "status": "final", "code": {"text": "血红蛋白"}}

Rows = Callable[[], dict[str, int]]


class Client:
    """Sends requests to `app` as its server would; a fault of the application is its 500 answer."""

    def __init__(self, app: FastAPI) -> None:
        self._runner = asyncio.Runner()
        transport = ASGITransport(app, raise_app_exceptions=False)
        self._client = AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer; `path` goes on the wire as it is."""
        return self._runner.run(self._client.request(method, path, content=content, headers=headers))

    def get(self, path: str) -> Response:
        """Return the answer to a GET."""
        return self.request("GET", path)

    def post(self, path: str, body: bytes | AsyncIterator[bytes]) -> Response:
        """Return the answer to a POST of FHIR JSON."""
        return self.request("POST", path, content=body, headers=FHIR)

    def put(self, path: str, body: bytes) -> Response:
        """Return the answer to a PUT of FHIR JSON."""
        return self.request("PUT", path, content=body, headers=FHIR)


def patient(**elements: Json) -> JsonObject:
    """Return a Patient."""
    return {"resourceType": "Patient", **elements}


PATIENT = patient(
    id="p1",
    identifier=[{"system": "http://hie.example/sid/mr", "value": "1"}],
    name=[{"family": "示例", "given": ["一"]}],
    birthDate="1980-01-01",
)


def outcome_of(response: Response) -> JsonObject:
    """Return the OperationOutcome of `response`, itself checked."""
    assert response.headers["content-type"].partition(";")[0] == "application/fhir+json"
    outcome: JsonObject = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert STRUCTURE.validate(outcome) == []
    return outcome


def issues_of(response: Response) -> list[tuple[str, list[str]]]:
    """Return code and expressions of each issue."""
    return [(issue["code"], issue.get("expression", [])) for issue in outcome_of(response)["issue"]]
