"""What tests of the store read back: bodies, statuses, outcomes."""

from fhir_server.service import Repository
from hie.core.db.database import Database
from hie.core.errors import ExchangeError, operation_outcome
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import TransactionResult


def body(database: Database, repository: Repository, resource_type: str, resource_id: str) -> JsonObject:
    with database.transaction() as transaction:
        stored = repository.read(transaction, resource_type, resource_id)
    assert stored.body is not None
    read = loads(stored.body)
    assert read["meta"]["versionId"] == str(stored.version)
    milliseconds = f"{stored.last_updated:%Y-%m-%dT%H:%M:%S}.{stored.last_updated.microsecond // 1000:03d}Z"
    assert read["meta"]["lastUpdated"] == milliseconds
    assert stored.last_updated.microsecond % 1000 == 0
    return dict(read)


def statuses(result: TransactionResult) -> list[tuple[int, str, int, bool]]:
    assert result.error is None
    return [(each.status, each.type, each.version, each.is_changed) for each in result.entries]


def outcome(result: TransactionResult) -> JsonObject:
    assert isinstance(result.error, ExchangeError)
    assert result.entries == ()
    return operation_outcome(result.error)


def error_outcome(code: str, diagnostics: str, expression: str) -> JsonObject:
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics, "expression": [expression]}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
