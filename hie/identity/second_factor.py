"""The second factor: TOTP (https://www.rfc-editor.org/rfc/rfc6238) and codes for when the phone is lost.

A code is taken once (RFC 6238, 5.2), and in the step before or after as well, since clocks differ.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import pyotp
import segno
from sqlalchemy import delete
from sqlmodel import col

from hie.core.db.database import Transaction
from hie.core.security_errors import SignInError
from hie.identity.accounts import person_of
from hie.identity.secrets import digest
from hie.identity.tables import Account, RecoveryCode
from hie.identity.wrapping import Wrapper

ISSUER: Final = "HIE"
RECOVERY_CODES: Final = 10
_STEP_SECONDS: Final = 30
_STEPS: Final = (-1, 0, 1)
# 50 bits each: with ten guesses before an hour's wait, enough for centuries.
_RECOVERY_SIGNS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_RECOVERY_LENGTH: Final = 10


def is_set_up(account: Account) -> bool:
    """Return whether the account signs in with a second factor."""
    return account.totp_confirmed_at is not None


def begin_set_up(transaction: Transaction, account_id: UUID, *, wrapper: Wrapper) -> str:
    """Return the ``otpauth:`` URI of a new secret, which counts once `confirm` has seen a code of it."""
    account = _locked(transaction, account_id)
    if is_set_up(account):
        raise SignInError("A second factor is set up already")
    secret = pyotp.random_base32()
    account.totp_secret = wrapper.wrap(secret.encode(), name=_name(account_id))
    account.totp_step = 0
    transaction.session.add(account)
    return pyotp.TOTP(secret).provisioning_uri(name=account.name, issuer_name=ISSUER)


def pending_set_up(account: Account, *, wrapper: Wrapper) -> str | None:
    """Return the ``otpauth:`` URI of a secret that waits for its first code, None where none does."""
    if account.totp_secret is None or is_set_up(account):
        return None
    secret = wrapper.unwrap(account.totp_secret, name=_name(account.id)).decode()
    return pyotp.TOTP(secret).provisioning_uri(name=account.name, issuer_name=ISSUER)


def confirm(
    transaction: Transaction, account_id: UUID, code: str, *, wrapper: Wrapper, now: datetime
) -> list[str] | None:
    """Return recovery codes, to be shown once, if `code` is of the new secret; None if it is not."""
    if not _take(transaction, account_id, code, wrapper=wrapper, now=now):
        return None
    account = person_of(transaction, account_id).account
    account.totp_confirmed_at = now
    transaction.session.add(account)
    return _new_recovery_codes(transaction, account_id)


def is_code(
    transaction: Transaction, account_id: UUID, code: str, *, wrapper: Wrapper, now: datetime
) -> bool:
    """Return whether `code` is the account's present one, or a recovery code; it is used up then."""
    plain = "".join(code.split()).replace("-", "").lower()
    if plain.isdecimal() and plain.isascii():
        return _take(transaction, account_id, plain, wrapper=wrapper, now=now)
    used = transaction.session.connection().execute(
        delete(RecoveryCode)
        .where(col(RecoveryCode.account_id) == account_id)
        .where(col(RecoveryCode.digest) == digest(plain))
    )
    return used.rowcount == 1


def remove(transaction: Transaction, account_id: UUID) -> None:
    """Take the second factor away, as the system administrator does for somebody who lost all of it."""
    account = _locked(transaction, account_id)
    account.totp_secret = None
    account.totp_confirmed_at = None
    account.totp_step = 0
    transaction.session.add(account)
    _delete_recovery_codes(transaction, account_id)


def picture(uri: str) -> str:
    """Return the QR code of `uri` as an SVG element; no script, no style, nothing to fetch."""
    return segno.make(uri, error="m").svg_inline(
        scale=5, border=2, svgclass="qr", lineclass=None, omitsize=False
    )


def _take(transaction: Transaction, account_id: UUID, code: str, *, wrapper: Wrapper, now: datetime) -> bool:
    """Return whether `code` belongs to a step that no code was taken of before, and remember the step."""
    account = _locked(transaction, account_id)
    if account.totp_secret is None:
        return False
    generator = pyotp.TOTP(wrapper.unwrap(account.totp_secret, name=_name(account_id)).decode())
    for offset in _STEPS:
        moment = now + timedelta(seconds=offset * _STEP_SECONDS)
        step = int(moment.timestamp()) // _STEP_SECONDS
        if secrets.compare_digest(generator.at(moment), code) and step > account.totp_step:
            account.totp_step = step
            transaction.session.add(account)
            transaction.session.flush()
            return True
    return False


def _new_recovery_codes(transaction: Transaction, account_id: UUID) -> list[str]:
    _delete_recovery_codes(transaction, account_id)
    codes = [
        "".join(secrets.choice(_RECOVERY_SIGNS) for _ in range(_RECOVERY_LENGTH))
        for _ in range(RECOVERY_CODES)
    ]
    transaction.session.add_all(RecoveryCode(account_id=account_id, digest=digest(code)) for code in codes)
    transaction.session.flush()
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _delete_recovery_codes(transaction: Transaction, account_id: UUID) -> None:
    transaction.session.connection().execute(
        delete(RecoveryCode).where(col(RecoveryCode.account_id) == account_id)
    )


def _locked(transaction: Transaction, account_id: UUID) -> Account:
    """Return the account, held against others until the transaction ends: a code is taken once."""
    account = person_of(transaction, account_id).account
    transaction.session.refresh(account, with_for_update=True)
    return account


def _name(account_id: UUID) -> str:
    return f"TOTP secret {account_id}"
