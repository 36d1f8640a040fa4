"""The envelope of one stored text: compressed, encrypted, and bound to its place.

    1 byte    format of the envelope, 1
    1 byte    cipher (`hie.core.crypto.aead.Algorithm`)
    1 byte    compression: 0 none, or the number of a dictionary (`hie.core.crypto.compression`)
    8 bytes   id of the data key, big-endian
    12 bytes  nonce
    n bytes   ciphertext
    16 bytes  tag

The first eleven bytes and the place are associated data: an envelope that is copied to another row or version
does not open. What it does not hide: that there is a text, and how long it is when compressed; who can choose
a part of a text and watch the length of what is stored can guess at the rest.
"""

import struct
from typing import Final, NamedTuple

from hie.core.crypto import compression
from hie.core.crypto.aead import NONCE_BYTES, TAG_BYTES, Aead, Algorithm, new_nonce
from hie.core.security_errors import CiphertextError

_HEADER: Final = struct.Struct(">BBBQ")
_FORMAT: Final = 1
_TEXT_AT: Final = _HEADER.size + NONCE_BYTES
OVERHEAD_BYTES: Final = _TEXT_AT + TAG_BYTES


class Place(NamedTuple):
    """Where a text is stored: the kind of thing (a resource type, ``journal``), its id and version."""

    kind: str
    id: str
    version: int


class DataKey(NamedTuple):
    """A key that seals texts, ready for use."""

    id: int
    algorithm: Algorithm
    cipher: Aead


def seal(key: DataKey, text: bytes, place: Place, *, dictionary: int = compression.R4) -> bytes:
    """Return the envelope of `text`, compressed with `dictionary` if it is one and makes it shorter."""
    used = compression.NONE
    if dictionary != compression.NONE:
        shorter = compression.compress(text, dictionary)
        if len(shorter) < len(text):
            text, used = shorter, dictionary
    header = _HEADER.pack(_FORMAT, key.algorithm, used, key.id)
    nonce = new_nonce()
    return header + nonce + key.cipher.seal(nonce, text, header + _bytes_of(place))


def key_id_of(envelope: bytes) -> int:
    """Return the id of the data key that opens `envelope`; raises CiphertextError for what is none."""
    return _header_of(envelope)[2]


def open_envelope(key: DataKey, envelope: bytes, place: Place) -> bytes:
    """Return the text; raises CiphertextError where it was not sealed with `key` for `place`."""
    algorithm, dictionary, key_id = _header_of(envelope)
    if key_id != key.id or algorithm != key.algorithm:
        raise CiphertextError(f"{_named(place)} is sealed with the data key {key_id}, not {key.id}")
    header, nonce, sealed = envelope[: _HEADER.size], envelope[_HEADER.size : _TEXT_AT], envelope[_TEXT_AT:]
    try:
        text = key.cipher.open(nonce, sealed, header + _bytes_of(place))
        return compression.decompress(text, dictionary) if dictionary else text
    except (CiphertextError, ValueError) as error:
        raise CiphertextError(f"{_named(place)} was changed where it is stored, or moved there") from error


def _header_of(envelope: bytes) -> tuple[int, int, int]:
    """Return cipher, compression and id of the data key."""
    if len(envelope) < OVERHEAD_BYTES:
        raise CiphertextError("What is stored is too short for an envelope")
    made_as, algorithm, dictionary, key_id = _HEADER.unpack_from(envelope)
    if made_as != _FORMAT or (dictionary and dictionary not in compression.DICTIONARIES):
        raise CiphertextError(f"What is stored is no envelope of format {_FORMAT}")
    return algorithm, dictionary, key_id


def _bytes_of(place: Place) -> bytes:
    """Return `place`, no two of them alike."""
    kind, name = place.kind.encode(), place.id.encode()
    return b"%d:%d:%d:%b%b" % (len(kind), len(name), place.version, kind, name)


def _named(place: Place) -> str:
    return f"`{place.kind}/{place.id}` version {place.version}"
