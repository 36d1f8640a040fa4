"""Who may see which page of the audit trail, and the names of those who stand in it."""

from collections.abc import Iterable, Sequence
from typing import Final

from fastapi import Request

from hie.core.access import Requester, Role
from hie.core.audit.queries import Found
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, ForbiddenError
from hie.core.fhir.json import JsonObject
from hie.core.ports import ResourceStore
from hie.portal.access_words import references_of
from hie.portal.searches import any_of, every

AUDITORS: Final = frozenset({Role.AUDITOR, Role.SECURITY_OFFICER})
OFFICERS: Final = frozenset({Role.SECURITY_OFFICER})


def require_role(request: Request, roles: frozenset[Role]) -> None:
    """Raise ForbiddenError unless the reader has one of `roles`; without authentication there are none."""
    requester: Requester | None = getattr(request.state, "requester", None)
    if requester is not None and not (requester.kind == "person" and requester.roles & roles):
        raise ForbiddenError(f"This page is for the roles {', '.join(sorted(roles))}")


def own_patient(request: Request, asked: str) -> str:
    """Return the id of the Patient that the reader is; without authentication the one that is `asked` for.

    Raises ForbiddenError for who is nobody's Patient.
    """
    requester: Requester | None = getattr(request.state, "requester", None)
    if requester is None:
        return asked
    if requester.kind != "person" or not requester.patient:
        raise ForbiddenError("This page is for citizens, about their own record")
    return requester.patient


def names(transaction: Transaction, store: ResourceStore, found: Iterable[Found]) -> dict[str, str]:
    """Return the names of the Practitioners and Organizations of records that the reader may read."""
    references = list(dict.fromkeys(each for one in found for each in references_of(one)))
    made: dict[str, str] = {}
    for kind in ("Practitioner", "Organization"):
        ids = [each.partition("/")[2] for each in references if each.startswith(f"{kind}/")]
        made |= {f"{kind}/{each['id']}": _name(each) for each in _read(transaction, store, kind, ids)}
    return made


def _read(
    transaction: Transaction, store: ResourceStore, kind: str, ids: Sequence[str]
) -> Sequence[JsonObject]:
    if not ids:
        return ()
    try:
        return list(every(transaction, store, kind, [("_id", any_of(ids)), ("_count", "200")]))
    except ExchangeError:
        return ()  # who may not read them sees accounts in place of names


def _name(resource: JsonObject) -> str:
    name = resource.get("name")
    if isinstance(name, str):
        return name
    first: JsonObject = next(iter(name or ()), {})
    return str(first.get("text") or "".join([first.get("family", ""), *first.get("given", ())]))
