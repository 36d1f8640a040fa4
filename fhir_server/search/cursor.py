"""Where a page ended, as the opaque `_cursor` of a `next` link.

A cursor belongs to one search: it carries a checksum over the search's
parameters and its own content, so that one that was cut, edited or taken to
another search is refused. It is no secret and grants nothing: all in it is
compared with, never executed.
"""

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import orjson

from fhir_server.search.snapshot import Snapshot, unpack
from hie.core.errors import MalformedSearchError

_CHECKSUM_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class VersionCursor:
    """The place behind the version `at` in a search that is ordered by version."""

    snapshot: Snapshot
    at: int


@dataclass(frozen=True, slots=True)
class KeyCursor:
    """The place behind the row `rid` with the sort keys `keys`, as PostgreSQL writes them."""

    rid: int
    keys: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class IncludeCursor:
    """The place behind the row `after` (None: before the first) of what the matches `rids` bring along.

    `following` is the cursor of further matches.
    """

    rids: tuple[int, ...]
    after: int | None
    following: str | None


Cursor = VersionCursor | KeyCursor


def encode(cursor: Cursor | IncludeCursor, search: str) -> str:
    """Return `cursor` as text for use with `search`, the canonical form of the search's parameters."""
    if isinstance(cursor, VersionCursor):
        content = b"v" + cursor.at.to_bytes(8) + cursor.snapshot.pack()
    elif isinstance(cursor, IncludeCursor):
        content = b"i" + zlib.compress(orjson.dumps([cursor.rids, cursor.after, cursor.following]))
    else:
        content = b"k" + orjson.dumps([cursor.rid, cursor.keys])
    return base64.urlsafe_b64encode(_checksum(content, search) + content).rstrip(b"=").decode()


def decode(text: str, search: str) -> Cursor | IncludeCursor:
    """Return the cursor that `encode` wrote for `search`; raises MalformedSearchError for any other text."""
    refusal = MalformedSearchError("`_cursor` is not one that this search gave out", expression="_cursor")
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise refusal from error
    checksum, content = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if checksum != _checksum(content, search):
        raise refusal
    kind, rest = content[:1], content[1:]
    try:
        if kind == b"v":
            return VersionCursor(unpack(rest[8:]), int.from_bytes(rest[:8]))
        if kind == b"i":
            rids, after, following = orjson.loads(zlib.decompress(rest))
            return IncludeCursor(tuple(rids), after, following)
        rid, keys = orjson.loads(rest)
    except (ValueError, zlib.error) as error:
        raise refusal from error
    return KeyCursor(rid, tuple(keys))


def canonical_form(resource_type: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Return what identifies a search across its pages: all parameters but `_cursor` and `_count`."""
    kept = [(name, value) for name, value in parameters if name not in {"_cursor", "_count"}]
    return orjson.dumps([resource_type, kept]).decode()


def _checksum(content: bytes, search: str) -> bytes:
    return blake2b(content, key=blake2b(search.encode()).digest(), digest_size=_CHECKSUM_BYTES).digest()
