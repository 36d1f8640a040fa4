"""Criteria of subscriptions and topics: searches, compiled to conditions on one resource.

``Observation?code=http://loinc.org|1975-2`` without the base, https://hl7.org/fhir/R4/subscription.html.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from fhir_server.index.indexer import Indexer
from fhir_server.search.conditions import Condition
from fhir_server.search.look_up import LookUp
from fhir_server.search.parse import Parser
from fhir_server.store.identity import TYPE_NUMBER
from hie.core.errors import MalformedSearchError, UnknownResourceTypeError
from hie.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions, all of which a resource of `resource_type` must satisfy."""

    resource_type: str
    conditions: tuple[Condition, ...]


class CriteriaReader:
    """Compiles criteria by the search parameters that resources are indexed by now."""

    def __init__(self, indexer: Indexer, settings: Settings) -> None:
        """Take what resources are indexed with, and the base URL and zone of the settings."""
        self.indexer = indexer
        self._parser = Parser(
            indexer,
            base_url=settings.base_url,
            zone=settings.zone,
            page_size=settings.page_size,
            page_size_limit=settings.page_size_limit,
        )

    def read(self, text: str, now: datetime, look_up: LookUp | None = None) -> Criteria:
        """Return the conditions of ``Type?name=value&...``; `now` is what "ap" of dates is relative to.

        `look_up` answers what values refer to (value sets, hierarchies); without it such values
        are errors. Parameters that say how a search answers are without effect. Raises RequestError.
        """
        resource_type, mark, query = text.partition("?")
        if resource_type not in TYPE_NUMBER:
            raise UnknownResourceTypeError(f"`{resource_type}` is not a resource type of FHIR R4")
        return self.conditions(resource_type, query if mark else "", now, look_up)

    def conditions(
        self, resource_type: str, query: str, now: datetime, look_up: LookUp | None = None
    ) -> Criteria:
        """Return the conditions of ``name=value&...`` on resources of `resource_type`, as `read`."""
        if any("=" not in each for each in query.split("&") if each):
            raise MalformedSearchError(f"`{query}` is not name=value&name=value")
        parameters = parse_qsl(query, keep_blank_values=True)
        parsed = self._parser.parse(resource_type, parameters, now, look_up=look_up)
        return Criteria(resource_type, parsed.conditions)
