"""Topics: which changes of which resources make events.

https://hl7.org/fhir/R4B/subscriptiontopic.html. R4 has no such resource; as the Backport guide does, a topic
is a Basic with the code SubscriptionTopic and the elements as cross-version extensions
(https://hl7.org/fhir/versions.html#extensions). Those of the server are the files in `topics`; Basics that
are stored as such are topics too. Not here: evaluation (`triggers`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from fhir_server.subscriptions.extensions import inner
from hie.core.fhir.json import Json, JsonObject, loads

Interaction = Literal["create", "update", "delete"]

_CODE: Final = ("http://hl7.org/fhir/fhir-types", "SubscriptionTopic")
_ELEMENT: Final = re.compile(
    r"http://hl7\.org/fhir/(?:4\.3|5\.0)/StructureDefinition/extension-SubscriptionTopic\.(\w+)"
)
_INTERACTIONS: Final[dict[str, Interaction]] = {each: each for each in ("create", "update", "delete")}
_DEFINITION: Final = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True, slots=True)
class QueryCriteria:
    """Searches without type that the versions before and after a change are asked for; None for no such test.

    `passes_for_create` and `passes_for_delete` are the results of the tests where there is no version before
    or after the change.
    """

    previous: str | None
    passes_for_create: bool
    current: str | None
    passes_for_delete: bool
    requires_both: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """A kind of change of resources of one type; all that is given must be so."""

    resource_type: str
    interactions: frozenset[Interaction]
    query: QueryCriteria | None
    expression: str | None


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: events are what one of `triggers` says; `includes` come along with a focus, by its type."""

    url: str
    triggers: tuple[Trigger, ...]
    includes: Mapping[str, tuple[tuple[str, str], ...]]

    @property
    def types(self) -> tuple[str, ...]:
        """The types of resources that make events, each once."""
        return tuple(dict.fromkeys(each.resource_type for each in self.triggers))


def is_topic(resource: JsonObject) -> bool:
    """Say whether a Basic is a topic."""
    coding = resource.get("code", {}).get("coding", [])
    return any((each.get("system"), each.get("code")) == _CODE for each in coding)


def read_topic(resource: JsonObject) -> Topic | None:
    """Return the topic that a Basic describes, None for one that is not active or has no trigger."""
    elements: dict[str, list[JsonObject]] = {}
    for extension in (*resource.get("extension", ()), *resource.get("modifierExtension", ())):
        match = _ELEMENT.fullmatch(str(extension.get("url")))
        if match is not None:
            elements.setdefault(match[1], []).append(extension)
    url = _value(elements.get("url", ()))
    triggers = tuple(_trigger(each) for each in elements.get("resourceTrigger", ()))
    if _value(elements.get("status", ())) != "active" or not isinstance(url, str) or not triggers:
        return None
    return Topic(url, triggers, _includes(elements.get("notificationShape", ())))


@cache
def own_topics() -> Mapping[str, Topic]:
    """Return canonical -> topic of all that the server itself defines."""
    return topics_of(loads(each.read_bytes()) for each in _own_files())


def topics_of(resources: Iterable[JsonObject]) -> dict[str, Topic]:
    """Return canonical -> topic of Basics; of one canonical the last counts."""
    found = (read_topic(each) for each in resources if is_topic(each))
    return {each.url: each for each in found if each is not None}


def _own_files() -> list[Json]:
    folder = files("fhir_server.subscriptions") / "topics"
    return sorted(
        (each for each in folder.iterdir() if each.name.endswith(".json")), key=lambda each: each.name
    )


def _trigger(extension: JsonObject) -> Trigger:
    resource_type = str(_part(extension, "resource") or "").removeprefix(_DEFINITION)
    given = [_value([each]) for each in inner(extension, "supportedInteraction")]
    interactions = frozenset(_INTERACTIONS[each] for each in given if each in _INTERACTIONS)
    queries = inner(extension, "queryCriteria")
    expression = _part(extension, "fhirPathCriteria")
    return Trigger(
        resource_type,
        interactions or frozenset(_INTERACTIONS.values()),
        _query(queries[0], resource_type) if queries else None,
        str(expression) if expression is not None else None,
    )


def _query(extension: JsonObject, resource_type: str) -> QueryCriteria:
    def search(name: str) -> str | None:
        given = _part(extension, name)
        return None if given is None else str(given).removeprefix(f"{resource_type}?").removeprefix("?")

    return QueryCriteria(
        search("previous"),
        _part(extension, "resultForCreate") == "test-passes",
        search("current"),
        _part(extension, "resultForDelete") == "test-passes",
        _part(extension, "requireBoth") is True,
    )


def _includes(shapes: Iterable[JsonObject]) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for shape in shapes:
        resource_type = str(_part(shape, "resource") or "").removeprefix(_DEFINITION)
        listed = [
            (parameter, str(_value([each])))
            for name, parameter in (("include", "_include"), ("revInclude", "_revinclude"))
            for each in inner(shape, name)
        ]
        found[resource_type] = found.get(resource_type, ()) + tuple(listed)
    return found


def _part(extension: JsonObject, name: str) -> Json:
    return _value(inner(extension, name))


def _value(extensions: Iterable[JsonObject]) -> Json:
    """Return the value[x] of the first of `extensions`, None without one."""
    for extension in extensions:
        for key, value in extension.items():
            if key.startswith("value"):
                return value
        break
    return None
