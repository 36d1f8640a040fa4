"""capabilities: ``GET [base]/metadata``, in each of its modes (https://hl7.org/fhir/R4/http.html#capabilities).

`full` is the CapabilityStatement, `normative` its normative portions, `terminology` the
TerminologyCapabilities. What they say is computed in `capability` and `terminology_capability`; here is only
which is asked for, and that each is computed once until a stored SearchParameter changes it.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.routing import BaseRoute, Route

from fhir_server.capability import Capability, normative
from fhir_server.definitions.search_parameters import SearchParameterRegistry
from fhir_server.interactions.answer import json_answer, shown
from fhir_server.interactions.negotiation import check_format
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Described, Server
from fhir_server.operations.registry import available
from fhir_server.terminology_capability import terminology_capabilities
from hie.core.clock import SystemClock
from hie.core.db.database import Transaction
from hie.core.errors import InternalError, MalformedSearchError
from hie.core.fhir.json import JsonObject, dumps
from hie.core.settings import Settings
from hie.core.web.media_types import parameter

NAME: Final = "capabilities"
_FULL: Final = "full"


class Metadata:
    """Describes one server; `fhir_server.interactions.server.Describes`."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; what is said is as old as this."""
        self._settings = settings
        self._started = SystemClock().now()
        self._routes: Sequence[BaseRoute] = ()
        self._kept: tuple[SearchParameterRegistry, dict[str, Described]] | None = None

    def serve(self, routes: Sequence[BaseRoute]) -> None:
        """Take the routes that are mounted, or will be until the first answer."""
        self._routes = routes

    def describe(self, server: Server, transaction: Transaction, mode: str | None) -> Described:
        """Return what the server can do, in `mode`; raises MalformedSearchError for an unknown one."""
        compute = _MODES.get(mode or _FULL)
        if compute is None:
            raise MalformedSearchError(
                f"`{mode}` is not a mode of metadata; {', '.join(_MODES)} are", expression="mode"
            )
        indexer = server.repository.indexer(transaction)
        kept = self._kept
        if kept is None or kept[0] is not indexer.registry:
            kept = self._kept = (indexer.registry, {})
        found = kept[1].get(mode or _FULL)
        if found is None:
            # Only now are all routes mounted. Stored SearchParameters make it another statement.
            names = [route.name for route in self._routes if isinstance(route, Route)]
            capability = Capability(self._settings, names, indexer, operations=available(server))
            found = kept[1][mode or _FULL] = self._described(compute(capability))
        return found

    def _described(self, content: JsonObject) -> Described:
        """Return `content` with its date, which is when the process started and no part of the ETag."""
        text = dumps({**content, "date": self._started.isoformat()})
        etag = f'W/"{blake2b(dumps(content), digest_size=8).hexdigest()}"'
        return Described(content["resourceType"], text, etag)


_MODES: Final[Mapping[str, Callable[[Capability], JsonObject]]] = {
    _FULL: lambda capability: capability.statement,
    "normative": lambda capability: normative(capability.statement),
    "terminology": terminology_capabilities,
}


def describe(server: Server, transaction: Transaction, mode: str | None) -> Described:
    """Return what `server` can do, in `mode`; raises MalformedSearchError for an unknown one."""
    if server.metadata is None:
        raise InternalError("The server does not describe itself")
    return server.metadata.describe(server, transaction, mode)


def mount(router: APIRouter, server: Server) -> None:
    """Add ``GET [base]/metadata``; mount it before the routes that take any type's name."""
    if server.metadata is not None:
        server.metadata.serve(router.routes)

    @interaction(router, "/metadata", name=NAME)
    def capabilities(request: Request) -> Response:
        check_format(request)
        mode = parameter(request, "mode")
        described = server.look(request, lambda transaction: describe(server, transaction, mode))
        headers = {"ETag": described.etag}
        if request.headers.get("if-none-match") == described.etag:
            return Response(status_code=304, headers=headers)
        return json_answer(request, shown(request, described.type, described.text), headers=headers)
