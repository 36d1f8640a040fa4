"""One GraphQL request, from its text to the JSON of its answer.

https://hl7.org/fhir/R4/graphql.html. Works in the caller's transaction; what it reads and writes goes through
the repository. Knows nothing of HTTP.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.graphql.check import check_name, check_search, check_selections
from fhir_server.graphql.document import Document, Field, Selection, fields_of, read_document
from fhir_server.graphql.execution import PLAIN, Execution, collected, focus_on
from fhir_server.graphql.fields import TYPE_NAME, search_of
from fhir_server.graphql.introspection import introspected, is_introspection
from fhir_server.graphql.limits import Limits
from fhir_server.graphql.loader import Loader, Pending
from fhir_server.graphql.mutation import Mutation, check_mutation, mutate, mutation_of
from fhir_server.graphql.output import Output
from fhir_server.interactions.server import Server
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, MethodNotAllowedError, NotFoundError, outcome
from hie.core.fhir.json import Json, JsonObject, loads
from hie.core.fhir.structure import resource_types
from hie.core.language_errors import GraphQLError


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks: the document, which of its operations, and the values of variables."""

    query: str
    operation: str | None = None
    variables: Mapping[str, Json] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """The resource at which ``[type]/[id]/$graphql`` is called."""

    resource_type: str
    resource_id: str


def answer(
    request: Request,
    server: Server,
    transaction: Transaction,
    *,
    instance: Instance | None = None,
    may_write: bool = False,
) -> JsonObject:
    """Return the answer to `request` at `instance`, or at the system.

    Raises GraphQLError for a document that cannot be executed, NotFoundError, InvalidReferenceError and the
    errors of searches and writes. Mutations are refused unless `may_write`.
    """
    limits = server.graphql
    document = read_document(request.query, limits, operation=request.operation, variables=request.variables)
    if is_introspection(document):
        return introspected(request.query, request.operation, request.variables)
    loader = Loader(server, transaction, limits)
    if document.kind == "mutation":
        return {"data": _mutated(document, loader, limits, is_allowed=may_write and instance is None)}
    if instance is not None:
        stored = server.repository.read(transaction, instance.resource_type, instance.resource_id)
        resource: JsonObject = loads(stored.body or b"null")
        check_selections(document.selections, frozenset({instance.resource_type}))
        return {"data": _executed(document.selections, resource, loader, limits)}
    for each in fields_of(document.selections):
        _check_root(each)
    return {"data": _executed(document.selections, None, loader, limits)}


def errors(error: ExchangeError) -> JsonObject:
    """Return the answer to a request that failed: an error with its OperationOutcome for each issue.

    https://hl7.org/fhir/R4/graphql.html#errors
    """
    place = error.place if isinstance(error, GraphQLError) else None
    found = []
    for issue in error.issues:
        entry: JsonObject = {"message": issue.message}
        if place is not None:
            entry["locations"] = [{"line": place[0], "column": place[1]}]
        entry["extensions"] = {"resource": outcome([issue])}
        found.append(entry)
    return {"data": None, "errors": found}


def _check_root(field: Field) -> None:
    search = search_of(field.name)
    if search is not None:
        check_search(field, search.resource_type, is_connection=search.form == "Connection")
    elif field.name in resource_types():
        check_name(field)
        _id_of(field)
        check_selections(field.selections, frozenset({field.name}))
    elif field.name != TYPE_NAME:
        raise GraphQLError(
            f"`{field.name}` is no query: Patient, PatientList and PatientConnection are, and so on",
            place=field.place,
        )


def _id_of(field: Field) -> str:
    """Return the id of the one resource that `field` reads: `id` in R4, `_id` in later releases."""
    given = list(field.arguments.items())
    if len(given) == 1 and given[0][0] in ("id", "_id") and isinstance(given[0][1], (str, int)):
        return str(given[0][1])
    raise GraphQLError(
        f"`{field.name}` has one argument, `id`; use {field.name}List to search", place=field.place
    )


def _executed(
    selections: tuple[Selection, ...], resource: JsonObject | None, loader: Loader, limits: Limits
) -> JsonObject:
    while True:
        execution, output = Execution(loader, limits), Output()
        if resource is not None:
            execution.select(focus_on(resource), selections, output, PLAIN)
        else:
            for field in collected(selections, "Query"):
                _root(field, execution, loader, output)
        if not loader.is_waiting:
            return output.rendered()
        loader.load()


def _root(field: Field, execution: Execution, loader: Loader, output: Output) -> None:
    search = search_of(field.name)
    if search is not None:
        execution.search(field, search, None, output, PLAIN)
        return
    if field.name == TYPE_NAME:
        output.add(field.key, "string", "Query", field.place, is_list=False)
        return
    resource_id = _id_of(field)
    found = loader.resource((field.name, resource_id, None))
    if found is None:
        raise NotFoundError(f"`{field.name}/{resource_id}` does not exist")
    if not isinstance(found, Pending):
        execution.objects([focus_on(found)], field.name, field, output, PLAIN, is_list=False)


def _mutated(document: Document, loader: Loader, limits: Limits, *, is_allowed: bool) -> JsonObject:
    """Do all mutations, then return what is selected of their results."""
    if not is_allowed:
        raise MethodNotAllowedError("A mutation is sent by POST, to the $graphql of the system")
    steps: list[tuple[Field, Mutation]] = []
    for field in fields_of(document.selections):
        mutation = mutation_of(field.name)
        if mutation is None:
            raise GraphQLError(f"`{field.name}` is no mutation", place=field.place)
        check_mutation(field, mutation)
        check_selections(field.selections, frozenset({mutation.resource_type}))
        steps.append((field, mutation))
    made = [mutate(field, mutation, loader.server, loader.transaction) for field, mutation in steps]
    while True:
        execution, output = Execution(loader, limits), Output()
        for (field, mutation), resource in zip(steps, made, strict=True):
            if resource is None or not field.selections:
                output.add(field.key, "boolean", None, field.place, is_list=False)
            else:
                foci = [focus_on(resource)]
                execution.objects(foci, mutation.resource_type, field, output, PLAIN, is_list=False)
        if not loader.is_waiting:
            return output.rendered()
        loader.load()
