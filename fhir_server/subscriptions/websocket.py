"""The websocket by which subscribers without an endpoint are told: ``[base]/ws``.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#websockets. A client sends
``bind-with-token`` with a token of `$get-ws-binding-token`, as a word before the token or as JSON
(``{"type": "bind-with-token", "payload": {"token": "..."}}``), and gets a handshake for each of its
subscriptions, then what happened since its last connection, then what happens. A binding ends with its token
unless it is renewed. What is sent counts as delivered: a websocket acknowledges nothing.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from fhir_server.service import Repository
from fhir_server.subscriptions import journal
from fhir_server.subscriptions.definition import Definition, read_definition
from fhir_server.subscriptions.inquiry import Binding, binding_of
from fhir_server.subscriptions.journal import Standing
from fhir_server.subscriptions.messages import Messages
from fhir_server.subscriptions.notification import Kind
from fhir_server.subscriptions.wake import Wake
from hie.core.access import Requester
from hie.core.clock import Clock
from hie.core.db.database import Database
from hie.core.errors import (
    ExchangeError,
    ForbiddenError,
    InvalidResourceError,
    MalformedJSONError,
    RequestError,
    operation_outcome,
)
from hie.core.fhir.json import dumps, loads

PATH: Final = "/ws"
_BIND: Final = "bind-with-token"
_PLAIN: Final = re.compile(rf"{_BIND}:?\s+(\S+)\s*")
# What a token is sent in; more is no message of ours.
_LONGEST_TEXT: Final = 4096
_IDLE_SECONDS: Final = 60.0
# Looked for although nobody said so, at most this often: a word may be lost with its connection.
_LOOK_SECONDS: Final = 15.0
_POLICY_VIOLATION: Final = 1008


def websocket_url(base_url: str) -> str:
    """Return where clients connect, of the FHIR base URL: ws for http, wss for https."""
    return f"ws{base_url.rstrip('/').removeprefix('http')}{PATH}"


def mount(
    router: APIRouter, *, database: Database, repository: Repository, base_url: str, clock: Clock
) -> None:
    """Add the websocket to a router whose prefix is the FHIR base."""
    messages = Messages(repository, base_url)
    wake = Wake(database)

    @router.websocket(PATH)
    async def subscriptions(websocket: WebSocket) -> None:
        await websocket.accept()
        await _Connection(websocket, database, messages, wake, clock).run()


@dataclass(slots=True)
class _Bound:
    """One subscription on one connection: `told` is the last event that was sent on it."""

    requester: Requester
    expires_at: datetime
    told: int
    sent_at: float
    heartbeat_seconds: int | None


class _Connection:
    def __init__(
        self, websocket: WebSocket, database: Database, messages: Messages, wake: Wake, clock: Clock
    ) -> None:
        self._websocket = websocket
        self._database = database
        self._messages = messages
        self._wake = wake
        self._clock = clock
        self._bound: dict[str, _Bound] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Serve the connection to its end."""
        listening = asyncio.create_task(self._receive())
        telling = asyncio.create_task(self._tell())
        try:
            done, _ = await asyncio.wait({listening, telling}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with suppress(WebSocketDisconnect, RuntimeError):  # it is closed, maybe while we send
                    task.result()
        finally:
            self._wake.remove(self._news)
            for task in (listening, telling):
                task.cancel()
            await asyncio.gather(listening, telling, return_exceptions=True)

    async def _receive(self) -> None:
        while True:
            seconds = None if self._bound else _IDLE_SECONDS
            try:
                text = await asyncio.wait_for(self._websocket.receive_text(), seconds)
            except TimeoutError:
                await self._websocket.close(_POLICY_VIOLATION, "no subscription is bound")
                return
            try:
                await self._bind(_token(text))
            except ExchangeError as error:
                await self._websocket.send_text(dumps(operation_outcome(error)).decode())

    async def _bind(self, token: str) -> None:
        binding = await run_in_threadpool(self._binding, token)
        if binding is None:
            raise ForbiddenError("The token is unknown or has expired: ask for one by $get-ws-binding-token")
        await self._wake.add(self._news, binding.subscription_ids)
        standings = await run_in_threadpool(self._standings, binding.subscription_ids)
        for identity, standing in standings.items():
            known = self._bound.get(identity)
            definition = _definition(standing)
            if definition is None:
                continue
            await self._websocket.send_text(self._control(standing, definition, "handshake"))
            self._bound[identity] = _Bound(
                binding.requester,
                binding.expires_at,
                standing.delivered if known is None else known.told,
                asyncio.get_running_loop().time(),
                definition.heartbeat_seconds,
            )
        self._news.set()

    async def _tell(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self._seconds_to_wait())
            self._news.clear()
            now = self._clock.now()
            self._bound = {name: each for name, each in self._bound.items() if each.expires_at > now}
            if self._bound:
                standings = await run_in_threadpool(self._standings, tuple(self._bound))
                for identity, bound in list(self._bound.items()):
                    standing = standings.get(identity)
                    if standing is None or standing.status == "off":
                        self._bound.pop(identity, None)
                    elif standing.status == "active":
                        await self._tell_of(standing, bound)

    async def _tell_of(self, standing: Standing, bound: _Bound) -> None:
        loop = asyncio.get_running_loop()
        definition = _definition(standing)
        if definition is None:
            return  # it is in error at the next change
        while bound.told < standing.event_count:
            found = await run_in_threadpool(self._next, standing, definition, bound)
            if found is None:
                bound.told = standing.event_count  # they are kept no longer
                return
            text, last = found
            await self._websocket.send_text(text)
            bound.told, bound.sent_at = last, loop.time()
            await run_in_threadpool(self._note, standing.id, last)
        seconds = definition.heartbeat_seconds
        if seconds is not None and loop.time() - bound.sent_at >= seconds:
            await self._websocket.send_text(self._control(standing, definition, "heartbeat"))
            bound.sent_at = loop.time()

    def _seconds_to_wait(self) -> float:
        """Return when to look without being told to: when the next heartbeat is due, or a binding ends."""
        now, moment = asyncio.get_running_loop().time(), self._clock.now()
        waits = [_LOOK_SECONDS]
        for each in self._bound.values():
            waits.append((each.expires_at - moment).total_seconds())
            if each.heartbeat_seconds is not None:
                waits.append(each.sent_at + each.heartbeat_seconds - now)
        return max(0.01, min(waits))

    def _control(self, standing: Standing, definition: Definition, kind: Kind) -> str:
        message = self._messages.control(standing, definition, kind, self._clock.now())
        return (message.body or b"").decode()

    def _binding(self, token: str) -> Binding | None:
        with self._database.transaction() as transaction:
            return binding_of(transaction, token, self._clock.now())

    def _standings(self, ids: tuple[str, ...]) -> dict[str, Standing]:
        with self._database.transaction() as transaction:
            return journal.find(transaction, ids)

    def _next(self, standing: Standing, definition: Definition, bound: _Bound) -> tuple[str, int] | None:
        with self._database.transaction() as transaction:
            message = self._messages.next(
                transaction,
                standing,
                definition,
                self._clock.now(),
                after=bound.told,
                requester=bound.requester,
            )
        return None if message is None else ((message.body or b"").decode(), message.last)

    def _note(self, identity: str, number: int) -> None:
        with self._database.transaction() as transaction:
            journal.sent(transaction, identity, number)


def _definition(standing: Standing) -> Definition | None:
    try:
        return read_definition(standing.resource)
    except InvalidResourceError:
        return None


def _token(text: str) -> str:
    """Return the token that a message binds with; raises RequestError for any other message."""
    match = _PLAIN.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if match is not None:
        return match[1]
    given = None
    if len(text) <= _LONGEST_TEXT:
        with suppress(MalformedJSONError):
            given = loads(text)
    payload = given.get("payload") if isinstance(given, dict) and given.get("type") == _BIND else None
    token = payload.get("token") if isinstance(payload, dict) else None
    if not isinstance(token, str):
        raise RequestError(f"The message is not `{_BIND}` with a token")
    return token
