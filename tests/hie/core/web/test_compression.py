"""Answers as gzip or zstd, whole and streamed."""

import asyncio
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from hie.core.web.compression import MINIMUM_BYTES, CompressionMiddleware
from hie.core.web.content_coding import decoded

LARGE = b'{"resourceType":"Patient"}' * 40_000


def answer(request: Request) -> Response:
    size = int(request.query_params.get("size", len(LARGE)))
    headers = {"content-encoding": "br"} if "coded" in request.query_params else {}
    media_type = request.query_params.get("type", "application/fhir+json; charset=utf-8")
    return Response(LARGE[:size], media_type=media_type, headers=headers)


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"data\n"

    return StreamingResponse(pieces(), media_type=request.query_params.get("type", "application/fhir+ndjson"))


def no_content(_request: Request) -> Response:
    return Response(status_code=204)


APP = CompressionMiddleware(
    Starlette(
        routes=[
            Route("/", answer, methods=["GET", "HEAD"]),
            Route("/stream", stream),
            Route("/no-content", no_content),
        ]
    )
)


def get(url: str, accept: str = "zstd", method: str = "GET") -> httpx.Response:
    """Return the answer as it is sent: httpx decodes gzip but not zstd here."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, url, headers={"accept-encoding": accept})

    return asyncio.run(send())


@pytest.mark.parametrize("size", [MINIMUM_BYTES, 100_000, len(LARGE)])
def test_body_is_compressed_for_who_takes_it(size: int) -> None:
    plain = get(f"/?size={size}", "identity")
    assert plain.content == LARGE[:size]
    assert "content-encoding" not in plain.headers
    zstd = get(f"/?size={size}")
    assert (zstd.headers["content-encoding"], zstd.headers["vary"]) == ("zstd", "Accept-Encoding")
    assert zstd.headers["content-length"] == str(len(zstd.content))
    assert decoded(zstd.content, "zstd", size) == LARGE[:size]
    gzip = get(f"/?size={size}", "gzip")
    assert gzip.headers["content-encoding"] == "gzip"
    assert gzip.content == LARGE[:size]


@pytest.mark.parametrize(
    "url",
    [f"/?size={MINIMUM_BYTES - 1}", "/?type=image/png", "/?type=application/octet-stream", "/?coded"],
)
def test_small_binary_and_coded_bodies_are_sent_as_they_are(url: str) -> None:
    response = get(url)
    assert response.headers.get("content-encoding") != "zstd"
    assert response.content == LARGE[: len(response.content)]


def test_head_and_no_content_have_no_coding() -> None:
    assert "content-encoding" not in get("/", method="HEAD").headers
    assert "content-encoding" not in get("/no-content").headers


def test_each_piece_of_a_stream_is_sent_at_once() -> None:
    sent = asyncio.run(_messages("/stream"))
    assert b"content-length" not in dict(sent[0]["headers"])
    bodies = [message["body"] for message in sent[1:]]
    inflate = zlib.decompressobj(31)
    assert [inflate.decompress(body) for body in bodies if body][:3] == [b"data\n"] * 3
    assert inflate.decompress(b"") == b""
    assert inflate.eof
    assert sent[-1].get("more_body", False) is False


def test_event_streams_are_not_compressed() -> None:
    assert get("/stream?type=text/event-stream").content == b"data\n" * 3


async def _messages(path: str) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"accept-encoding", b"gzip")],
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }
    await APP(scope, receive, send)
    return sent
