"""Says what stored texts are to be changed into: sealed with the newest key of the suite, or plain.

For who goes over what is stored after encryption was switched on or off, after the suite was changed, or
after a scope got a new version of its key. Not here: which tables (`fhir_server.store.resealing`,
`hl7_gateway.resealing`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection

from hie.core.crypto.envelope import Place, key_id_of
from hie.core.crypto.text_cipher import SEALED, Stored, Text, TextCipher

# Scopes of keys that are not destroyed, and whether each is the one that seals with the cipher %s now.
_STATE: Final = """
SELECT d.id, d.scope, d.algorithm = %(algorithm)s AND NOT EXISTS (
    SELECT FROM data_key n WHERE n.scope = d.scope AND n.algorithm = d.algorithm
        AND n.wrapped IS NOT NULL AND n.version > d.version
)
FROM data_key d WHERE d.id = ANY(%(ids)s) AND d.wrapped IS NOT NULL
"""


class Found(NamedTuple):
    """A stored text, sealed or not, and its place."""

    place: Place
    text: bytes


def stale(
    connection: Connection[tuple[Any, ...]], cipher: TextCipher, envelopes: Sequence[bytes]
) -> Mapping[bytes, str]:
    """Return the scope of each of `envelopes` that is not as it should be and that a key still opens."""
    ids = {each: key_id_of(each) for each in envelopes}
    if not ids:
        return {}
    values = {"algorithm": int(cipher.keys.algorithm), "ids": list(set(ids.values()))}
    known = {row[0]: (row[1], row[2]) for row in connection.execute(_STATE, values)}
    return {
        envelope: known[key_id][0]
        for envelope, key_id in ids.items()
        if key_id in known and not (cipher.is_on and known[key_id][1])
    }


def reseal(
    connection: Connection[tuple[Any, ...]],
    cipher: TextCipher,
    found: Sequence[Found],
    scope: Callable[[int, bytes], str],
) -> Mapping[int, bytes]:
    """Return position -> what is to be stored in its place, of those that are not as they should be.

    `scope` says of a position and its text whose key it goes with, where no key does yet. What was sealed
    with a key that is destroyed is left out. The keys are held until the transaction of `connection` ends.
    """
    sealed = [at for at, each in enumerate(found) if each.text.startswith(SEALED)]
    scopes = stale(connection, cipher, [found[at].text for at in sealed])
    to_open = [at for at in sealed if found[at].text in scopes]
    opened = cipher.open(connection, [Stored(*found[at]) for at in to_open])
    texts = dict(zip(to_open, opened, strict=True))
    if not cipher.is_on:
        return texts
    wanted = {at: Text(found[at].place, scopes[found[at].text], text) for at, text in texts.items()}
    for at, each in enumerate(found):
        if not each.text.startswith(SEALED):
            wanted[at] = Text(each.place, scope(at, each.text), each.text)
    return dict(zip(wanted, cipher.seal(connection, list(wanted.values())), strict=True))
