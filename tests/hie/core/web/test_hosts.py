"""Only requests for names of this server are answered."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message

from hie.core.fhir.xml_read import from_xml
from hie.core.web.hosts import HostMiddleware


def answer(_request: Request) -> Response:
    return PlainTextResponse("here")


APP = HostMiddleware(Starlette(routes=[Route("/", answer)]), ["127.0.0.1", "localhost", "[::1]"])


def get(host: str, accept: str = "*/*") -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/", headers={"host": host, "accept": accept})

    return asyncio.run(send())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "LOCALHOST:80", "[::1]", "[::1]:8000"])
def test_own_names_are_answered(host: str) -> None:
    assert get(host).text == "here"


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example:8000", "localhost:evil", "::1"])
def test_other_names_get_an_outcome(host: str) -> None:
    response = get(host, "application/fhir+xml")
    assert response.status_code == 400
    assert from_xml(response.content)["issue"] == [
        {"severity": "error", "code": "invalid", "diagnostics": "The Host header names another server"}
    ]


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "evil.example")])
def test_no_host_and_several_are_refused(hosts: tuple[str, ...]) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", host.encode()) for host in hosts]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    asyncio.run(APP(scope, receive, send))
    assert sent[0]["status"] == 400


def test_websocket_of_another_name_is_closed() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(APP({"type": "websocket", "headers": [(b"host", b"evil.example")]}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
