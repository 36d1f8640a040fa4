"""The statements about requests and their steps. Each works in the caller's transaction."""

from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from hie.core.access import Requester
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError
from hie.core.fhir.json import dumps
from hie.rights.requests import RequestStep, RightsRequest, Wanted, correction_of
from hie.rights.rules import OPEN, Kind, State

_COLUMNS: Final[LiteralString] = "id, kind, patient, account, requester, state, made_at, due_at, details, job"

_INSERT: Final[LiteralString] = """
INSERT INTO rights_request (id, kind, patient, subject, account, requester, state, made_at, due_at, details)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (patient, kind, subject) WHERE state IN ('requested', 'accepted') DO NOTHING
"""

_STEP: Final[LiteralString] = """
INSERT INTO rights_step (request, number, action, state, at, by, ground, remark)
SELECT %(request)s, coalesce(max(number), 0) + 1, %(action)s, %(state)s, %(at)s, %(by)s, %(ground)s,
    %(remark)s
FROM rights_step WHERE request = %(request)s
"""

_LIST: Final[LiteralString] = f"""
SELECT {_COLUMNS} FROM rights_request
WHERE (%(account)s::text IS NULL OR account = %(account)s)
  AND (%(states)s::text[] = '{{}}' OR state = ANY(%(states)s))
  AND (%(kinds)s::text[] = '{{}}' OR kind = ANY(%(kinds)s))
  AND (%(overdue_at)s::timestamptz IS NULL
       OR due_at < %(overdue_at)s AND state IN ('requested', 'accepted'))
  AND (%(before_at)s::timestamptz IS NULL OR (made_at, id) < (%(before_at)s, %(before_id)s))
ORDER BY made_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - our columns


def add(transaction: Transaction, request: RightsRequest) -> bool:
    """Store a new request; return False where one about the same is open."""
    subject = request.correction.subject if request.correction is not None else ""
    made = transaction.connection.execute(
        _INSERT,
        (
            request.id,
            request.kind,
            request.patient,
            subject,
            request.account,
            Jsonb(request.requester.as_json(), dumps=dumps),
            request.state,
            request.made_at,
            request.due_at,
            Jsonb(request.details, dumps=dumps),
        ),
    )
    return made.rowcount == 1


def read(transaction: Transaction, identity: UUID, *, is_locked: bool = False) -> RightsRequest:
    """Return one request, with `is_locked` held until the transaction ends; raises NotFoundError."""
    lock: LiteralString = " FOR UPDATE" if is_locked else ""
    row = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM rights_request WHERE id = %s{lock}",  # noqa: S608 - our columns
        (identity,),
    ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no request `{identity}`")
    return _request(row)


def newest(transaction: Transaction, wanted: Wanted, *, limit: int) -> list[RightsRequest]:
    """Return requests that are `wanted`, the newest first."""
    rows = transaction.connection.execute(
        _LIST,
        {
            "account": wanted.account,
            "states": sorted(wanted.states),
            "kinds": sorted(wanted.kinds),
            "overdue_at": wanted.overdue_at,
            "before_at": wanted.before[0] if wanted.before else None,
            "before_id": wanted.before[1] if wanted.before else None,
            "limit": limit,
        },
    )
    return [_request(row) for row in rows]


def counts(transaction: Transaction, now: datetime) -> tuple[int, int]:
    """Return how many requests are open, and how many of them overdue at `now`."""
    row = transaction.connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE due_at < %s) FROM rights_request"
        " WHERE state IN ('requested', 'accepted')",
        (now,),
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def change(transaction: Transaction, request: RightsRequest) -> None:
    """Have a stored request be `request`."""
    transaction.connection.execute(
        "UPDATE rights_request SET state = %s, details = %s, job = %s WHERE id = %s",
        (request.state, Jsonb(request.details, dumps=dumps), request.job or None, request.id),
    )


def forget(transaction: Transaction, patient: str) -> None:
    """Forget what was written in the requests about the record of `patient`."""
    transaction.connection.execute(
        "UPDATE rights_request SET details = NULL, subject = '' WHERE patient = %s AND NOT state = ANY(%s)",
        (patient, sorted(OPEN)),
    )


def open_about(transaction: Transaction, patient: str, besides: UUID) -> list[UUID]:
    """Return the open requests about the record of `patient` other than the one with the id `besides`."""
    rows = transaction.connection.execute(
        "SELECT id FROM rights_request WHERE patient = %s AND id <> %s AND state = ANY(%s) FOR UPDATE",
        (patient, besides, sorted(OPEN)),
    )
    return [row[0] for row in rows]


def add_step(
    transaction: Transaction,
    request: UUID,
    *,
    action: str,
    state: State,
    at: datetime,
    by: str,
    ground: str = "",
    remark: str = "",
) -> None:
    """Add the next step of a request, which the caller holds."""
    transaction.connection.execute(
        _STEP,
        {
            "request": request,
            "action": action,
            "state": state,
            "at": at,
            "by": by,
            "ground": ground or None,
            "remark": remark,
        },
    )


def steps(transaction: Transaction, request: UUID) -> list[RequestStep]:
    """Return the steps of a request in order."""
    rows = transaction.connection.execute(
        "SELECT number, action, state, at, by, coalesce(ground, ''), remark FROM rights_step"
        " WHERE request = %s ORDER BY number",
        (request,),
    )
    return [RequestStep(row[0], row[1], State(row[2]), *row[3:]) for row in rows]


def _request(row: tuple[Any, ...]) -> RightsRequest:
    identity, kind, patient, account, requester, state, made_at, due_at, details, job = row
    details = details or {}
    return RightsRequest(
        identity,
        Kind(kind),
        patient,
        account,
        Requester.from_json(requester),
        State(state),
        made_at,
        due_at,
        details.get("reason", ""),
        details.get("statement", ""),
        correction_of(details),
        job or "",
    )
