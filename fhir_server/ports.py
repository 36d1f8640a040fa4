"""What the store asks of the other parts of the repository."""

from collections.abc import Sequence
from typing import Protocol

from fhir_server.index.rows import IndexRows
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject
from hie.core.ports import SearchPage


class ResourceIndexer(Protocol):
    """Says what a resource can be found by."""

    def index(self, resource: JsonObject) -> IndexRows:
        """Return the index rows of `resource`."""
        ...


class ResourceSearch(Protocol):
    """Finds resources."""

    def search(
        self, transaction: Transaction, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> SearchPage:
        """Return one page of ``resource_type?parameters``; raises RequestError for a bad one."""
        ...
