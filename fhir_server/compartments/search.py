"""Compartment search: what belongs to one patient, encounter, device, practitioner or related person.

https://hl7.org/fhir/R4/http.html#vsearch, https://hl7.org/fhir/R4/compartmentdefinition.html. It is a
search of one type, or of all (``*``), whose matches are narrowed to members of the compartment; what they
include and are chained through is not. A compartment of a resource that is not there is empty.
"""

from collections.abc import Sequence
from typing import Final

from fhir_server.compartments.definitions import Compartment, load_compartments
from fhir_server.interactions.server import Server
from fhir_server.search.bundle import searchset
from fhir_server.store.identity import check_id, type_number
from hie.core.access import Filters, Readable
from hie.core.db.database import Transaction
from hie.core.errors import UnknownResourceTypeError

ALL_TYPES: Final = "*"


def compartment_search(
    server: Server,
    transaction: Transaction,
    owner: tuple[str, str],
    resource_type: str,
    parameters: Sequence[tuple[str, str]],
    *,
    is_lenient: bool = False,
) -> bytes:
    """Return a page of the members of type `resource_type` of the compartment of `owner` (type, id).

    Raises UnknownResourceTypeError where there is no such compartment or the type is none of its, and
    what a search raises.
    """
    compartment = compartment_of(owner[0])
    check_id(owner[1])
    searched = "" if resource_type == ALL_TYPES else resource_type
    if searched:
        type_number(searched)
    if searched and searched not in compartment.types:
        raise UnknownResourceTypeError(f"No {searched} belongs to the compartment of a {compartment.code}")
    answer = server.repository.answer(
        transaction, searched, parameters, is_lenient=is_lenient, within=members_of(compartment, owner[1])
    )
    path = f"{owner[0]}/{owner[1]}/{resource_type}"
    return searchset(answer.page, path, answer.query.applied, server.base_url, answer.issues)


def compartment_of(name: str) -> Compartment:
    """Return the kind of compartment that is named after the type `name`; raises UnknownResourceTypeError."""
    compartment = load_compartments().get(name)
    if compartment is None:
        raise UnknownResourceTypeError(f"There are no compartments of {name}")
    return compartment


def members_of(compartment: Compartment, resource_id: str) -> Filters:
    """Return the search parameters, by type, of what belongs to the compartment of `resource_id`."""

    def members(resource_type: str) -> Readable:
        target = f"{compartment.code}/{resource_id}"
        alternatives = [((code, target),) for code in compartment.parameters_of(resource_type)]
        if resource_type == compartment.code:
            alternatives.append((("_id", resource_id),))
        return Readable(tuple(alternatives))

    return members
