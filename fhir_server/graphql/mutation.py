"""Mutations: ``PatientCreate(res)``, ``PatientUpdate(id, res)`` and ``PatientDelete(id)``.

https://hl7.org/fhir/R4/graphql.html#mutations. Those of one request stand in one transaction and are done in
the order in which they are written.
"""

from dataclasses import dataclass
from typing import Literal, cast

from fhir_server.graphql.document import Field
from fhir_server.interactions.server import Server
from fhir_server.store.identity import check_id
from fhir_server.transaction.entry import Operation, check_body_id
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, loads
from hie.core.fhir.structure import resource_types
from hie.core.language_errors import GraphQLError

Action = Literal["Create", "Update", "Delete"]
_ARGUMENTS: dict[Action, frozenset[str]] = {
    "Create": frozenset({"res"}),
    "Update": frozenset({"id", "res"}),
    "Delete": frozenset({"id"}),
}


@dataclass(frozen=True, slots=True)
class Mutation:
    """What a field of a mutation does, to which type of resource."""

    resource_type: str
    action: Action


def mutation_of(name: str) -> Mutation | None:
    """Return the mutation that a field names, None for no mutation."""
    for action in _ARGUMENTS:
        if name.endswith(action) and name.removesuffix(action) in resource_types():
            return Mutation(name.removesuffix(action), action)
    return None


def check_mutation(field: Field, mutation: Mutation) -> None:
    """Raise GraphQLError unless `field` has the arguments of its mutation and selects what it returns."""
    wanted = _ARGUMENTS[mutation.action]
    if set(field.arguments) != wanted:
        raise GraphQLError(
            f"`{field.name}` has the arguments {' and '.join(f'`{each}`' for each in sorted(wanted))}",
            place=field.place,
        )
    if "id" in wanted and not isinstance(field.arguments["id"], (str, int)):
        raise GraphQLError("`id` is not an id", place=field.place)
    if "res" in wanted and not isinstance(field.arguments["res"], dict):
        raise GraphQLError("`res` is not a resource", place=field.place)
    if mutation.action == "Delete" and field.selections:
        raise GraphQLError(f"`{field.name}` returns nothing to select from", place=field.place)


def mutate(field: Field, mutation: Mutation, server: Server, transaction: Transaction) -> JsonObject | None:
    """Do the mutation; return the resource as it is stored, None for a deletion.

    Raises what the interaction of that name raises.
    """
    repository = server.repository
    operation = Operation("POST", type=mutation.resource_type)
    if "id" in field.arguments:
        operation.id = check_id(str(field.arguments["id"]))
        operation.method = "DELETE" if mutation.action == "Delete" else "PUT"
    if "res" in field.arguments:
        given = dict(field.arguments["res"])
        given.setdefault("resourceType", mutation.resource_type)
        if operation.id is not None:
            given.setdefault("id", operation.id)
        operation.resource = repository.checked(given, mutation.resource_type)
    if operation.method == "PUT":
        check_body_id(operation)
    made = repository.apply_one(transaction, operation)
    body = server.body_of(transaction, made)
    if body is None:
        return None
    return cast("JsonObject", loads(body))
