"""The cipher of stored texts: what a connection seals bodies and journal entries with, and opens them by.

A text that is sealed begins with the byte 1 (`hie.core.crypto.envelope`), JSON with ``{``: a column holds
both, so that encryption can be switched while a store is in use. Switched off, texts pass as they are, and
what is sealed still opens. Not here: which column holds what, and whose key a text is sealed with.

The cipher goes with the connection, since every statement that reads a stored text has one and few have more.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection

from hie.core.crypto.compression import R4
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.envelope import Place, key_id_of, open_envelope, seal
from hie.core.db.database import CIPHER
from hie.core.errors import ConfigurationError

SEALED: Final = b"\x01"
"""The first byte of an envelope."""

SYSTEM: Final = "system"
"""The scope of what is nobody's, or of several patients."""

DIGEST: Final = "digest"
"""The scope of the key of digests."""

# A range of the index of scopes, and the scope itself.
_IS_USED: Final = """
SELECT EXISTS (SELECT FROM data_key WHERE scope = 'system')
    OR EXISTS (SELECT FROM data_key WHERE scope >= 'Patient/' AND scope < 'Patient0')
"""


class Text(NamedTuple):
    """A text to seal: where it will stand, and the scope (`hie.core.crypto.data_keys`) that it goes with."""

    place: Place
    scope: str
    text: bytes


class Stored(NamedTuple):
    """A text as it is stored, sealed or not, and where."""

    place: Place
    text: bytes


class TextCipher:
    """Seals and opens texts with the data keys; safe to share between threads."""

    def __init__(self, keys: DataKeys, *, is_on: bool) -> None:
        """Take the keys, and whether new texts are sealed."""
        self.keys = keys
        self.is_on = is_on

    def seal(self, connection: Connection[tuple[Any, ...]], texts: Sequence[Text]) -> list[bytes]:
        """Return what is to be stored; the keys are held until the transaction of `connection` ends."""
        if not self.is_on:
            return [each.text for each in texts]
        keys = self.keys.hold(_Connected(connection), [each.scope for each in texts])
        return [seal(keys[each.scope], each.text, each.place, dictionary=R4) for each in texts]

    def open(self, connection: Connection[tuple[Any, ...]], stored: Sequence[Stored]) -> list[bytes]:
        """Return the texts; one statement at most, and none where all keys are known.

        Raises KeyDestroyedError where a key was destroyed, and CiphertextError for what was changed or moved.
        """
        ids = [key_id_of(each.text) if each.text.startswith(SEALED) else None for each in stored]
        keys = self.keys.of(_Connected(connection), {each for each in ids if each is not None})
        return [
            each.text if key_id is None else open_envelope(keys[key_id], each.text, each.place)
            for each, key_id in zip(stored, ids, strict=True)
        ]

    def prepare(self, connection: Connection[tuple[Any, ...]]) -> None:
        """Make the keys that all writers share, so that the first of them keeps no other waiting."""
        if self.is_on:
            self.keys.hold(_Connected(connection), [SYSTEM])
            self.digest_key(connection)

    def digest_key(self, connection: Connection[tuple[Any, ...]]) -> bytes:
        """Return the key of the digests that say whether a content is the stored one."""
        return self.keys.secret(_Connected(connection), DIGEST)

    def is_used(self, connection: Connection[tuple[Any, ...]]) -> bool:
        """Say whether anything may be sealed: whether there ever was a key of a patient or of SYSTEM."""
        return self.is_on or connection.execute(_IS_USED).fetchone() == (True,)


def cipher_of(connection: Connection[tuple[Any, ...]]) -> TextCipher | None:
    """Return the cipher that goes with `connection`; None where the database was opened without one."""
    found: TextCipher | None = vars(connection).get(CIPHER)
    return found


def seal_texts(connection: Connection[tuple[Any, ...]], texts: Sequence[Text]) -> list[bytes]:
    """Return what is to be stored in place of `texts`, as `TextCipher.seal`; as they are without a cipher."""
    cipher = cipher_of(connection)
    if cipher is None:
        return [each.text for each in texts]
    return cipher.seal(connection, texts)


def open_texts(connection: Connection[tuple[Any, ...]], stored: Sequence[Stored]) -> list[bytes]:
    """Return what was stored, as `TextCipher.open`; raises ConfigurationError where there is no cipher."""
    if not any(each.text.startswith(SEALED) for each in stored):
        return [each.text for each in stored]
    cipher = cipher_of(connection)
    if cipher is None:
        raise ConfigurationError("What is stored is encrypted, and this process has no keys")
    return cipher.open(connection, stored)


class _Connected(NamedTuple):
    """What the data keys need of a transaction."""

    connection: Connection[tuple[Any, ...]]
