"""Has the messages of the journal be as the settings say: sealed, or plain; by batches.

Each batch locks its rows and changes only what is not so yet. What was stored plain goes with the key of the
one Patient among the versions that it made. A message whose key was destroyed stays as it is.
"""

from collections.abc import Sequence
from typing import Final

from psycopg.types.json import Jsonb

from hie.core.crypto.resealing import stale
from hie.core.crypto.text_cipher import SYSTEM, TextCipher
from hie.core.db.database import Transaction
from hl7_gateway.journal_envelopes import Kept, Message, envelopes, opened

_READ: Final = """
SELECT id, digest, raw, is_sealed, details, error, report, resources FROM journal
WHERE id > %s ORDER BY id LIMIT %s FOR NO KEY UPDATE
"""
_SET: Final = """
UPDATE journal SET raw = %s, is_sealed = %s, details = %s, error = %s, report = %s WHERE id = %s
"""


class JournalResealing:
    """Goes over the journal, as `fhir_server.bulk.resealing.Table` does."""

    def __init__(self, cipher: TextCipher) -> None:
        """Take the cipher."""
        self._cipher = cipher

    def __call__(
        self, transaction: Transaction, place: list[int], count: int
    ) -> tuple[int, int, list[int] | None]:
        """Go over the next `count` messages behind the id in `place`, [] at the beginning.

        Returns the messages seen, those changed, and the next place, None at the end.
        """
        connection = transaction.connection
        rows = connection.execute(_READ, (place[0] if place else 0, count)).fetchall()
        scopes = stale(connection, self._cipher, [row[2] for row in rows if row[3]])
        changed: list[tuple[int, Kept]] = []
        messages: list[tuple[int, Message]] = []
        for identity, digest, raw, is_sealed, details, error, report, resources in rows:
            if (raw not in scopes) if is_sealed else not self._cipher.is_on:
                continue
            plain = opened(connection, digest, Kept(raw, is_sealed, details, error, report))
            if not self._cipher.is_on:
                changed.append((identity, plain))
                continue
            scope = scopes[raw] if is_sealed else _scope(resources or ())
            messages.append((identity, Message(digest, scope, plain.raw, plain.error, plain.report)))
        made = envelopes(connection, [message for _, message in messages])
        changed += [(identity, kept) for (identity, _), kept in zip(messages, made, strict=True)]
        with connection.cursor() as cursor:
            cursor.executemany(_SET, [_columns(identity, kept) for identity, kept in changed])
        return len(rows), len(changed), [rows[-1][0]] if len(rows) == count else None


def _columns(identity: int, kept: Kept) -> tuple[object, ...]:
    error, report = (None if each is None else Jsonb(each) for each in (kept.error, kept.report))
    return kept.raw, kept.is_sealed, kept.details, error, report, identity


def _scope(resources: Sequence[str]) -> str:
    patients = {each.split("/_history/")[0] for each in resources if each.startswith("Patient/")}
    return patients.pop() if len(patients) == 1 else SYSTEM
