"""Signing in with name and password, then a code; or with a link that does it once.

Nothing here tells whether there is an account: failures are counted under the name that was typed, the wait
after them is the same, an unknown name costs a hash as a known one does, and the answer is one sentence.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from hie.core.clock import Clock
from hie.core.db.database import Database, Transaction
from hie.identity import second_factor, sessions
from hie.identity.accounts import PasswordRule, Person, find_account, person_of, set_password
from hie.identity.passwords import is_password
from hie.identity.rules import wait_after
from hie.identity.secrets import digest, new_secret
from hie.identity.sessions import Lifetimes, NewSession
from hie.identity.tables import PortalSession, SignInLink
from hie.identity.wrapping import Wrapper

LINK_LIFE: Final = timedelta(hours=24)

# The attempt is counted before anything is looked at: of a hundred at once no more get through than of a
# hundred one after the other.
_BEGIN: Final = """
INSERT INTO identity_sign_in_failure (digest, failures, last_at) VALUES (%s, 0, %s)
ON CONFLICT (digest) DO NOTHING
"""
_LOCK: Final = "SELECT failures, last_at FROM identity_sign_in_failure WHERE digest = %s FOR UPDATE"
_COUNT: Final = "UPDATE identity_sign_in_failure SET failures = %s, last_at = %s WHERE digest = %s"
_CLEAR: Final = "DELETE FROM identity_sign_in_failure WHERE digest = %s"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an attempt: let in, asked for the second factor, refused, or told to wait.

    `session` is there for the first two, `wait` is how long the last is. `person` is whose account it is, for
    the audit trail alone: a page that showed it would tell whether there is one.
    """

    outcome: Literal["complete", "second-factor", "refused", "wait"]
    session: NewSession | None = None
    wait: timedelta = timedelta(0)
    person: Person | None = None


class SignIn:
    """Signs people in. Each method has transactions of its own: what it counted stays, whatever follows."""

    def __init__(self, database: Database, wrapper: Wrapper, clock: Clock, lifetimes: Lifetimes) -> None:
        """Take how long sessions live."""
        self._database = database
        self._wrapper = wrapper
        self._clock = clock
        self._lifetimes = lifetimes

    def by_password(self, name: str, password: str) -> Answer:
        """Return what comes of `name` and `password`."""
        now = self._clock.now()
        subject = _subject("password", name.strip().lower())
        wait = self._count(subject, now)
        if wait:
            return Answer("wait", wait=wait)
        with self._database.transaction() as transaction:
            person = find_account(transaction, name)
        is_right = is_password(person.account.password_hash if person else "", password)
        if person is None or not is_right or person.account.is_disabled:
            return Answer("refused", person=person)
        with self._database.transaction() as transaction:
            transaction.connection.execute(_CLEAR, (subject,))
            return self._begin(transaction, person, ("pwd",), now)

    def by_code(self, session: PortalSession, code: str) -> Answer:
        """Return what comes of the second factor's `code` in a session that waits for it."""
        now = self._clock.now()
        subject = _subject("code", str(session.account_id))
        wait = self._count(subject, now)
        if wait:
            return Answer("wait", wait=wait)
        with self._database.transaction() as transaction:
            if session.is_complete or not second_factor.is_code(
                transaction, session.account_id, code, wrapper=self._wrapper, now=now
            ):
                return Answer("refused")
            person = person_of(transaction, session.account_id)
            if person.account.is_disabled:
                return Answer("refused")
            transaction.connection.execute(_CLEAR, (subject,))
            self._end(transaction, session)
            begun = sessions.begin(
                transaction,
                session.account_id,
                methods=(*session.methods, "otp", "mfa"),
                is_complete=True,
                lifetimes=self._lifetimes,
                now=now,
                provider=session.provider,
            )
        return Answer("complete", begun, person=person)

    def by_link(self, secret: str) -> Answer:
        """Return what comes of a link; the second use of one is refused."""
        now = self._clock.now()
        with self._database.transaction() as transaction:
            row = transaction.connection.execute(
                "DELETE FROM identity_sign_in_link WHERE digest = %s RETURNING account_id, expires_at",
                (digest(secret),),
            ).fetchone()
            if row is None or now >= row[1]:
                return Answer("refused")
            person = person_of(transaction, row[0])
            if person.account.is_disabled:
                return Answer("refused")
            return self._begin(transaction, person, ("link",), now)

    def by_outside(self, transaction: Transaction, person: Person, provider: str) -> Answer:
        """Return what comes of a person whom `provider`, outside, knows to be that account's."""
        if person.account.is_disabled:
            return Answer("refused", person=person)
        return self._begin(transaction, person, ("external",), self._clock.now(), provider=provider)

    def change_password(self, account_id: UUID, old: str, new: str, rule: PasswordRule) -> Answer:
        """Return a new session after the password was changed; raises PasswordError for a bad new one."""
        now = self._clock.now()
        with self._database.transaction() as transaction:
            person = person_of(transaction, account_id)
        subject = _subject("password", person.account.name)
        wait = self._count(subject, now)
        if wait:
            return Answer("wait", wait=wait)
        if not is_password(person.account.password_hash, old):
            return Answer("refused")
        with self._database.transaction() as transaction:
            transaction.connection.execute(_CLEAR, (subject,))
            set_password(transaction, account_id, new, rule=rule, now=now)
            begun = sessions.begin(
                transaction,
                account_id,
                methods=("pwd",),
                is_complete=True,
                lifetimes=self._lifetimes,
                now=now,
            )
        return Answer("complete", begun)

    def _begin(
        self,
        transaction: Transaction,
        person: Person,
        methods: tuple[str, ...],
        now: datetime,
        *,
        provider: str = "",
    ) -> Answer:
        needs_code = second_factor.is_set_up(person.account)
        begun = sessions.begin(
            transaction,
            person.account.id,
            methods=methods,
            is_complete=not needs_code,
            lifetimes=self._lifetimes,
            now=now,
            provider=provider,
        )
        return Answer("second-factor" if needs_code else "complete", begun, person=person)

    def _count(self, subject: bytes, now: datetime) -> timedelta:
        """Return how long `subject` must wait still; where it need not, the attempt is counted."""
        with self._database.transaction() as transaction:
            connection = transaction.connection
            connection.execute(_BEGIN, (subject, now))
            row = connection.execute(_LOCK, (subject,)).fetchone()
            failures, last_at = row or (0, now)
            left: timedelta = last_at + wait_after(failures) - now
            if failures and left > timedelta(0):
                return left
            connection.execute(_COUNT, (failures + 1, now, subject))
        return timedelta(0)

    def _end(self, transaction: Transaction, session: PortalSession) -> None:
        transaction.connection.execute("DELETE FROM identity_session WHERE digest = %s", (session.digest,))


def make_link(
    transaction: Transaction, account_id: UUID, *, now: datetime, life: timedelta = LINK_LIFE
) -> str:
    """Return the secret of a link that signs the account in once, within `life`."""
    secret = new_secret()
    transaction.session.add(SignInLink(digest=digest(secret), account_id=account_id, expires_at=now + life))
    transaction.session.flush()
    return secret


def _subject(kind: str, name: str) -> bytes:
    return digest(f"{kind} {name}")
