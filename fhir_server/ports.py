"""What the store asks of the other parts of the repository."""

from collections.abc import Sequence
from typing import Protocol

from fhir_server.index.rows import IndexRows
from fhir_server.search.conditions import Condition
from fhir_server.search.facts import Facts
from fhir_server.search.sql import Sql
from hie.core.access import Filters
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject


class ResourceIndexer(Protocol):
    """Says what a resource can be found by."""

    def index(self, resource: JsonObject) -> IndexRows:
        """Return the index rows of `resource`."""
        ...


class ResourceSearch(Protocol):
    """Finds resources; `facts` are what is remembered of those that access rules ask for."""

    facts: Facts

    def rule(self, transaction: Transaction, resource_type: str, filters: Filters) -> Condition | None:
        """Return what `filters` let through of `resource_type`, the same object each time; None: all."""
        ...

    def selection(
        self,
        transaction: Transaction,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        *,
        filters: Filters | None = None,
    ) -> Sql:
        """Return a SELECT of (rid, seq), each once, of all that match and `filters` let through.

        Raises RequestError for a parameter that cannot be read.
        """
        ...
