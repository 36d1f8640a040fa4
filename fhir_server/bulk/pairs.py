"""Files of (rid, seq) pairs: which versions an export gives out, 16 bytes each.

They stand beside the export's files and not in a table, because they are written once, read once in
order, and may be tens of millions.
"""

import os
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PAIR_BYTES: Final = 16
_BLOCK_PAIRS: Final = 65_536


def write_pairs(path: Path, rows: Iterable[tuple[int, int]]) -> int:
    """Write `rows` to `path`, durable when it returns; return how many there were."""
    count = 0
    block = array("q")
    with path.open("wb") as file:
        for row in rows:
            block.extend(row)
            if len(block) >= 2 * _BLOCK_PAIRS:
                block.tofile(file)
                count += len(block) // 2
                block = array("q")
        block.tofile(file)
        count += len(block) // 2
        file.flush()
        os.fsync(file.fileno())
    return count


def read_pairs(path: Path, offset: int, limit: int) -> "tuple[array[int], array[int]]":
    """Return the rids and the seqs of at most `limit` pairs from the `offset`-th on."""
    block = array("q")
    with path.open("rb") as file:
        file.seek(offset * _PAIR_BYTES)
        block.frombytes(file.read(limit * _PAIR_BYTES))
    return block[0::2], block[1::2]
