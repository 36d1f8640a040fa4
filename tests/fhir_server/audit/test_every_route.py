"""No route and no operation is without its record: they are taken from the application and the registry."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any, Final

from starlette.routing import Route, WebSocketRoute

from fhir_server.operations.registry import load_operations
from hie import app, wiring
from hie.core.fhir.json import JsonObject
from hie.core.web.auditing import EXEMPT
from tests.fhir_server.audit.client import Client
from tests.fhir_server.audit.conftest import Records

VALUES: Final = {
    "resource_type": "Patient",
    "compartment": "Patient",
    "resource_id": "p1",
    "patient_id": "p1",
    "version": "1",
    "code": "meta",
    "identity": "0190a5ae-0000-7000-8000-000000000000",
}
# What shows no data of anybody; the list is short, and a new path is not in it by itself.
ALLOWED: Final = {
    "/fhir/metadata",
    "/health",
    "/metrics",
    "/api/openapi.json",
    "/static/{name}",
    "/favicon.ico",
}


def routes_of(router: Any) -> Iterator[Route | WebSocketRoute]:
    """Yield the routes of a router and of those within it."""
    routes: Any = getattr(router, "routes", None) or getattr(router, "_routes", ())
    for route in routes:
        if isinstance(route, Route | WebSocketRoute):
            yield route
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "router", None)
            yield from routes_of(inner or route)


def ways(exchange: wiring.Exchange) -> Iterator[tuple[str, str, str]]:
    """Yield method, path and pattern of every way in."""
    for route in routes_of(app.build(exchange).router):
        if isinstance(route, Route):
            path = re.sub(r"{(\w+)(?::\w+)?}", lambda match: VALUES.get(match[1], "1"), route.path)
            for method in sorted(route.methods or ()):
                yield method, path, route.path


def test_every_route_is_recorded(exchange: wiring.Exchange, client: Client, records: Records) -> None:
    tried = set()
    for method, path, pattern in ways(exchange):
        if path.startswith(EXEMPT):
            assert pattern in ALLOWED, f"{pattern} is exempt from the audit trail"
            continue
        answer = client.request(method, path, content=b"{}" if method in ("POST", "PUT", "PATCH") else None)
        found = records()
        assert found, f"{method} {path} ({answer.status_code}) left no record"
        assert found[-1]["status"] == answer.status_code
        tried.add(pattern)
    assert {"/fhir/{resource_type}/{resource_id}", "/patients/{patient_id}", "/fhir/$graphql"} <= tried
    assert len(tried) > 30


def test_every_operation_is_recorded_under_its_name(client: Client, records: Records) -> None:
    for operation in load_operations():
        definition = operation.definition
        places = {
            "system": "",
            "type": "Patient/",
            "instance": "Patient/p1/",
        }
        for level in definition.levels:
            resource_type = next(iter(definition.types), "Patient")
            path = f"/fhir/{places[level].replace('Patient', resource_type)}${definition.code}"
            client.request("POST", path, json={"resourceType": "Parameters"})
            found = records()
            assert [each["do"] for each in found] == [f"${definition.code}"], path


def test_websocket_is_recorded_when_it_is_opened_or_refused(
    exchange: wiring.Exchange, records: Records
) -> None:
    application = app.build(exchange)
    paths = [route.path for route in routes_of(application.router) if isinstance(route, WebSocketRoute)]
    assert paths
    for path in paths:
        sent = asyncio.run(_open(application, path))
        assert sent
        assert [each["on"] for each in records()] == [path]


async def _open(application: Any, path: str) -> list[JsonObject]:
    sent: list[JsonObject] = []
    given: Iterator[JsonObject] = iter(
        [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    )

    async def receive() -> JsonObject:
        return next(given)

    async def send(message: JsonObject) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("10.0.0.7", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "ws",
        "subprotocols": [],
        "root_path": "",
    }
    await application(scope, receive, send)
    return sent
