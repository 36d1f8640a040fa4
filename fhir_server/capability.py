"""The CapabilityStatement, computed from what the server has: https://hl7.org/fhir/R4/http.html#capabilities.

Interactions come from the routes that are mounted, search parameters from the
registry less what the indexer cannot do, validation from its coverage. Nothing
is claimed by hand.
"""

from collections.abc import Iterable
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from fhir_server.definitions.search_parameters import SearchParameter, SearchParameterRegistry, load_registry
from fhir_server.index.indexer import Indexer
from fhir_server.interactions.answer import json_answer
from fhir_server.interactions.negotiation import check_format
from fhir_server.validation.coverage import Coverage, coverage
from hie.core.clock import Clock, SystemClock
from hie.core.fhir.json import JsonObject, dumps
from hie.core.settings import Settings, ValidationLevel

# Name of a route -> code of https://hl7.org/fhir/R4/valueset-type-restful-interaction.html.
_INTERACTIONS: Final = {
    "read": "read",
    "vread": "vread",
    "update": "update",
    "delete": "delete",
    "history": "history-instance",
    "create": "create",
    "search-type": "search-type",
}
# Name of a route -> what it says of every resource type.
_CONDITIONS: Final[dict[str, JsonObject]] = {
    "create": {"conditionalCreate": True},
    "read": {"conditionalRead": "full-support"},
    "update": {"updateCreate": True},
    "conditional update": {"conditionalUpdate": True},
    "conditional delete": {"conditionalDelete": "single"},
    "history": {"readHistory": True},
}


class Capability:
    """The CapabilityStatement of one server; computed when it is first asked for."""

    def __init__(
        self,
        settings: Settings,
        routes: Iterable[str],
        *,
        clock: Clock | None = None,
        registry: SearchParameterRegistry | None = None,
    ) -> None:
        """Take the settings, the names of the mounted routes, and the registry; R4's by default."""
        self._settings = settings
        self._routes = frozenset(routes)
        self._started = (clock or SystemClock()).now()
        self._registry = registry or load_registry()
        self._indexer = Indexer(settings.base_url, settings.zone, registry=self._registry)

    @cached_property
    def statement(self) -> JsonObject:
        """The resource; its date is when the process started."""
        return {"resourceType": "CapabilityStatement", "date": self._started.isoformat(), **self._content}

    @cached_property
    def text(self) -> bytes:
        """The resource as JSON."""
        return dumps(self.statement)

    @cached_property
    def etag(self) -> str:
        """The ETag; equal for servers that can do the same, whenever they started."""
        return f'W/"{blake2b(dumps(self._content), digest_size=8).hexdigest()}"'

    @cached_property
    def _content(self) -> JsonObject:
        return {
            "name": "HIE",
            "title": "HIE FHIR repository",
            "status": "active",
            "kind": "instance",
            "software": {"name": "HIE", "version": version("hie")},
            "implementation": {"description": "HIE FHIR repository", "url": self._settings.base_url},
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [
                {
                    "mode": "server",
                    "documentation": self._documentation(),
                    "resource": [self._resource(each) for each in coverage()],
                    **self._system(),
                }
            ],
        }

    def _documentation(self) -> str:
        if self._settings.validation is ValidationLevel.OFF:
            return "Resources are stored without validation."
        return f"Every write is validated at the level `{self._settings.validation}`."

    def _system(self) -> JsonObject:
        if "transaction or batch" not in self._routes:
            return {}
        return {"interaction": [{"code": "transaction"}, {"code": "batch"}]}

    def _resource(self, covered: Coverage) -> JsonObject:
        resource_type = covered.resource_type
        parameters = self._registry.of(resource_type).values()
        supported = [each for each in parameters if self._indexer.is_indexed(each)]
        missing = [each.code for each in parameters if each.expression and each not in supported]
        documentation = f"Checked against {covered.source}."
        if missing:
            documentation += f" Search parameters that are not supported: {', '.join(missing)}."
        described: JsonObject = {
            "type": resource_type,
            "profile": f"http://hl7.org/fhir/StructureDefinition/{resource_type}",
            "documentation": documentation,
            "interaction": [{"code": code} for route, code in _INTERACTIONS.items() if route in self._routes],
            "versioning": "versioned-update",
        }
        for route, facts in _CONDITIONS.items():
            if route in self._routes:
                described |= facts
        if "search-type" in self._routes:
            described |= self._search(resource_type, supported)
        return described

    def _search(self, resource_type: str, supported: list[SearchParameter]) -> JsonObject:
        includes = [f"{resource_type}:{each.code}" for each in supported if each.type == "reference"]
        return {
            **({"searchInclude": ["*", *includes]} if includes else {}),
            "searchRevInclude": self._referring(resource_type),
            "searchParam": [
                {"name": each.code, "definition": each.url, "type": each.type} for each in supported
            ],
        }

    def _referring(self, resource_type: str) -> list[str]:
        return [name for name, parameter in self._references if parameter.may_target(resource_type)]

    @cached_property
    def _references(self) -> list[tuple[str, SearchParameter]]:
        return [
            (f"{each.resource_type}:{each.code}", each)
            for covered in coverage()
            for each in self._registry.of(covered.resource_type).values()
            if each.type == "reference" and self._indexer.is_indexed(each)
        ]


def mount(router: APIRouter, settings: Settings) -> None:
    """Add ``GET [base]/metadata``; mount it before the routes that take any type's name."""
    kept: list[Capability] = []

    @router.api_route("/metadata", name="capabilities", methods=["GET", "HEAD"])
    def capabilities(request: Request) -> Response:
        check_format(request)
        if not kept:
            # Only now are all routes mounted.
            kept.append(Capability(settings, (route.name for route in _named(router))))
        capability = kept[0]
        headers = {"ETag": capability.etag}
        if request.headers.get("if-none-match") == capability.etag:
            return Response(status_code=304, headers=headers)
        return json_answer(request, capability.text, headers=headers)


def _named(router: APIRouter) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]
