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


@dataclass(frozen=True, slots=True)
class ContainedCursor:
    """The place behind what stands at `position` in the first container behind `behind`; -1 is itself."""

    behind: Cursor | None
    position: int


AnyCursor = Cursor | ContainedCursor


def encode(cursor: AnyCursor | IncludeCursor, search: str) -> str:
    """Return `cursor` as text for use with `search`, the canonical form of the search's parameters."""
    content = _content(cursor)
    return base64.urlsafe_b64encode(_checksum(content, search) + content).rstrip(b"=").decode()


def _content(cursor: AnyCursor | IncludeCursor) -> bytes:
    match cursor:
        case VersionCursor():
            return b"v" + cursor.at.to_bytes(8) + cursor.snapshot.pack()
        case IncludeCursor():
            return b"i" + zlib.compress(orjson.dumps([cursor.rids, cursor.after, cursor.following]))
        case ContainedCursor(behind, position):
            return b"c" + (position + 1).to_bytes(4) + (b"" if behind is None else _content(behind))
        case KeyCursor():
            return b"k" + orjson.dumps([cursor.rid, cursor.keys])


def decode(text: str, search: str) -> AnyCursor | IncludeCursor:
    """Return the cursor that `encode` wrote for `search`; raises MalformedSearchError for any other text."""
    refusal = MalformedSearchError("`_cursor` is not one that this search gave out", expression="_cursor")
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise refusal from error
    checksum, content = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if checksum != _checksum(content, search):
        raise refusal
    try:
        if content[:1] == b"i":
            rids, after, following = orjson.loads(zlib.decompress(content[1:]))
            return IncludeCursor(tuple(rids), after, following)
        if content[:1] == b"c":
            behind = _cursor(content[5:]) if content[5:] else None
            return ContainedCursor(behind, int.from_bytes(content[1:5]) - 1)
        return _cursor(content)
    except (ValueError, zlib.error) as error:
        raise refusal from error


def _cursor(content: bytes) -> Cursor:
    kind, rest = content[:1], content[1:]
    if kind == b"v":
        return VersionCursor(unpack(rest[8:]), int.from_bytes(rest[:8]))
    rid, keys = orjson.loads(rest)
    return KeyCursor(rid, tuple(keys))


def canonical_form(resource_type: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Return what identifies a search across its pages: all parameters but `_cursor` and `_count`."""
    kept = [(name, value) for name, value in parameters if name not in {"_cursor", "_count"}]
    return orjson.dumps([resource_type, kept]).decode()


def _checksum(content: bytes, search: str) -> bytes:
    return blake2b(content, key=blake2b(search.encode()).digest(), digest_size=_CHECKSUM_BYTES).digest()
