"""NDJSON files of stored bodies: COPY streamed to files of limited size.

http://ndjson.org. A body is compact JSON, so that it has no line break. Rows come in the binary format
of COPY (https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4), in which a body needs no
escapes; where bodies may be sealed by a cursor, since keys are read between its rows.
"""

import os
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from psycopg import Connection, sql

from fhir_server.store.bodies import may_be_sealed, open_rows

# What a step holds in memory beside the largest body.
_BLOCK_BYTES: Final = 1 << 20

_FETCHED: Final = 200

# The versions as they were selected, wherever they stand by now.
_WANTED: Final = """
WITH wanted AS MATERIALIZED (SELECT * FROM unnest({rids}::bigint[], {seqs}::bigint[]) AS w (rid, seq))
SELECT r.type, r.id, r.version, r.body FROM wanted w JOIN resource r ON r.rid = w.rid AND r.seq = w.seq
WHERE r.body IS NOT NULL
UNION ALL
SELECT r.type, r.id, h.version, h.body
FROM wanted w JOIN resource_history h ON h.rid = w.rid AND h.seq = w.seq JOIN resource r ON r.rid = h.rid
WHERE h.body IS NOT NULL
"""
_BODIES: Final = f"COPY (SELECT v.body FROM ({_WANTED}) AS v) TO STDOUT (FORMAT binary)"  # noqa: S608 - our text
_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
# Behind the signature flags, and the length of an extension that there is not.
_HEADER_BYTES: Final = len(_SIGNATURE) + 8
_TRAILER: Final = b"\xff\xff"
# The number of fields of a row, and the length of the only one.
_ROW_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Written:
    """One file: its name in the job's folder, and its lines."""

    name: str
    count: int


class NdjsonFiles:
    """Writes lines to ``stem.ndjson``, and past `limit_bytes` to ``stem.2.ndjson`` and so on."""

    def __init__(self, folder: Path, stem: str, *, limit_bytes: int) -> None:
        """Take the folder; files of the same names are replaced."""
        self._folder = folder
        self._stem = stem
        self._limit = limit_bytes
        self._file: IO[bytes] | None = None
        self._size = 0
        self._lines = 0
        self.written: list[Written] = []

    def write(self, block: bytes, lines: int) -> None:
        """Write `block`, which holds whole `lines`."""
        if self._file is not None and self._size + len(block) > self._limit:
            self.close()
        if self._file is None:
            self._file = (self._folder / self._name()).open("wb")
        self._file.write(block)
        self._size += len(block)
        self._lines += lines

    def close(self) -> None:
        """Make the file durable; `written` names it then."""
        if self._file is None:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.written.append(Written(self._name(), self._lines))
        self._file, self._size, self._lines = None, 0, 0

    def __enter__(self) -> Self:
        """Return the files themselves."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Make the files durable, or after an exception leave the last as it is."""
        if kind is None:
            self.close()
        elif self._file is not None:
            self._file.close()

    def _name(self) -> str:
        number = len(self.written) + 1
        return f"{self._stem}.ndjson" if number == 1 else f"{self._stem}.{number}.ndjson"


def copy_bodies(
    connection: Connection[tuple[Any, ...]],
    rids: "array[int]",
    seqs: "array[int]",
    files: NdjsonFiles,
    *,
    change: Callable[[bytes], bytes | None] | None = None,
    check: Callable[[], None],
) -> int:
    """Write the bodies of the versions to `files`; return how many.

    Each goes through `change` if given; of which that makes None is left out. The transaction has one
    snapshot. Versions that were removed from the database since they were selected are left out. `check` is
    called for every block and may raise.
    """
    values = {"rids": _literal(rids), "seqs": _literal(seqs)}
    is_plain = not may_be_sealed(connection)
    blocks = _copied(connection, values) if is_plain else _fetched(connection, values)
    total = 0
    for block in blocks:
        check()
        texts = block if change is None else [made for text in block if (made := change(text)) is not None]
        files.write(b"\n".join([*texts, b""]), len(texts))
        total += len(texts)
    return total


def _literal(numbers: "array[int]") -> sql.SQL:
    return sql.SQL("'{" + ",".join(map(str, numbers)) + "}'")  # digits of our own


def _fetched(connection: Connection[tuple[Any, ...]], values: Mapping[str, sql.SQL]) -> Iterator[list[bytes]]:
    """Return the bodies, opened, some at a time."""
    with connection.cursor(name="bodies") as rows:
        rows.execute(sql.SQL(_WANTED).format(**values), binary=True)
        while piece := rows.fetchmany(_FETCHED):
            yield [body or b"" for body in open_rows(connection, piece)]


def _copied(connection: Connection[tuple[Any, ...]], values: Mapping[str, sql.SQL]) -> Iterator[list[bytes]]:
    """Return the bodies as they are stored, about a megabyte at a time."""
    block: list[bytes] = []
    size = 0
    with connection.cursor() as cursor, cursor.copy(sql.SQL(_BODIES).format(**values)) as rows:
        for given in rows:
            row = bytes(given)
            if row.startswith(_SIGNATURE):
                row = row[_HEADER_BYTES:]
            if row in {b"", _TRAILER}:
                continue
            block.append(row[_ROW_BYTES:])
            size += len(row)
            if size >= _BLOCK_BYTES:
                yield block
                block, size = [], 0
    if block:
        yield block
