"""PostgreSQL arrays in binary form, for set-based writes.

psycopg adapts a list element by element in Python; a column of a thousand
integers costs it a millisecond. These wrappers pack a whole column in one
`struct` call. Not for reading, and one dimension without nulls except where
said (https://www.postgresql.org/docs/current/arrays.html; wire form:
src/backend/utils/adt/arrayfuncs.c, array_recv).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from struct import Struct, pack
from typing import ClassVar

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from fhir_server.index.rows import OPEN_END, OPEN_START

# Microseconds that timestamptz counts from 2000-01-01; its ends stand for -infinity and infinity
# (src/include/datatype/timestamp.h).
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MINUS_INFINITY = -(2**63)
_INFINITY = 2**63 - 1

_CHUNK = 32
_NULL = b"\xff\xff\xff\xff"


class BinaryArray:
    """A column of values; the subclass is the PostgreSQL type."""

    __slots__ = ("values",)

    def __init__(self, values: Sequence[object]) -> None:
        """Take the values of the column, in row order."""
        self.values = values


class SmallInts(BinaryArray):
    """smallint[]."""


class Ints(BinaryArray):
    """integer[]."""


class BigInts(BinaryArray):
    """bigint[]."""


class Bools(BinaryArray):
    """boolean[]."""


class Texts(BinaryArray):
    """text[] of `str` and None."""


class Blobs(BinaryArray):
    """bytea[] of `bytes` and None."""


class Timestamps(BinaryArray):
    """timestamptz[] of aware datetimes; OPEN_START and OPEN_END become -infinity and infinity."""


def microseconds(instant: datetime) -> int:
    """Return `instant` as timestamptz counts it."""
    if instant <= OPEN_START:
        return _MINUS_INFINITY
    if instant >= OPEN_END:
        return _INFINITY
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class _ArrayDumper(Dumper):
    format = Format.BINARY
    element_oid: ClassVar[int]

    def _header(self, count: int, *, has_nulls: bool = False) -> bytes:
        if not count:
            return pack(">iii", 0, 0, self.element_oid)
        return pack(">iiiii", 1, int(has_nulls), self.element_oid, count, 1)


class _FixedDumper(_ArrayDumper):
    """Packs elements of one size, `_CHUNK` in one call: a `Struct` is costly to make for each length."""

    size: ClassVar[int]
    one: ClassVar[Struct]
    many: ClassVar[Struct]

    def dump(self, obj: BinaryArray) -> bytes:
        values = obj.values
        count = len(values)
        whole = count - count % _CHUNK
        interleaved: list[object] = [self.size] * (2 * whole)
        interleaved[1::2] = values[:whole]
        many, one, size = self.many.pack, self.one.pack, self.size
        parts = [many(*interleaved[at : at + 2 * _CHUNK]) for at in range(0, 2 * whole, 2 * _CHUNK)]
        parts += [one(size, value) for value in values[whole:]]
        return self._header(count) + b"".join(parts)


def _structs(code: str) -> tuple[Struct, Struct]:
    return Struct(">i" + code), Struct(">" + ("i" + code) * _CHUNK)


class _SmallIntsDumper(_FixedDumper):
    oid, element_oid, size = 1005, 21, 2
    one, many = _structs("h")


class _IntsDumper(_FixedDumper):
    oid, element_oid, size = 1007, 23, 4
    one, many = _structs("i")


class _BigIntsDumper(_FixedDumper):
    oid, element_oid, size = 1016, 20, 8
    one, many = _structs("q")


class _BoolsDumper(_FixedDumper):
    oid, element_oid, size = 1000, 16, 1
    one, many = _structs("?")


class _TimestampsDumper(_FixedDumper):
    oid, element_oid, size = 1185, 1184, 8
    one, many = _structs("q")

    def dump(self, obj: BinaryArray) -> bytes:
        instants: Sequence[datetime] = obj.values  # type: ignore[assignment]  # the wrapper's type says so
        return super().dump(BigInts([microseconds(instant) for instant in instants]))


class _BlobsDumper(_ArrayDumper):
    oid, element_oid = 1001, 17

    def dump(self, obj: BinaryArray) -> bytes:
        values: Sequence[bytes | None] = obj.values  # type: ignore[assignment]  # the wrapper's type says so
        parts = [_NULL if value is None else pack(">i", len(value)) + value for value in values]
        return self._header(len(values), has_nulls=None in values) + b"".join(parts)


class _TextsDumper(_ArrayDumper):
    oid, element_oid = 1009, 25

    def dump(self, obj: BinaryArray) -> bytes:
        values: Sequence[str | None] = obj.values  # type: ignore[assignment]  # the wrapper's type says so
        has_nulls = False
        parts: list[bytes] = []
        for value in values:
            if value is None:
                has_nulls = True
                parts.append(_NULL)
            else:
                encoded = value.encode()
                if b"\0" in encoded:
                    raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
                parts.append(pack(">i", len(encoded)) + encoded)
        return self._header(len(values), has_nulls=has_nulls) + b"".join(parts)


for _wrapper, _dumper in (
    (SmallInts, _SmallIntsDumper),
    (Ints, _IntsDumper),
    (BigInts, _BigIntsDumper),
    (Bools, _BoolsDumper),
    (Texts, _TextsDumper),
    (Blobs, _BlobsDumper),
    (Timestamps, _TimestampsDumper),
):
    psycopg.adapters.register_dumper(_wrapper, _dumper)
