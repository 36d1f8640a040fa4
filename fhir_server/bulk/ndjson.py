"""NDJSON files of stored bodies: COPY streamed to files of limited size.

http://ndjson.org. A body is compact JSON, so that it has no line break and, in the text format of COPY
(https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2), nothing but its backslashes
is escaped: a block of rows is a block of NDJSON once they are single again.
"""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from psycopg import Connection, sql

Row = bytes | bytearray | memoryview

# What a step holds in memory beside the largest body.
_BLOCK_BYTES: Final = 1 << 20

# The version as it was selected, wherever it stands by now.
_BODIES: Final = """
COPY (
    WITH wanted AS MATERIALIZED (SELECT * FROM unnest({rids}::bigint[], {seqs}::bigint[]) AS w (rid, seq))
    SELECT r.body FROM wanted w JOIN resource r ON r.rid = w.rid AND r.seq = w.seq
    WHERE r.body IS NOT NULL
    UNION ALL
    SELECT h.body FROM wanted w JOIN resource_history h ON h.rid = w.rid AND h.seq = w.seq
    WHERE h.body IS NOT NULL
) TO STDOUT
"""


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
    change: Callable[[bytes], bytes] | None = None,
    check: Callable[[], None],
) -> int:
    """Write the bodies of the versions to `files`, each through `change` if given; return how many.

    Versions that were removed from the database since they were selected are left out. `check` is
    called for every block and may raise.
    """
    statement = sql.SQL(_BODIES).format(rids=_literal(rids), seqs=_literal(seqs))
    total = 0
    with connection.cursor() as cursor, cursor.copy(statement) as rows:
        for block, lines in _blocks(rows):
            check()
            text = block.replace(b"\\\\", b"\\")
            if change is not None:
                text = b"".join([change(line) + b"\n" for line in text.splitlines()])
            files.write(text, lines)
            total += lines
    return total


def _literal(numbers: "array[int]") -> sql.SQL:
    return sql.SQL("'{" + ",".join(map(str, numbers)) + "}'")  # digits of our own


def _blocks(rows: Iterable[Row]) -> Iterator[tuple[bytes, int]]:
    """Return the rows of a COPY in blocks of about a megabyte, with the number of rows in each."""
    block: list[Row] = []
    size = 0
    for row in rows:
        block.append(row)
        size += len(row)
        if size >= _BLOCK_BYTES:
            yield b"".join(block), len(block)
            block, size = [], 0
    if block:
        yield b"".join(block), len(block)
