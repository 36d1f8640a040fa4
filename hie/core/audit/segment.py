"""The file of the local log: a magic number, then frames, then zeros up to its preallocated length.

A frame is the length of its body (4 bytes, little-endian), a CRC-32 over the body that goes on from that of
the frame before (4 bytes), and the body. So a frame that was changed, left out or moved does not fit. The
checksum finds damage; against somebody who writes to this file it does not help: that is what the
chain is for, which takes the frames within a second or two.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAGIC: Final = b"HIEAUD01"
SUFFIX: Final = ".log"
_HEAD: Final = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Frames:
    """Bodies in order, where the next frame begins, the checksum so far, and whether what follows is none.

    `is_damaged`: there are bytes at `position` and they are no frame. In the file of a running
    process that is a frame being written.
    """

    bodies: list[bytes]
    position: int
    checksum: int
    is_damaged: bool


def frame(bodies: Iterable[bytes], checksum: int) -> tuple[bytes, int]:
    """Return the frames of `bodies` that follow one with `checksum`, and the checksum of the last."""
    parts: list[bytes] = []
    for body in bodies:
        checksum = zlib.crc32(body, checksum)
        parts += (_HEAD.pack(len(body), checksum), body)
    return b"".join(parts), checksum


def read_frames(path: Path, position: int, checksum: int, *, limit: int) -> Frames:
    """Return at most `limit` frames from `position` on; 0 is the beginning of the file."""
    bodies: list[bytes] = []
    with path.open("rb") as file:
        if position == 0:
            if file.read(len(MAGIC)) != MAGIC:
                return Frames([], 0, 0, is_damaged=True)
            position = len(MAGIC)
        file.seek(position)
        while len(bodies) < limit:
            head = file.read(_HEAD.size)
            if not head.strip(b"\0"):
                return Frames(bodies, position, checksum, is_damaged=False)
            if len(head) < _HEAD.size:
                return Frames(bodies, position, checksum, is_damaged=True)
            length, expected = _HEAD.unpack(head)
            body = file.read(length)
            if len(body) < length or zlib.crc32(body, checksum) != expected:
                return Frames(bodies, position, checksum, is_damaged=True)
            bodies.append(body)
            position += _HEAD.size + length
            checksum = expected
    return Frames(bodies, position, checksum, is_damaged=False)
