"""Every answer has the headers that browsers are kept safe by, and no value can begin another header."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from hie.core.web.response_headers import ResponseHeadersMiddleware

Headers = Sequence[tuple[bytes, bytes]]


def answered(given: Headers, *, is_https: bool = False) -> list[tuple[bytes, bytes]]:
    """Return the headers of the answer of an application that gives `given`."""
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": given})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(ResponseHeadersMiddleware(app, is_https=is_https)({"type": "http"}, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return list(sent[0]["headers"])


def test_answer_is_not_kept_framed_sniffed_or_run() -> None:
    assert dict(answered([])) == {
        b"cache-control": b"no-store",
        b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
        b"cross-origin-opener-policy": b"same-origin",
        b"cross-origin-resource-policy": b"same-origin",
        b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
        b"referrer-policy": b"no-referrer",
        b"x-content-type-options": b"nosniff",
        b"x-frame-options": b"DENY",
    }


def test_what_a_router_says_itself_stays() -> None:
    given = [(b"cache-control", b"public, max-age=300"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    headers = answered(given)
    assert headers[:3] == given
    assert [value for name, value in headers if name == b"cache-control"] == [b"public, max-age=300"]


def test_browsers_are_told_to_come_by_https_only_where_they_did() -> None:
    assert dict(answered([], is_https=True))[b"strict-transport-security"] == b"max-age=31536000"
    assert b"strict-transport-security" not in dict(answered([]))


@given(st.binary())
def test_no_value_begins_another_header(value: bytes) -> None:
    kept = dict(answered([(b"location", value)]))[b"location"]
    assert not set(kept) & {0, 10, 13}
    if value.isascii() and value.decode().isprintable():
        assert kept == value
