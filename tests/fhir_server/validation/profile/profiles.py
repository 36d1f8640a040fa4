"""Makes StructureDefinitions of differentials, and says what a validator that knows them finds."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from fhir_server.validation.conformance import LoadedResources
from fhir_server.validation.profile.validator import ProfileValidator
from hie.core.errors import Issue
from hie.core.fhir.json import Json, JsonObject, dumps, loads

BASE = "http://profile.example/StructureDefinition"
NOW = datetime(2026, 3, 5, tzinfo=UTC)
NARRATIVE: JsonObject = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>'}

Finding = tuple[str, str, str]
"""Severity, code and expression of an issue."""


def element(path: str, **parts: Json) -> JsonObject:
    """Return an ElementDefinition at `path`; `slice_name` is its sliceName."""
    named = {"sliceName" if key == "slice_name" else key: value for key, value in parts.items()}
    return {"id": path, "path": path, **named}


def structure(
    name: str, type_name: str, *elements: JsonObject, base: str | None = None, **parts: Json
) -> JsonObject:
    """Return a StructureDefinition with a differential of `elements`, its url under `BASE`."""
    return {
        "resourceType": "StructureDefinition",
        "url": f"{BASE}/{name}",
        "name": name,
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": type_name,
        "baseDefinition": base or f"http://hl7.org/fhir/StructureDefinition/{type_name}",
        "derivation": "constraint",
        "differential": {"element": [element(type_name), *elements]},
        **parts,
    }


def resource(type_name: str, **parts: Json) -> JsonObject:
    """Return a resource with a narrative, so that dom-6 says nothing."""
    return {"resourceType": type_name, "text": NARRATIVE, **parts}


def observation(**parts: Json) -> JsonObject:
    """Return a small valid Observation."""
    return resource("Observation", **{"status": "final", "code": {"text": "a"}, **parts})


class Known:
    """A validator that knows some conformance resources."""

    def __init__(self, *definitions: JsonObject) -> None:
        """Take them; the first is the profile that is asked for."""
        self.url: str = definitions[0]["url"]
        self.validator = ProfileValidator(LoadedResources(definitions))

    def messages(
        self,
        checked: JsonObject,
        *,
        profiles: Iterable[str] | None = None,
        resolve: Callable[[str], JsonObject | None] | None = None,
    ) -> list[str]:
        """Return severity, expression and message of what is found about `checked`."""
        issues = self._issues(checked, profiles, resolve)
        return [f"{issue.severity} {issue.expression}: {issue.message}" for issue in issues]

    def findings(
        self,
        checked: JsonObject,
        *,
        profiles: Iterable[str] | None = None,
        resolve: Callable[[str], JsonObject | None] | None = None,
    ) -> list[Finding]:
        """Return severity, code and expression of what is found about `checked`."""
        issues = self._issues(checked, profiles, resolve)
        return [(issue.severity, issue.code, issue.expression or "") for issue in issues]

    def _issues(
        self,
        checked: JsonObject,
        profiles: Iterable[str] | None,
        resolve: Callable[[str], JsonObject | None] | None,
    ) -> list[Issue]:
        asked = [self.url] if profiles is None else profiles
        # as it is read from a request: no object stands in two places
        return self.validator.validate(loads(dumps(checked)), now=NOW, profiles=asked, resolve=resolve)
