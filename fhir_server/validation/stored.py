"""StructureDefinitions, ValueSets and CodeSystems that clients stored in the repository.

Read on a connection of its own: a profile may be asked for in the middle of a transaction, and only
what is committed defines anything. Implements `ConformanceResources`.
"""

from fhir_server.search.service import SearchService
from fhir_server.store.newest import newest_change
from fhir_server.validation.conformance import CONFORMANCE_TYPES, ConformanceResources, ConformanceType
from hie.core.db.database import Database, Transaction
from hie.core.fhir.json import JsonObject, loads


class StoredResources(ConformanceResources):
    """Finds conformance resources by their search parameters `url` and `version`."""

    def __init__(self, database: Database, search: SearchService) -> None:
        """Take a database of its own, one connection wide; it is connected when first asked."""
        self._database = database
        self._search = search

    def generation(self) -> int:
        """Return the number of the latest change of any conformance resource."""
        with self._database.transaction() as transaction:
            return newest_change(transaction.connection, CONFORMANCE_TYPES)

    def find(self, resource_type: ConformanceType, canonical: str) -> JsonObject | None:
        """Return the stored resource of `canonical`; where no version is named, an active one, the latest."""
        url, _, version = canonical.partition("|")
        with self._database.transaction() as transaction:
            found = self._of_url(transaction, resource_type, url)
        if version:
            found = [resource for resource in found if resource.get("version") == version]
        return max(found, key=lambda each: each.get("status") == "active", default=None)

    def _of_url(self, transaction: Transaction, resource_type: str, url: str) -> list[JsonObject]:
        # commas separate values in a search
        wanted = url.replace("\\", "\\\\").replace(",", "\\,")
        page = self._search.search(transaction, resource_type, [("url", wanted), ("_count", "50")])
        return [loads(entry.resource.body) for entry in page.entries if entry.resource.body is not None]
