"""Which Patient somebody is, by an identifier that was proven, in the repository.

Hospitals have a Patient each for one person. Those with the same identifier are one person where their birth
dates do not differ; of them the one that was changed last is who signs in. Linking the others is not done
here.
"""

from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import ResourceStore
from hie.core.security_errors import OutsideIdentityError
from hie.portal.searches import escape

_MOST = 50


class StoredPatients:
    """Patients of the repository: `hie.identity.outside.entry.Patients`."""

    def __init__(self, store: ResourceStore) -> None:
        """Take the repository."""
        self._store = store

    def with_identifier(self, transaction: Transaction, system: str, value: str) -> str | None:
        """Return the id of the Patient, None without one; raises OutsideIdentityError for several people."""
        found = self.all_with(transaction, f"{escape(system)}|{escape(value)}")
        dates = {str(each["birthDate"]) for each in found if "birthDate" in each}
        if len(dates) > 1:
            raise OutsideIdentityError(
                "The identifier leads to several people; a card desk can say who it is"
            )
        return str(found[0]["id"]) if found else None

    def all_with(self, transaction: Transaction, identifier: str) -> list[JsonObject]:
        """Return the Patients in use with the identifier (a value of the search parameter), newest first."""
        page = self._store.search(
            transaction,
            "Patient",
            [("identifier", identifier), ("_sort", "-_lastUpdated"), ("_count", str(_MOST))],
        )
        read = [loads(entry.resource.body) for entry in page.entries if entry.resource.body is not None]
        return [each for each in read if _is_in_use(each)]


def _is_in_use(resource: JsonObject) -> bool:
    """Return whether the Patient is active and not replaced by another (Patient.link)."""
    is_replaced = any(link.get("type") == "replaced-by" for link in resource.get("link", ()))
    return (
        resource.get("resourceType") == "Patient" and resource.get("active") is not False and not is_replaced
    )
