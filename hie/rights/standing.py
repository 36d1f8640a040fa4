"""Who asks: a person about the own record or that of a ward, a desk, or the laboratory's anybody.

Whose record a person may ask about the access policy says: the Patient must be readable to it as a citizen or
guardian, whatever else it may read at work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from hie.core.access import SYSTEM, Requester, Role
from hie.core.db.database import Transaction
from hie.core.errors import ForbiddenError
from hie.core.smart_scopes import ANY_TYPE, LETTERS, resource_scopes
from hie.rights import rules
from hie.rights.rules import Kind

_PERSONS: Final = frozenset({Role.CITIZEN, Role.GUARDIAN})
OFFICERS: Final = frozenset({Role.SECURITY_OFFICER})


@dataclass(frozen=True, slots=True)
class Standing:
    """What requesters may do about rights; with `is_laboratory` (HIE_AUTH=off) nobody known may do all."""

    is_laboratory: bool = False

    def is_anybody(self, requester: Requester) -> bool:
        """Say whether nobody is known and nobody need be."""
        return self.is_laboratory and requester.kind == "anonymous"

    def require_person(self, requester: Requester) -> None:
        """Raise ForbiddenError unless a citizen or guardian asks, in person or by an app of full reach."""
        if self.is_anybody(requester):
            return
        if requester.kind != "person" or not requester.roles & _PERSONS:
            raise ForbiddenError("Rights are exercised by citizens and guardians in person")
        _require_reach(requester)

    def require_desk(self, requester: Requester, kind: Kind | None = None) -> frozenset[Kind]:
        """Return the kinds of requests that the requester works; raises ForbiddenError if not `kind`."""
        if self.is_anybody(requester):
            return frozenset(Kind)
        kinds: frozenset[Kind] = frozenset()
        if requester.kind == "person":
            kinds = frozenset(each for each in Kind if rules.may_work(each, requester.roles))
        if not kinds or (kind is not None and kind not in kinds):
            raise ForbiddenError("Requests are worked by the card desk and the security officer")
        _require_reach(requester)
        return kinds

    def require_officer(self, requester: Requester) -> None:
        """Raise ForbiddenError unless a security officer asks."""
        if self.is_anybody(requester):
            return
        if requester.kind != "person" or not requester.roles & OFFICERS:
            raise ForbiddenError("The register of processing is the security officer's")
        _require_reach(requester)


@contextmanager
def as_oneself(transaction: Transaction) -> Iterator[None]:
    """Have a person read inside the block what is its own or its wards', and nothing of its work."""
    who = transaction.requester
    narrowed = who
    if who.kind == "person":
        narrowed = replace(who, roles=who.roles & _PERSONS, practitioner="", organization="", department="")
    with on_behalf(transaction, narrowed):
        yield


@contextmanager
def as_system(transaction: Transaction) -> Iterator[None]:
    """Have the server itself ask inside the block."""
    with on_behalf(transaction, SYSTEM):
        yield


@contextmanager
def on_behalf(transaction: Transaction, requester: Requester) -> Iterator[None]:
    """Have `requester` ask inside the block."""
    before = transaction.requester
    transaction.requester = requester
    try:
        yield
    finally:
        transaction.requester = before


def name_of(requester: Requester) -> str:
    """Return the account that asks, as it stands in a history."""
    return requester.id or requester.kind


def _require_reach(requester: Requester) -> None:
    """Raise ForbiddenError for an application that was not granted all that the person may do.

    No SMART scope is about rights (http://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html),
    and what is asked here has effects beyond any resource type.
    """
    if requester.scopes is None:
        return
    if any(
        each.resource_type == ANY_TYPE and each.permissions == LETTERS and not each.parameters
        for each in resource_scopes(requester.scopes)
    ):
        return
    raise ForbiddenError("The application was not granted full access, which rights need")
