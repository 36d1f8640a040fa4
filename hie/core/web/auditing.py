"""The ASGI middleware that lets no answer out before it stands in the audit trail.

Every request gets a `hie.core.audit.trail.Trail`; when its answer begins, what it did is written to the local
log of this process and is durable before the first byte goes out. What a request changed was recorded by its
transaction (`hie.core.audit.commits`). The name of the route says which interaction it was;
paths that show nothing of anybody are exempt (`EXEMPT`).
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hie.core.access import ANONYMOUS, Requester
from hie.core.audit.group_commit import GroupCommit
from hie.core.audit.log import LocalLog
from hie.core.audit.record import Action, Kind, Record, encode
from hie.core.audit.trail import CURRENT, Trail
from hie.core.clock import Clock
from hie.core.errors import UnavailableError, operation_outcome
from hie.core.web.errors import outcome_response

EXEMPT: Final = ("/fhir/metadata", "/health", "/metrics", "/api/openapi.json", "/static/", "/favicon.ico")
"""Where the paths begin that show no data of anybody; a test holds the list against the routes."""

# By the beginning of the route's name, which is a code of
# https://hl7.org/fhir/R4/valueset-restful-interaction.html and perhaps how it was called.
_ACTIONS: Final[dict[str, Action]] = {
    "create": "C",
    "read": "R",
    "vread": "R",
    "update": "U",
    "patch": "U",
    "delete": "D",
}
_METHODS: Final[dict[str, Action]] = {"GET": "R", "HEAD": "R", "PUT": "U", "PATCH": "U", "DELETE": "D"}
# Operations that have routes of their own.
_OPERATIONS: Final = frozenset({"graphql", "import"})
_FHIR: Final = "/fhir"
# Where people and programs say who they are.
_SIGN_INS: Final = ("/sign-in", "/sign-out", "/oauth/token")
_LONGEST: Final = 8_192
# Parameters that are secrets: RFC 6749, 4.1.2 and 6; RFC 6750, 2.3; RFC 7521, 4.2; OpenID Connect's logout by
# the relying party, 2. That they were given is recorded, their values are not. `code` is FHIR's too.
_SECRETS: Final = (
    "access_token|refresh_token|id_token_hint|id_token|token|code_verifier|client_assertion|assertion"
    "|client_secret|password"
)
_SECRET: Final = re.compile(rf"(?i)(?<![^&])({_SECRETS})=[^&]+")
_SECRET_OR_CODE: Final = re.compile(rf"(?i)(?<![^&])({_SECRETS}|code)=[^&]+")
_LONGEST_ID: Final = 200


class AuditMiddleware:
    """Records the requests that `app` answers."""

    def __init__(self, app: ASGIApp, log: LocalLog, clock: Clock, site: str) -> None:
        """Take the log, the clock of the records, and the name of this machine."""
        self._app = app
        self._group = GroupCommit(log)
        self._clock = clock
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and record it before the answer goes out."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        trail = Trail(
            _kind(scope),
            address=_address(scope),
            request_id=_header(scope, b"x-request-id")[:_LONGEST_ID],
        )
        token = CURRENT.set(trail)
        is_counted = True
        is_refused = False
        self._group.begin()

        async def recording(message: Message) -> None:
            nonlocal is_counted, is_refused
            if is_counted and message["type"] in _BEGINNINGS:
                try:
                    error = await self._failure(scope, trail, message)
                finally:
                    is_counted = False
                    self._group.end()
                if error is not None:
                    is_refused = True
                    await _refuse(error, scope, receive, send)
            if not is_refused:
                await send(message)

        try:
            await self._app(scope, receive, recording)
        except Exception:
            # Answered outside of this: by whoever turns a fault of ours into 500.
            if is_counted:
                bodies = self._bodies(scope, trail, HTTPStatus.INTERNAL_SERVER_ERROR)
                if bodies:
                    await self._group.written(bodies)
            raise
        finally:
            if is_counted:
                self._group.end()
            CURRENT.reset(token)

    async def _failure(self, scope: Scope, trail: Trail, message: Message) -> UnavailableError | None:
        """Record what begins with `message`; return why it may not go out, None when it may."""
        bodies = self._bodies(scope, trail, message.get("status") or _BEGINNINGS[message["type"]])
        try:
            if bodies:
                await self._group.written(bodies)
        except UnavailableError as error:
            return error
        return None

    def _bodies(self, scope: Scope, trail: Trail, status: int) -> list[bytes]:
        return [encode(record, self._site) for record in self._records(scope, trail, status)]

    def _records(self, scope: Scope, trail: Trail, status: int) -> list[Record]:
        """Return what is not recorded yet: each step, or the request as a whole."""
        if scope["path"].startswith(EXEMPT):
            return []
        called = _called(scope)
        now = self._clock.now()
        requester: Requester = scope.get("state", {}).get("requester", ANONYMOUS)
        is_error = status >= HTTPStatus.BAD_REQUEST
        if not is_error and trail.is_committed:
            return []
        if not is_error and trail.steps:
            return [trail.record(step, requester, now) for step in trail.steps]
        query = scope["query_string"].decode("latin-1")
        if scope.get("method") == "POST" and trail.parameters:
            query = urlencode(trail.parameters)
        secret = _SECRET if scope["path"].startswith("/fhir") else _SECRET_OR_CODE
        return [
            Record(
                trail.kind,
                called.interaction,
                called.action,
                requester,
                now,
                target=called.target,
                query=secret.sub(r"\1=", query)[:_LONGEST],
                status=status,
                seen=tuple(trail.seen),
                address=trail.address,
                request_id=trail.request_id,
                detail=trail.detail,
            )
        ]


async def _refuse(error: UnavailableError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503 in place of what cannot be recorded; the application believes that it has answered.

    A handshake has no body to say it in: it is closed.
    """
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
        return
    response = outcome_response(Request(scope), operation_outcome(error), error.status)
    if scope["method"] == "HEAD":
        response.body = b""
    await response(scope, receive, send)


# https://www.iana.org/assignments/websocket/websocket.xhtml, of the registry that RFC 6455, 11.7 begins
_TRY_AGAIN_LATER: Final = 1013

# What begins an answer, and the status of those that have none.
_BEGINNINGS: Final = {
    "http.response.start": HTTPStatus.OK,
    "websocket.accept": HTTPStatus.SWITCHING_PROTOCOLS,
    "websocket.close": HTTPStatus.FORBIDDEN,
    "websocket.http.response.start": HTTPStatus.FORBIDDEN,
}


@dataclass(frozen=True, slots=True)
class _Called:
    """The route that answers: the interaction, its action, and what the path names."""

    interaction: str
    action: Action
    target: str


def _kind(scope: Scope) -> Kind:
    path = scope["path"]
    if path.startswith(_SIGN_INS) and scope.get("method") == "POST":
        return "sign-in"
    return "rest" if path.startswith(_FHIR) else "page"


def _called(scope: Scope) -> _Called:
    route = scope.get("hie.route") or scope.get("route")
    name = str(getattr(route, "name", "") or "")
    method = str(scope.get("method", "GET"))
    parameters = scope.get("path_params") or {}
    interaction = name.removesuffix(" by POST").removeprefix("conditional ")
    code = parameters.get("code") or (name if name in _OPERATIONS else None)
    if code is not None:
        interaction = f"${code}"
    action = _ACTIONS.get(interaction) or ("E" if _executes(interaction) else _METHODS.get(method, "E"))
    if not scope["path"].startswith(_FHIR):
        action = _METHODS.get(method, "E")  # the names of pages are their functions'
        if _kind(scope) == "sign-in":
            interaction = "sign-out" if scope["path"].startswith("/sign-out") else "sign-in"
    target = "/".join(
        str(parameters[each]) for each in ("resource_type", "resource_id") if each in parameters
    )
    if target and "version" in parameters:
        target += f"/_history/{parameters['version']}"
    if not target:
        target = f"Patient/{parameters['patient_id']}" if "patient_id" in parameters else ""
    return _Called(interaction or method, action, target or _path(scope, name))


def _executes(interaction: str) -> bool:
    """Say whether BALP has it as E: searches and operations (https://profiles.ihe.net/ITI/BALP/)."""
    return interaction.startswith(("search", "$"))


def _path(scope: Scope, name: str) -> str:
    """Return the path where no route took the request, or the route names no resource."""
    return "" if name.startswith(("search-system", "transaction")) else str(scope["path"])[:_LONGEST_ID]


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""
