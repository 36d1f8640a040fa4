"""Limits on requests: a token bucket for each address of nobody known, and for each person or client.

Each web process has buckets of its own. One shared in PostgreSQL would cost every request a write that
takes longer than most reads; so many processes give so many times the limit, which keeps a flood from the
database all the same. Who is refused gets 429 with Retry-After (https://www.rfc-editor.org/rfc/rfc6585#section-4)
and an OperationOutcome `throttled`.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hie.core.access import ANONYMOUS, Requester
from hie.core.errors import operation_outcome
from hie.core.security_errors import RateLimitError
from hie.core.web.errors import outcome_response

BURST_SECONDS: Final = 3.0
_MOST_KEYS: Final = 100_000
_MOST_ADDRESSES: Final = 8_192
_FORWARDED: Final = b"x-forwarded-for"
_IPV6_PREFIX: Final = 64
"""One subscriber has at least such a network (RFC 6177), so that addresses in it are one."""


class Buckets:
    """A bucket of tokens for each key, that fills at `rate` a second up to `rate * BURST_SECONDS`.

    Keys that were not used for longest are forgotten past 100,000 of them. Not for several threads.
    """

    def __init__(self, rate: float, *, most_keys: int = _MOST_KEYS) -> None:
        """Take the tokens a second, more than 0."""
        self._rate = rate
        self._capacity = max(1.0, rate * BURST_SECONDS)
        self._most_keys = most_keys
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Return the seconds until `key` has a token; 0 where it has one at `now`."""
        return max(0.0, (1.0 - self._level(key, now)) / self._rate)

    def take(self, key: str, now: float) -> None:
        """Take one token of `key`, also one that it does not have."""
        self._levels[key] = (self._level(key, now) - 1.0, now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._most_keys:
            self._levels.popitem(last=False)

    def _level(self, key: str, now: float) -> float:
        level, then = self._levels.get(key, (self._capacity, now))
        return min(self._capacity, level + (now - then) * self._rate)


class AddressLimitMiddleware:
    """Outside authentication: refuses an address whose requests of nobody known were too many."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        rate: float,
        trusted_proxies: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the requests a second, and the networks of proxies whose X-Forwarded-For is believed."""
        self._app = app
        self._buckets = Buckets(rate)
        self._proxies = [ip_network(each) for each in trusted_proxies]
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; it counts unless its requester turned out to be known."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        address = address_of(scope, self._proxies)
        seconds = self._buckets.wait(address, self._clock())
        if seconds > 0:
            await _refuse(seconds, scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            if scope.get("state", {}).get("requester", ANONYMOUS) is ANONYMOUS:
                self._buckets.take(address, self._clock())


class RequesterLimitMiddleware:
    """Inside authentication: refuses a person or client application whose requests were too many."""

    def __init__(self, app: ASGIApp, *, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the requests a second."""
        self._app = app
        self._buckets = Buckets(rate)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        requester: Requester = scope.get("state", {}).get("requester", ANONYMOUS)
        if scope["type"] == "lifespan" or requester is ANONYMOUS:
            await self._app(scope, receive, send)
            return
        now = self._clock()
        key = f"{requester.kind} {requester.id} {requester.client}"
        seconds = self._buckets.wait(key, now)
        if seconds > 0:
            await _refuse(seconds, scope, receive, send)
            return
        self._buckets.take(key, now)
        await self._app(scope, receive, send)


def address_of(scope: Scope, proxies: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the address that a request comes from, of an IPv6 address its network.

    Of X-Forwarded-For the last address that is no trusted proxy's counts: those before it are whatever
    the sender wrote.
    """
    client = scope.get("client")
    found = str(client[0]) if client else ""
    given = b",".join(value for name, value in scope["headers"] if name == _FORWARDED).decode("latin-1")
    for each in reversed([part.strip() for part in given.split(",") if part.strip()]):
        if not _is_in(found, proxies):
            break
        found = each
    return _network_of(found)


@lru_cache(_MOST_ADDRESSES)
def _network_of(text: str) -> str:
    """Return the address that `text` is, of an IPv6 address its network; "unknown" where it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Network((int(address) >> 64 << 64, _IPV6_PREFIX)))
    return str(address)


def _is_in(text: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address.version == network.version and address in network for network in networks)


async def _refuse(seconds: float, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013})  # "try again later"
        return
    wait = math.ceil(seconds)
    error = RateLimitError(f"Too many requests; try again in {wait} seconds", wait_seconds=wait)
    response = outcome_response(Request(scope), operation_outcome(error), error.status)
    response.headers["Retry-After"] = str(error.wait_seconds)
    await response(scope, receive, send)
