"""Projects: somebody proposes one, the security officer approves it, and whoever takes part exports for it.

Each has a key of its own for its pseudonyms, sealed by `hie.core.crypto`; ending it destroys the key, so that
nobody can link what it was given any more. Every step stands in the audit trail.
"""

import os
from collections.abc import Iterable
from typing import Final, Protocol, get_args
from uuid import UUID, uuid4

from hie.core.access import Attempt, Requester, Role
from hie.core.audit.record import Record
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, ForbiddenError, NotFoundError, RequestError
from hie.core.ports import AccessPolicy
from hie.privacy import queries
from hie.privacy.deidentification import Dates
from hie.privacy.pseudonyms import KEY_BYTES
from hie.privacy.queries import Project

# https://terminology.hl7.org/CodeSystem-v3-ActReason.html: what may be done without knowing who it is.
PURPOSES: Final = ("HRESCH", "PUBHLTH", "HQUALIMP")
# Who may take part.
ROLES: Final = (Role.ANALYST, Role.PUBLIC_HEALTH_OFFICER)
_LONGEST: Final = 500
_LEAST_K: Final = 2
_REGIONS: Final = (0, 1, 2)
_MOST: Final = 200


class Seals(Protocol):
    """Seals small secrets (`hie.core.crypto.secret_box`)."""

    def wrap(self, secret: bytes, *, name: str) -> bytes:
        """Return `secret` sealed under `name`."""
        ...

    def unwrap(self, wrapped: bytes, *, name: str) -> bytes:
        """Return the secret; raises CiphertextError where it was sealed otherwise."""
        ...


class Projects:
    """The projects of this exchange."""

    def __init__(self, policy: AccessPolicy, seals: Seals, clock: Clock, *, least_k: int) -> None:
        """Take the policy that says who may, what seals keys, and the least k that a project may have."""
        self._policy = policy
        self._seals = seals
        self._clock = clock
        self.least_k = max(least_k, _LEAST_K)

    def propose(
        self,
        transaction: Transaction,
        *,
        title: str,
        reason: str,
        purpose: str,
        roles: Iterable[Role],
        k: int,
        dates: Dates = "year",
        regions: int = 2,
    ) -> UUID:
        """Propose a project and return its id; raises ForbiddenError, and RequestError for what is amiss."""
        requester = transaction.requester
        self._policy.decide(requester, Attempt("$propose-project", None))
        taking_part = tuple(dict.fromkeys(roles))
        title, reason = title.strip(), reason.strip()
        _check(purpose in PURPOSES, f"`{purpose}` is no purpose of a project: {', '.join(PURPOSES)}")
        _check(bool(taking_part) and set(taking_part) <= set(ROLES), "Analysts and public-health officers")
        _check(k >= self.least_k, f"k is {k}, at least {self.least_k} is asked for")
        _check(dates in get_args(Dates) and regions in _REGIONS, "Dates or regions are told in no such way")
        _check(0 < len(title) <= _LONGEST and 0 < len(reason) <= _LONGEST, "A project has title and reason")
        identity = uuid4()
        secret = self._seals.wrap(os.urandom(KEY_BYTES), name=_name(identity))
        now = self._clock.now()
        project = Project(
            identity, title, reason, purpose, taking_part, k, dates, regions, secret, requester.id, now
        )
        queries.insert(transaction, project)
        self._record(transaction, "propose-project", identity, purpose=purpose, k=k)
        return identity

    def approve(self, transaction: Transaction, identity: UUID) -> None:
        """Approve a project; raises ForbiddenError, also for who proposed it, and ConflictError."""
        requester = transaction.requester
        self._policy.decide(requester, Attempt("$approve-project", None))
        project = self._find(transaction, identity)
        if project.proposed_by == requester.id:
            raise ForbiddenError("Who proposed a project does not approve it")
        if not queries.approve(transaction, identity, requester.id, self._clock.now()):
            raise ConflictError(f"The project `{identity}` is {project.state}")
        self._record(transaction, "approve-project", identity)

    def end(self, transaction: Transaction, identity: UUID) -> None:
        """End a project and destroy the key of its pseudonyms; raises ForbiddenError and ConflictError."""
        self._policy.decide(transaction.requester, Attempt("$approve-project", None))
        project = self._find(transaction, identity)
        if not queries.end(transaction, identity, transaction.requester.id, self._clock.now()):
            raise ConflictError(f"The project `{identity}` is {project.state}")
        self._record(transaction, "end-project", identity)

    def all(self, transaction: Transaction) -> list[Project]:
        """Return the latest projects that the requester may see: who approves sees all."""
        found = queries.latest(transaction, _MOST)
        if self.may_approve(transaction.requester):
            return found
        return [each for each in found if takes_part(each, transaction.requester)]

    def one(self, transaction: Transaction, identity: UUID) -> Project:
        """Return the project; raises NotFoundError for one that the requester has no part in."""
        project = self._find(transaction, identity)
        if takes_part(project, transaction.requester) or self.may_approve(transaction.requester):
            return project
        raise _unknown(identity)

    def used(self, transaction: Transaction, identity: UUID) -> Project:
        """Return the project to export for; raises ForbiddenError unless it is approved for the requester."""
        self._policy.decide(transaction.requester, Attempt("$de-identify", None))
        project = self.one(transaction, identity)
        if not takes_part(project, transaction.requester):
            raise ForbiddenError(f"The project `{identity}` is for others")
        if project.state != "approved":
            raise ForbiddenError(f"The project `{identity}` is {project.state}, not approved")
        return project

    def key(self, project: Project) -> bytes:
        """Return the key of the project's pseudonyms; raises ConflictError once it is destroyed."""
        if project.secret is None:
            raise ConflictError(
                f"The project `{project.id}` has ended, and the key of its pseudonyms is gone"
            )
        return self._seals.unwrap(project.secret, name=_name(project.id))

    def may_approve(self, requester: Requester) -> bool:
        """Say whether the requester is one who approves projects."""
        return self._may(requester, "$approve-project")

    def may_propose(self, requester: Requester) -> bool:
        """Say whether the requester is one who proposes projects."""
        return self._may(requester, "$propose-project")

    def _may(self, requester: Requester, code: str) -> bool:
        try:
            self._policy.decide(requester, Attempt(code, None))
        except ForbiddenError:
            return False
        return True

    def _find(self, transaction: Transaction, identity: UUID) -> Project:
        project = queries.find(transaction, identity)
        if project is None:
            raise _unknown(identity)
        return project

    def _record(self, transaction: Transaction, what: str, identity: UUID, **detail: str | int) -> None:
        record = Record(
            "page",
            what,
            "E",
            transaction.requester,
            self._clock.now(),
            target=f"project/{identity}",
            patients=(),
            detail={name: str(value) for name, value in detail.items()},
        )
        transaction.record(record)


def takes_part(project: Project, requester: Requester) -> bool:
    """Say whether the requester may export for the project, or proposed it; systems take part in all."""
    if requester.kind != "person":
        return True
    return bool(set(project.roles) & requester.roles)


def _name(identity: UUID) -> str:
    return f"project/{identity}"


def _check(is_right: bool, message: str) -> None:  # noqa: FBT001 - a condition
    if not is_right:
        raise RequestError(message)


def _unknown(identity: UUID) -> NotFoundError:
    return NotFoundError(f"There is no project `{identity}`")
