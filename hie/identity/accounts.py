"""Accounts: made, changed and found; their roles, and the Requester that a person is.

Not here: signing in (`hie.identity.sign_in`), the second factor (`hie.identity.second_factor`).
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete, exists
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, or_, select

from hie.core.access import Requester, Role
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError
from hie.core.security_errors import AccountError, PasswordError
from hie.identity import revocations
from hie.identity.passwords import hash_password
from hie.identity.rules import password_fault, role_fault
from hie.identity.tables import Account, AccountRole, Dependant, PortalSession

# What people type without a change of keyboard; "@" and "." so that a mail address will do.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,99}")
# Ids of FHIR resources, https://hl7.org/fhir/R4/datatypes.html#id
_ID: Final = re.compile(r"[A-Za-z0-9.-]{0,64}")


@dataclass(frozen=True, slots=True)
class Links:
    """The ids of the resources that an account's person is, works as, for and in; "" for none."""

    patient: str = ""
    practitioner: str = ""
    organization: str = ""
    department: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """An account with its roles."""

    account: Account
    roles: frozenset[Role]

    @property
    def fhir_user(self) -> str:
        """The relative reference that `fhirUser` is made of; "" where the account is no resource's.

        http://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
        """
        if self.account.practitioner_id:
            return f"Practitioner/{self.account.practitioner_id}"
        return f"Patient/{self.account.patient_id}" if self.account.patient_id else ""

    def limited(self, second_factor_roles: Collection[Role]) -> "Person":
        """Return the person as it may act: without any role while one of its roles waits for a second factor.

        Demonstration accounts, which only this machine reaches, are not held to it.
        """
        account = self.account
        waits = account.totp_confirmed_at is None and not account.is_demonstration
        if waits and not self.roles.isdisjoint(second_factor_roles):
            return Person(account, frozenset())
        return self

    def requester(self, *, session: str) -> Requester:
        """Return who asks when the person uses the portal; no scopes restrict it."""
        return Requester(
            "person",
            str(self.account.id),
            roles=self.roles,
            patient=self.account.patient_id,
            practitioner=self.account.practitioner_id,
            organization=self.account.organization_id,
            department=self.account.department_id,
            session=session,
        )


@dataclass(frozen=True, slots=True)
class PasswordRule:
    """What a new password must be (`hie.identity.rules.password_fault`)."""

    shortest: int
    blocked: frozenset[str] = frozenset()

    @classmethod
    def of(cls, shortest: int, blocklist: Path | None) -> "PasswordRule":
        """Return the rule with the passwords of the file `blocklist`, one a line."""
        if blocklist is None:
            return cls(shortest)
        return cls(shortest, frozenset(blocklist.read_text(encoding="utf-8").splitlines()))

    def check(self, password: str, account_name: str, display_name: str) -> None:
        """Raise PasswordError if `password` may not be that account's."""
        fault = password_fault(
            password,
            shortest=self.shortest,
            words=(account_name, account_name.partition("@")[0], display_name),
            blocked=self.blocked,
        )
        if fault is not None:
            raise PasswordError(fault)


def add_account(
    transaction: Transaction,
    name: str,
    *,
    roles: Iterable[Role],
    password: str,
    rule: PasswordRule,
    now: datetime,
    display_name: str = "",
    links: Links | None = None,
    is_demonstration: bool = False,
) -> Person:
    """Return a new account; raises AccountError and PasswordError."""
    folded = name.strip().lower()
    if not _NAME.fullmatch(folded):
        raise AccountError("An account's name has 2 to 100 of: small letters, digits, . _ @ -")
    rule.check(password, folded, display_name)
    links = links or Links()
    account = Account(
        id=uuid4(),
        name=folded,
        display_name=display_name.strip()[:100],
        password_hash=hash_password(password),
        password_changed_at=now,
        patient_id=_id(links.patient),
        practitioner_id=_id(links.practitioner),
        organization_id=_id(links.organization),
        department_id=_id(links.department),
        is_demonstration=is_demonstration,
        created_at=now,
    )
    held = frozenset(roles)
    _check_roles(held)
    if find_account(transaction, folded) is not None:
        raise AccountError(f"There is an account `{folded}` already")
    try:
        transaction.session.add(account)
        transaction.session.flush()
    except IntegrityError as error:
        raise AccountError(f"There is an account `{folded}` already") from error
    _add_roles(transaction, account.id, held)
    return Person(account, held)


def add_outside_account(
    transaction: Transaction, *, roles: Iterable[Role], links: Links, display_name: str, now: datetime
) -> Person:
    """Return a new account without a password: whoever it is signs in by a provider outside.

    Raises AccountError for roles that do not belong in one hand.
    """
    held = frozenset(roles)
    _check_roles(held)
    account_id = uuid4()
    account = Account(
        id=account_id,
        name=f"outside.{account_id.hex}",
        display_name=display_name.strip()[:100],
        patient_id=_id(links.patient),
        practitioner_id=_id(links.practitioner),
        organization_id=_id(links.organization),
        department_id=_id(links.department),
        created_at=now,
    )
    transaction.session.add(account)
    transaction.session.flush()
    _add_roles(transaction, account_id, held)
    return Person(account, held)


def find_account(transaction: Transaction, name: str) -> Person | None:
    """Return the account with that name, None where there is none."""
    folded = name.strip().lower()
    if not _NAME.fullmatch(folded):
        return None
    account = transaction.session.exec(select(Account).where(Account.name == folded)).first()
    return None if account is None else Person(account, _roles(transaction, account.id))


def person_of(transaction: Transaction, account_id: UUID) -> Person:
    """Return the account of that id; raises NotFoundError."""
    account = transaction.session.get(Account, account_id)
    if account is None:
        raise NotFoundError(f"There is no account {account_id}")
    return Person(account, _roles(transaction, account_id))


def list_accounts(transaction: Transaction) -> list[Person]:
    """Return all accounts by name."""
    held: dict[UUID, set[Role]] = {}
    for row in transaction.session.exec(select(AccountRole)):
        held.setdefault(row.account_id, set()).add(Role(row.role))
    rows = transaction.session.exec(select(Account).order_by(Account.name))
    return [Person(row, frozenset(held.get(row.id, ()))) for row in rows]


def set_roles(
    transaction: Transaction, account_id: UUID, roles: Iterable[Role], *, now: datetime, token_life: timedelta
) -> None:
    """Give the account exactly `roles`; what was granted under the old ones ends.

    Raises AccountError where two of them do not belong in one hand.
    """
    person = person_of(transaction, account_id)
    wanted = frozenset(roles)
    _check_roles(wanted)
    if wanted == person.roles:
        return
    transaction.session.connection().execute(
        delete(AccountRole).where(col(AccountRole.account_id) == account_id)
    )
    _add_roles(transaction, account_id, wanted)
    end_everything(transaction, account_id, now=now, token_life=token_life)


def set_links(
    transaction: Transaction, account_id: UUID, links: Links, *, now: datetime, token_life: timedelta
) -> None:
    """Make the account's person work as, for and in `links`; tokens under other ones end. Patients stay."""
    account = person_of(transaction, account_id).account
    wanted = (_id(links.practitioner), _id(links.organization), _id(links.department))
    if wanted == (account.practitioner_id, account.organization_id, account.department_id):
        return
    account.practitioner_id, account.organization_id, account.department_id = wanted
    transaction.session.add(account)
    end_everything(transaction, account_id, now=now, token_life=token_life)


def set_disabled(
    transaction: Transaction, account_id: UUID, *, is_disabled: bool, now: datetime, token_life: timedelta
) -> None:
    """Let the account sign in no more, or again; sessions and tokens that it has end."""
    account = person_of(transaction, account_id).account
    account.is_disabled = is_disabled
    transaction.session.add(account)
    end_everything(transaction, account_id, now=now, token_life=token_life)


def set_password(
    transaction: Transaction, account_id: UUID, password: str, *, rule: PasswordRule, now: datetime
) -> None:
    """Change the password; raises PasswordError. Sessions of the account end."""
    account = person_of(transaction, account_id).account
    rule.check(password, account.name, account.display_name)
    account.password_hash = hash_password(password)
    account.password_changed_at = now
    transaction.session.add(account)
    _end_sessions(transaction, account_id)


def end_everything(
    transaction: Transaction, account_id: UUID, *, now: datetime, token_life: timedelta
) -> None:
    """End the sessions of the account and revoke what it granted, access tokens included."""
    _end_sessions(transaction, account_id)
    revocations.revoke_account(transaction, account_id, now=now, token_life=token_life)


def patients_of(transaction: Transaction, person: Person, now: datetime) -> tuple[str, ...]:
    """Return the ids of the Patients that the person is or may act for, its own first."""
    statement = (
        select(Dependant.patient_id)
        .where(Dependant.account_id == person.account.id)
        .where(or_(col(Dependant.until).is_(None), col(Dependant.until) > now))
        .order_by(Dependant.patient_id)
    )
    own = (person.account.patient_id,) if person.account.patient_id else ()
    return tuple(dict.fromkeys((*own, *transaction.session.exec(statement))))


def is_anybody(transaction: Transaction, role: Role) -> bool:
    """Return whether an account that may sign in holds `role`."""
    statement = select(
        exists()
        .where(col(AccountRole.role) == role.value)
        .where(col(AccountRole.account_id) == col(Account.id))
        .where(~col(Account.is_disabled))
    )
    return bool(transaction.session.exec(statement).one())


def _roles(transaction: Transaction, account_id: UUID) -> frozenset[Role]:
    rows = transaction.session.exec(select(AccountRole.role).where(AccountRole.account_id == account_id))
    return frozenset(map(Role, rows))


def _check_roles(roles: Collection[Role]) -> None:
    fault = role_fault(roles)
    if fault is not None:
        raise AccountError(fault)


def _add_roles(transaction: Transaction, account_id: UUID, roles: Iterable[Role]) -> None:
    transaction.session.add_all(AccountRole(account_id=account_id, role=role.value) for role in sorted(roles))
    transaction.session.flush()


def _end_sessions(transaction: Transaction, account_id: UUID) -> None:
    transaction.session.connection().execute(
        delete(PortalSession).where(col(PortalSession.account_id) == account_id)
    )


def _id(given: str) -> str:
    if not _ID.fullmatch(given):
        raise AccountError(f"`{given[:64]}` is no id of a resource")
    return given
