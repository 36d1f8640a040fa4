"""The ASGI middleware that sends answers as gzip or zstd to clients that take it.

RFC 9110, 8.4, 12.5.3 and 12.5.5. Small bodies, bodies that are compressed already and event streams are
sent as they are. A streamed answer stays one: each piece is sent as soon as it is there.
"""

from functools import lru_cache
from typing import Final

import anyio.to_thread
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hie.core.web.content_coding import Coding, Encoder, accepted_coding, encoded, encoder

# Below it, header and thread cost more than the bytes saved: most single resources fit one packet.
MINIMUM_BYTES: Final = 1400
# Compressing more would hold the event loop for more than some milliseconds.
_LARGE_BYTES: Final = 512 * 1024
_COMPRESSIBLE: Final = frozenset(
    {"application/json", "application/xml", "application/javascript", "application/ndjson", "image/svg+xml"}
)
# As ASGI has them: names in lower case.
_Headers = list[tuple[bytes, bytes]]
_SUFFIXES: Final = ("+json", "+xml", "+ndjson")


class CompressionMiddleware:
    """Compresses what `app` sends."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] == "HEAD":
            await self._app(scope, receive, send)
            return
        accept = _value_of(scope["headers"], b"accept-encoding")
        coding = accepted_coding(accept.decode("latin-1")) if accept else None
        await self._app(scope, receive, _Answer(send, coding).send)


class _Answer:
    """One answer on its way."""

    def __init__(self, send: Send, coding: Coding | None) -> None:
        self._send = send
        self._coding = coding
        self._start: Message | None = None
        self._encoder: Encoder | None = None

    async def send(self, message: Message) -> None:
        """Pass on `message`, compressed if it should be."""
        if message["type"] == "http.response.start" and _is_compressible(message):
            message["headers"] = list(message["headers"])
            _vary(message["headers"])
            if self._coding is not None:
                self._start = message  # its headers depend on the body
                return
        elif message["type"] == "http.response.body":
            if self._start is not None:
                await self._first(self._start, message, self._coding or "gzip")
                self._start = None
                return
            if self._encoder is not None:
                await self._next(self._encoder, message)
                return
        await self._send(message)

    async def _first(self, start: Message, message: Message, coding: Coding) -> None:
        body = message.get("body", b"")
        headers = MutableHeaders(raw=start["headers"])
        if message.get("more_body", False):
            self._encoder = encoder(coding)
            headers["content-encoding"] = coding
            del headers["content-length"]
            await self._send(start)
            await self._next(self._encoder, message)
            return
        if len(body) >= MINIMUM_BYTES:
            if len(body) > _LARGE_BYTES:
                body = await anyio.to_thread.run_sync(encoded, body, coding)
            else:
                body = encoded(body, coding)
            headers["content-encoding"] = coding
            headers["content-length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})

    async def _next(self, stream: Encoder, message: Message) -> None:
        given = message.get("body", b"")
        body = stream.piece(given) if given else b""
        has_more = message.get("more_body", False)
        if not has_more:
            body += stream.rest()
        await self._send({"type": "http.response.body", "body": body, "more_body": has_more})


# Plain loops over the raw headers: Starlette's classes for them take three times as long, 18 µs an answer.


def _is_compressible(start: Message) -> bool:
    if start["status"] in (204, 304) or _value_of(start["headers"], b"content-encoding"):
        return False
    return _is_compressible_type(_value_of(start["headers"], b"content-type"))


@lru_cache(maxsize=64)
def _is_compressible_type(content_type: bytes) -> bool:
    media_type = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if media_type.startswith("text/"):
        return media_type != "text/event-stream"
    return media_type in _COMPRESSIBLE or media_type.endswith(_SUFFIXES)


def _value_of(headers: _Headers, name: bytes) -> bytes:
    """Return the value of the header `name`, in lower case as ASGI has it; several joined by commas."""
    return b",".join([value for key, value in headers if key == name])


def _vary(headers: _Headers) -> None:
    """Say that the answer depends on Accept-Encoding."""
    for place, (key, value) in enumerate(headers):
        if key == b"vary":
            headers[place] = (key, value + b", Accept-Encoding")
            return
    headers.append((b"vary", b"Accept-Encoding"))
