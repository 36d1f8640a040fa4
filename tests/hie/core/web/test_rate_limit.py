"""Floods get 429 with Retry-After; who is known, and who waits, is answered."""

import asyncio
from ipaddress import ip_network

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hie.core.access import Requester
from hie.core.web.rate_limit import (
    BURST_SECONDS,
    AddressLimitMiddleware,
    Buckets,
    RequesterLimitMiddleware,
    address_of,
)


def answer(_request: Request) -> Response:
    return PlainTextResponse("here")


class Knows:
    """Knows who sends a request by the header that says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        for name, value in scope["headers"]:
            if name == b"x-known":
                scope.setdefault("state", {})["requester"] = Requester("client", value.decode())
        await self._app(scope, receive, send)


class Time:
    """A clock that stands until it is put forward."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def ask(app: ASGIApp, headers: dict[str, str] | None = None, *, address: str = "192.0.2.1") -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/", headers=headers)

    return asyncio.run(send())


def by_address(clock: Time, rate: float = 1.0) -> ASGIApp:
    inner = Knows(Starlette(routes=[Route("/", answer)]))
    return AddressLimitMiddleware(inner, rate=rate, trusted_proxies=["192.0.2.9/32"], clock=clock)


def test_address_past_its_limit_gets_429_with_an_outcome_until_it_has_waited() -> None:
    clock = Time()
    app = by_address(clock)
    assert [ask(app).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = ask(app)
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["issue"] == [
        {
            "severity": "error",
            "code": "throttled",
            "diagnostics": "Too many requests; try again in 1 seconds",
        }
    ]
    assert ask(app, address="192.0.2.2").status_code == 200
    clock.now += 1
    assert [ask(app).status_code for _ in range(2)] == [200, 429]


def test_requests_of_who_is_known_do_not_count_for_their_address() -> None:
    app = by_address(Time())
    assert {ask(app, {"x-known": "a"}).status_code for _ in range(20)} == {200}
    assert ask(app).status_code == 200


def test_each_client_has_a_limit_of_its_own() -> None:
    clock = Time()
    app = Knows(RequesterLimitMiddleware(Starlette(routes=[Route("/", answer)]), rate=1, clock=clock))
    assert [ask(app, {"x-known": "a"}).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert ask(app, {"x-known": "b"}).status_code == 200
    assert {ask(app).status_code for _ in range(9)} == {200}
    clock.now += 1
    assert ask(app, {"x-known": "a"}).status_code == 200


def test_forwarded_address_counts_behind_a_trusted_proxy_only() -> None:
    app = by_address(Time())
    for number in range(3):
        assert ask(app, {"x-forwarded-for": f"10.0.0.{number}"}).status_code == 200
    # written by the sender itself: all of them were its own
    assert ask(app, {"x-forwarded-for": "10.0.0.7"}).status_code == 429
    assert ask(app, {"x-forwarded-for": "10.0.0.7"}, address="192.0.2.9").status_code == 200


def test_websocket_past_the_limit_is_closed() -> None:
    app = AddressLimitMiddleware(Starlette(), rate=0.1, trusted_proxies=[], clock=Time())
    scope = {"type": "websocket", "headers": [], "client": ("192.0.2.1", 1), "path": "/"}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    for _ in range(2):
        asyncio.run(app(dict(scope), receive, send))
    assert sent[-1] == {"type": "websocket.close", "code": 1013}


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("192.0.2.9", "", "192.0.2.9"),
        ("192.0.2.9", "198.51.100.1", "198.51.100.1"),
        ("192.0.2.9", "203.0.113.5, 198.51.100.1", "198.51.100.1"),
        ("192.0.2.9", "203.0.113.5, 198.51.100.1, 192.0.2.8", "198.51.100.1"),
        ("::ffff:192.0.2.9", "198.51.100.1", "198.51.100.1"),
        ("192.0.2.9", "not an address", "unknown"),
        ("198.51.100.7", "203.0.113.5", "198.51.100.7"),
        ("::ffff:198.51.100.7", "", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "", "2001:db8:1:2::/64"),
    ],
)
def test_address_is_the_last_that_no_trusted_proxy_has(client: str, forwarded: str, address: str) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    scope = {"type": "http", "client": (client, 1), "headers": headers}
    assert address_of(scope, [ip_network("192.0.2.8/31")]) == address


@given(
    st.floats(0.5, 50),
    st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_no_more_pass_than_the_rate_and_the_burst_allow(rate: float, pauses: list[float]) -> None:
    buckets = Buckets(rate)
    now = 0.0
    passed = 0
    for pause in pauses:
        now += pause
        if buckets.wait("a", now) == 0:
            buckets.take("a", now)
            passed += 1
    assert passed <= max(1.0, rate * BURST_SECONDS) + now * rate + 1e-6


def test_memory_is_bounded_by_forgetting_who_asked_longest_ago() -> None:
    buckets = Buckets(1, most_keys=2)
    for _ in range(3):
        buckets.take("first", 0)
    assert buckets.wait("first", 0) == 1
    buckets.take("second", 0)
    buckets.take("third", 0)
    assert len(buckets._levels) == 2
    assert buckets.wait("first", 0) == 0
