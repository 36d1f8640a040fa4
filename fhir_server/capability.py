"""The CapabilityStatement, computed from what the server has: https://hl7.org/fhir/R4/http.html#capabilities.

Interactions come from the routes that are mounted, search parameters from the
registry less what the indexer cannot do, validation from its coverage. Nothing
is claimed by hand.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Final

from fhir_server import security_statement
from fhir_server.compartments.definitions import load_compartments
from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.index.indexer import Indexer
from fhir_server.operations.operation import Definition, Level, Operation
from fhir_server.operations.router import NAME
from fhir_server.subscriptions import capability as subscriptions
from fhir_server.validation.coverage import Coverage, coverage
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings, ValidationLevel

# Name of a route -> code of https://hl7.org/fhir/R4/valueset-type-restful-interaction.html.
_INTERACTIONS: Final = {
    "read": "read",
    "vread": "vread",
    "update": "update",
    "patch": "patch",
    "delete": "delete",
    "history": "history-instance",
    "history-type": "history-type",
    "create": "create",
    "search-type": "search-type",
}
_SYSTEM_INTERACTIONS: Final = {
    "transaction or batch": ("transaction", "batch"),
    "history-system": ("history-system",),
    "search-system": ("search-system",),
}
# https://hl7.org/fhir/R4/http.html#patch: JSON Patch, and FHIRPath Patch in a Parameters resource.
_PATCH_FORMATS: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/fhir+json",
    "application/fhir+xml",
)
# Name of a route -> what it says of every resource type.
_CONDITIONS: Final[dict[str, JsonObject]] = {
    "create": {"conditionalCreate": True},
    "read": {"conditionalRead": "full-support"},
    "update": {"updateCreate": True},
    "conditional update": {"conditionalUpdate": True},
    "history": {"readHistory": True},
}
# Parameters that no SearchParameter defines, with their types in the standard's own statement of all that a
# server can do (https://hl7.org/fhir/R4/capabilitystatement-base.html); those of `_filter` and `_total` are
# not there (https://hl7.org/fhir/R4/search_filter.html, https://hl7.org/fhir/R4/search.html#total).
_GENERAL: Final = {
    "_filter": "special",
    "_has": "composite",
    "_list": "token",
    "_type": "token",
    "_sort": "token",
    "_count": "number",
    "_include": "token",
    "_revinclude": "token",
    "_summary": "token",
    "_total": "token",
    "_elements": "string",
    "_contained": "token",
    "_containedType": "token",
}


class Capability:
    """The CapabilityStatement of one server; computed when it is first asked for.

    `definitions` are those of its operations.
    """

    def __init__(
        self,
        settings: Settings,
        routes: Iterable[str],
        indexer: Indexer,
        *,
        operations: Iterable[Operation] = (),
    ) -> None:
        """Take settings, the names of the mounted routes, what indexes resources, and the operations.

        The search parameters are those that `indexer` knows now.
        """
        self._settings = settings
        self._routes = frozenset(routes)
        self.definitions = [each.definition for each in operations]
        self._registry = indexer.registry
        self._indexer = indexer

    @cached_property
    def statement(self) -> JsonObject:
        """The resource, without its date."""
        return {
            "resourceType": "CapabilityStatement",
            "name": "HIE",
            "title": "HIE FHIR repository",
            "status": "active",
            "kind": "instance",
            "software": {"name": "HIE", "version": version("hie")},
            "implementation": {"description": "HIE FHIR repository", "url": self._settings.base_url},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
            **({"patchFormat": list(_PATCH_FORMATS)} if "patch" in self._routes else {}),
            "rest": [
                {
                    "mode": "server",
                    **subscriptions.of_rest(self._settings.base_url),
                    **security_statement.of_rest(self._settings),
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
        described: JsonObject = {}
        codes = [
            code
            for route, its_codes in _SYSTEM_INTERACTIONS.items()
            if route in self._routes
            for code in its_codes
        ]
        if codes:
            described["interaction"] = [{"code": code} for code in codes]
        if "search-system" in self._routes:
            described["searchParam"] = self._of_all_types()
        described |= self._operations_at(("system",), None)
        if "compartment search" in self._routes:
            described["compartment"] = [each.url for each in load_compartments().values()]
        return described

    def _of_all_types(self) -> list[JsonObject]:
        """Return the parameters of every search: those of all resources, and those that shape its result."""
        common = [
            {"name": each.code, "definition": each.url, "type": each.type}
            for each in self._registry.of("Patient").values()
            if each.code.startswith("_") and self._indexer.is_indexed(each)
        ]
        return [*common, *({"name": name, "type": kind} for name, kind in _GENERAL.items())]

    def _operations_at(self, levels: Sequence[Level], resource_type: str | None) -> JsonObject:
        """Return the operations that are there at one of `levels`."""
        if NAME not in self._routes:
            return {}
        listed = [
            {"name": each.code, "definition": each.url, **self._said_of(each, resource_type)}
            for each in self.definitions
            if any(each.serves(level, resource_type) for level in levels)
        ]
        return {"operation": listed} if listed else {}

    def _said_of(self, definition: Definition, resource_type: str | None) -> JsonObject:
        """Return the documentation; what every type has is not described 148 times."""
        if resource_type is not None and not definition.types:
            return {}
        return {"documentation": definition.documentation}

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
        if "conditional delete" in self._routes:
            limit = self._settings.conditional_delete_limit
            described["conditionalDelete"] = "multiple" if limit > 1 else "single"
        described |= self._operations_at(("type", "instance"), resource_type)
        described |= subscriptions.of_resource(resource_type)
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


def normative(statement: JsonObject) -> JsonObject:
    """Return `statement` without the elements that R4 has on trial, and without extensions.

    Which they are stands in the definition of CapabilityStatement, as the standards status of its elements
    (https://hl7.org/fhir/R4/capabilitystatement-definitions.html).
    """
    return {
        **{name: value for name, value in statement.items() if name not in _TRIAL},
        "rest": [
            {
                **{name: value for name, value in rest.items() if name not in _TRIAL_OF_REST},
                "resource": [
                    {name: value for name, value in each.items() if name not in _TRIAL_OF_RESOURCE}
                    for each in rest["resource"]
                ],
            }
            for rest in statement["rest"]
        ],
    }


_TRIAL: Final = frozenset({"useContext", "imports", "messaging", "document", "extension"})
_TRIAL_OF_REST: Final = frozenset({"security", "extension"})
_TRIAL_OF_RESOURCE: Final = frozenset(
    {
        *("supportedProfile", "versioning", "readHistory", "updateCreate", "conditionalCreate"),
        *("conditionalRead", "conditionalUpdate", "conditionalDelete", "referencePolicy"),
        *("searchInclude", "searchRevInclude", "extension"),
    }
)
