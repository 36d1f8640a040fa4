"""transaction and batch: https://hl7.org/fhir/R4/http.html#transaction.

A transaction is one group of operations, applied whole or not at all; the entries
of a batch are a group each. GET entries are answered after all writes.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from fhir_server.interactions import get
from fhir_server.interactions.answer import json_answer, response_entry, write_outcome
from fhir_server.interactions.negotiation import check_format, preferred_return, read_body
from fhir_server.interactions.server import Server
from fhir_server.transaction.entry import Operation, read_entries, read_operation
from fhir_server.transaction.plan import Outcome
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, operation_outcome
from hie.core.fhir.json import JsonObject, dumps, loads


def mount(router: APIRouter, server: Server) -> None:
    """Add ``POST [base]``."""

    async def body(request: Request) -> bytes:
        return await read_body(request, server.max_body_bytes)

    @router.post("/", name="transaction or batch")
    @router.post("", name="transaction or batch")
    def bundle(request: Request, text: Annotated[bytes, Depends(body)]) -> Response:
        check_format(request)
        given = loads(text, has_unique_names=False)
        entries = read_entries(given, ("transaction", "batch"))
        run = transaction_entries if given["type"] == "transaction" else batch_entries
        preference = preferred_return(request) if "prefer" in request.headers else "minimal"

        def work(transaction: Transaction) -> bytes:
            answers = run(server, transaction, entries, preference)
            kind = f"{given['type']}-response"
            return dumps({"resourceType": "Bundle", "type": kind, "entry": answers})

        return json_answer(request, server.run(work))


def transaction_entries(
    server: Server, transaction: Transaction, entries: Sequence[JsonObject], preference: str
) -> list[JsonObject]:
    """Return the response entries of a transaction, in request order; raises what fails it."""
    operations = [
        read_operation(entry, position, server.repository.check) for position, entry in enumerate(entries)
    ]
    writes = [operation for operation in operations if operation.method != "GET"]
    (result,) = server.repository.apply(transaction, [writes])
    if isinstance(result, ExchangeError):
        raise result
    outcomes = iter(result)
    return [
        get.answer(server, transaction, operation)
        if operation.method == "GET"
        else _write_entry(server, transaction, next(outcomes), preference)
        for operation in operations
    ]


def batch_entries(
    server: Server, transaction: Transaction, entries: Sequence[JsonObject], preference: str
) -> list[JsonObject]:
    """Return the response entries of a batch, in request order; an entry that fails says why."""
    answers: list[JsonObject] = [{}] * len(entries)
    operations: dict[int, Operation] = {}
    for position, entry in enumerate(entries):
        try:
            operations[position] = read_operation(entry, position, server.repository.check)
        except ExchangeError as error:
            answers[position] = _error_entry(error)
    writes = [position for position, operation in operations.items() if operation.method != "GET"]
    results = server.repository.apply(transaction, [[operations[position]] for position in writes])
    for position, result in zip(writes, results, strict=True):
        if isinstance(result, ExchangeError):
            answers[position] = _error_entry(result)
        else:
            answers[position] = _write_entry(server, transaction, result[0], preference)
    for position, operation in operations.items():
        if operation.method == "GET":
            try:
                answers[position] = get.answer(server, transaction, operation)
            except ExchangeError as error:
                answers[position] = _error_entry(error)
    return answers


def _write_entry(server: Server, transaction: Transaction, made: Outcome, preference: str) -> JsonObject:
    if preference == "representation":
        return response_entry(made, server.body_of(transaction, made))
    entry = response_entry(made)
    if preference == "OperationOutcome":
        entry["response"]["outcome"] = write_outcome(made)
    return entry


def _error_entry(error: ExchangeError) -> JsonObject:
    status = HTTPStatus(error.status)
    response = {"status": f"{status.value} {status.phrase}", "outcome": operation_outcome(error)}
    return {"response": response}
