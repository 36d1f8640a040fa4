"""The entries of a transaction or batch Bundle, answered: https://hl7.org/fhir/R4/http.html#transaction.

A transaction is one group of operations, applied whole or not at all; the entries
of a batch are a group each. What operations (``$``) are called by POST runs after all writes,
GET entries are answered last.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from http import HTTPStatus

from fhir_server.interactions import get
from fhir_server.interactions.answer import response_entry, write_outcome
from fhir_server.interactions.server import Server
from fhir_server.transaction.entry import Operation, read_entries, read_operation
from fhir_server.transaction.plan import Outcome
from hie.core.audit.trail import Step
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, PayloadTooLargeError, TimedOutError, operation_outcome
from hie.core.fhir.json import Json, JsonObject, dumps


def read_bundle(server: Server, given: Json) -> list[JsonObject]:
    """Return the entries of a transaction or batch; raises RequestError, also for too many."""
    entries = read_entries(given, ("transaction", "batch"))
    if len(entries) > server.max_bundle_entries:
        raise PayloadTooLargeError(
            f"The Bundle has {len(entries)} entries, more than {server.max_bundle_entries}",
            expression="Bundle.entry",
        )
    return entries


def bundle_answer(
    server: Server, transaction: Transaction, given: JsonObject, preference: str, *, is_lenient: bool = True
) -> bytes:
    """Return the JSON of the answer to `given`, a transaction or batch; raises what fails it.

    `preference` is what ``Prefer: return=`` says. With `is_lenient`, search parameters that are not known are
    named in the answer to their entry, as they are in that to a search of its own, and not refused.
    """
    entries = read_bundle(server, given)
    run = transaction_entries if given["type"] == "transaction" else batch_entries
    answers = run(server, transaction, entries, preference, is_lenient=is_lenient)
    answer: JsonObject = {"resourceType": "Bundle", "type": f"{given['type']}-response"}
    if answers:
        answer["entry"] = answers
    return dumps(answer)


def transaction_entries(
    server: Server,
    transaction: Transaction,
    entries: Sequence[JsonObject],
    preference: str,
    *,
    is_lenient: bool,
) -> list[JsonObject]:
    """Return the response entries of a transaction, in request order; raises what fails it."""
    operations = [
        read_operation(entry, position, server.repository.check, base_url=server.base_url)
        for position, entry in enumerate(entries)
    ]
    writes = [each for each in operations if each.is_write]
    outcomes = iter(server.repository.apply_whole(transaction, writes))
    answers: list[JsonObject] = [
        _write_entry(server, transaction, next(outcomes), preference) if each.is_write else {}
        for each in operations
    ]
    for position in _afterwards(operations):
        answers[position] = get.answer(server, transaction, operations[position], is_lenient=is_lenient)
    return answers


def batch_entries(
    server: Server,
    transaction: Transaction,
    entries: Sequence[JsonObject],
    preference: str,
    *,
    is_lenient: bool,
) -> list[JsonObject]:
    """Return the response entries of a batch, in request order; an entry that fails says why."""
    answers: list[JsonObject] = [{}] * len(entries)
    operations: dict[int, Operation] = {}
    for position, entry in enumerate(entries):
        try:
            operations[position] = read_operation(
                entry, position, server.repository.check, base_url=server.base_url
            )
        except ExchangeError as error:
            answers[position] = _error_entry(error)
            transaction.note(Step("batch", "E", status=error.status, error=type(error).__name__))
    writes = [position for position, operation in operations.items() if operation.is_write]
    results = server.repository.apply(transaction, [[operations[position]] for position in writes])
    for position, result in zip(writes, results, strict=True):
        if isinstance(result, ExchangeError):
            answers[position] = _error_entry(result)
        else:
            answers[position] = _write_entry(server, transaction, result[0], preference)
    for position in _afterwards(operations):
        operation = operations[position]
        try:
            # What a failed operation wrote before is undone; a read writes nothing.
            with transaction.connection.transaction() if operation.is_call else nullcontext():
                answers[position] = get.answer(server, transaction, operation, is_lenient=is_lenient)
        except TimedOutError:
            raise  # the database has given up the whole transaction
        except ExchangeError as error:
            answers[position] = _error_entry(error)
    return answers


def _afterwards(operations: Sequence[Operation] | Mapping[int, Operation]) -> list[int]:
    """Return the positions of the entries that are answered after the writes, in the order of doing."""
    given = operations.items() if isinstance(operations, Mapping) else enumerate(operations)
    rest = [(not operation.is_call, position) for position, operation in given if not operation.is_write]
    return [position for _, position in sorted(rest)]


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
