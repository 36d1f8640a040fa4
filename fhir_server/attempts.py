"""What is attempted with one stored resource, in the words of the access policy (`hie.core.access`)."""

from fhir_server.store.read import last_content
from hie.core.access import Attempt
from hie.core.db.database import Transaction


def attempt_on(transaction: Transaction, interaction: str, resource_type: str, resource_id: str) -> Attempt:
    """Return the attempt at a resource, whose last content is read if the policy asks for it."""
    connection = transaction.connection
    return Attempt(
        interaction,
        resource_type,
        resource_id,
        read_stored=lambda: last_content(connection, resource_type, resource_id),
    )
