"""Whose account a person of a provider is: found, linked, unlinked; the codes that a card desk links by."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col, select

from hie.core.access import Role
from hie.core.db.database import Transaction
from hie.core.security_errors import AccountError
from hie.identity.accounts import Links, Person, add_outside_account, person_of
from hie.identity.outside.tables import OutsideBinding, OutsideCode
from hie.identity.secrets import digest
from hie.identity.tables import Account, PortalSession

CODE_LIFE: Final = timedelta(minutes=30)
_CODE_DIGITS: Final = 10
_CITIZENS: Final = frozenset({Role.CITIZEN, Role.GUARDIAN})
_MOST_FAILURES: Final = 5


@dataclass(frozen=True, slots=True)
class Unlinked:
    """A person of a provider who is nobody's account: what its code was made for."""

    provider: str
    subject: str


def find(transaction: Transaction, provider: str, subject: str) -> Person | None:
    """Return whose account the person is, None where it is nobody's yet."""
    row = transaction.session.get(OutsideBinding, (provider, subject))
    return None if row is None else person_of(transaction, row.account_id)


def bind(
    transaction: Transaction, provider: str, subject: str, account_id: UUID, *, proof: str, now: datetime
) -> None:
    """Link the person to the account; raises AccountError where it is another account's already."""
    row = transaction.session.get(OutsideBinding, (provider, subject), with_for_update=True)
    if row is not None:
        if row.account_id != account_id:
            raise AccountError("This person of the provider is linked to another account")
        return
    transaction.session.add(
        OutsideBinding(provider=provider, subject=subject, account_id=account_id, proof=proof, bound_at=now)
    )
    transaction.session.flush()


def account_of_patient(transaction: Transaction, patient_id: str, *, now: datetime) -> Person:
    """Return the account of a citizen who is that Patient, a new one where there is none.

    An account that also works here is not a citizen's: whoever takes a person's phone gets no rights of work.
    """
    accounts = transaction.session.exec(
        select(Account)
        .where(Account.patient_id == patient_id)
        .order_by(col(Account.created_at), col(Account.id))
    )
    for account in list(accounts):
        person = person_of(transaction, account.id)
        if person.roles and person.roles <= _CITIZENS and not account.is_demonstration:
            return person
    return add_outside_account(
        transaction, roles=[Role.CITIZEN], links=Links(patient=patient_id), display_name="", now=now
    )


def of_account(transaction: Transaction, account_id: UUID) -> Sequence[OutsideBinding]:
    """Return what the account is linked to, the oldest first."""
    statement = (
        select(OutsideBinding)
        .where(OutsideBinding.account_id == account_id)
        .order_by(col(OutsideBinding.bound_at), col(OutsideBinding.provider))
    )
    return list(transaction.session.exec(statement))


def unbind(transaction: Transaction, account_id: UUID, provider: str, subject: str) -> bool:
    """End the link and the sessions that began by that provider; return whether there was one."""
    connection = transaction.session.connection()
    ended = connection.execute(
        delete(OutsideBinding)
        .where(col(OutsideBinding.provider) == provider)
        .where(col(OutsideBinding.subject) == subject)
        .where(col(OutsideBinding.account_id) == account_id)
    ).rowcount
    if ended:
        connection.execute(
            delete(PortalSession)
            .where(col(PortalSession.account_id) == account_id)
            .where(col(PortalSession.provider) == provider)
        )
    return bool(ended)


def make_code(
    transaction: Transaction, provider: str, subject: str, *, browser: str, proven: str, now: datetime
) -> str:
    """Return a new code for the person, its earlier ones end.

    `proven` is a digest that the provider vouched for, "" without one; the secret `browser` holds is asked
    for where the person proves the number itself.
    """
    transaction.session.connection().execute(
        delete(OutsideCode)
        .where(col(OutsideCode.provider) == provider)
        .where(col(OutsideCode.subject) == subject)
    )
    code = "".join(secrets.choice("0123456789") for _ in range(_CODE_DIGITS))
    transaction.session.add(
        OutsideCode(
            digest=digest(code),
            provider=provider,
            subject=subject,
            browser=digest(browser),
            proven=proven,
            expires_at=now + CODE_LIFE,
        )
    )
    transaction.session.flush()
    return code


def unlinked(transaction: Transaction, code: str, *, now: datetime) -> Unlinked | None:
    """Return whose code it is, None where it is nobody's (any more)."""
    row = transaction.session.get(OutsideCode, digest("".join(code.split())))
    return Unlinked(row.provider, row.subject) if row is not None and now < row.expires_at else None


def end_codes(transaction: Transaction, found: Unlinked) -> None:
    """End the codes of a person who is linked now."""
    transaction.session.connection().execute(
        delete(OutsideCode)
        .where(col(OutsideCode.provider) == found.provider)
        .where(col(OutsideCode.subject) == found.subject)
    )


def proven_by(
    transaction: Transaction, code: str, *, browser: str, digest_of_number: str, now: datetime
) -> Unlinked | None:
    """Return whose code it is where the provider vouched for the digest of the number, else None.

    After five wrong numbers the code has ended.
    """
    row = transaction.session.get(OutsideCode, digest(code), with_for_update=True)
    if row is None or now >= row.expires_at or not hmac.compare_digest(row.browser, digest(browser)):
        return None
    if not row.proven or row.failures >= _MOST_FAILURES:
        return None
    if hmac.compare_digest(row.proven.encode("ascii", "replace"), digest_of_number.encode("ascii")):
        return Unlinked(row.provider, row.subject)
    row.failures += 1
    transaction.session.add(row)
    return None
