"""MLLP blocks: cuts a stream of bytes into messages and puts a message into a block. No sockets, no clock.

A block is ``<SB> message <EB><CR>`` with SB = VT (0x0B) and EB = FS (0x1C): HL7 Transport Specification MLLP,
https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF. Real senders are looser
than that: the CR is missing or is an LF, bytes stand between the blocks, a block is begun anew before the
last one ended, and a two-byte character set has an FS inside a character. None of this loses a message or
the connection.
"""

VT = 0x0B
FS = 0x1C
_BLOCK_START = bytes((VT,))
_BLOCK_END = bytes((FS,))
_LINE_ENDS = b"\r\n"
_AFTER_END = (0x0D, 0x0A, VT)
_BEGUN_ANEW = _BLOCK_START + b"MSH"
# What is kept of a block that is too long: enough to answer its MSH.
_HEAD_BYTES = 4096


def frame(message: bytes) -> bytes:
    r"""Return `message` in a block.

    >>> frame(b"MSH|")
    b'\x0bMSH|\x1c\r'
    """
    return b"\x0b" + message + b"\x1c\r"


class FrameReader:
    """Cuts what one connection sends into messages.

    `garbage` counts the bytes that stood outside of blocks (line ends are not counted) or in blocks that were
    begun anew. `overflow` is the head of a block that is longer than `limit` bytes; from then on nothing is
    read.
    """

    __slots__ = ("_buffer", "_is_open", "_limit", "_scanned", "garbage", "overflow")

    def __init__(self, limit: int) -> None:
        """Take the largest message that is read, in bytes."""
        self._buffer = bytearray()
        self._is_open = False
        self._scanned = 0
        self._limit = limit
        self.garbage = 0
        self.overflow: bytes | None = None

    @property
    def is_open(self) -> bool:
        """Whether a block has begun and not ended."""
        return self._is_open

    @property
    def is_settling(self) -> bool:
        """Whether the last byte was FS: the end of a block, unless more than a line end follows at once."""
        return self._is_open and self._buffer[-1:] == _BLOCK_END

    @property
    def buffered(self) -> int:
        """The bytes held of a block that has not ended."""
        return len(self._buffer)

    def feed(self, received: bytes) -> list[bytes]:
        """Return the messages that `received` completes, in order."""
        if self.overflow is not None:
            return []
        self._buffer += received
        messages: list[bytes] = []
        while self._open():
            end = self._find_end()
            if end is None:
                if len(self._buffer) - self.is_settling > self._limit:
                    self.give_up()
                break
            if end > self._limit:
                self.give_up()
                break
            messages.append(self._cut(end))
        return messages

    def settle(self) -> bytes | None:
        """Return the message whose FS was the last byte; to be called when nothing followed it."""
        return self._cut(len(self._buffer) - 1) if self.is_settling else None

    def give_up(self) -> None:
        """Keep only the head of the block that has begun, as `overflow`, and read nothing more."""
        self.overflow = bytes(self._buffer[:_HEAD_BYTES])
        self._buffer.clear()
        self._is_open = False

    def _open(self) -> bool:
        if self._is_open:
            return True
        buffer = self._buffer
        start = buffer.find(_BLOCK_START)
        outside = bytes(buffer) if start < 0 else bytes(buffer[:start])
        self.garbage += len(outside.translate(None, _LINE_ENDS))
        if start < 0:
            buffer.clear()
            return False
        del buffer[: start + 1]
        self._is_open = True
        self._scanned = 0
        return True

    def _find_end(self) -> int | None:
        buffer = self._buffer
        end = buffer.find(_BLOCK_END, self._scanned)
        while end >= 0:
            if end + 1 == len(buffer):
                self._scanned = end
                return None
            if buffer[end + 1] in _AFTER_END:
                return end
            end = buffer.find(_BLOCK_END, end + 1)
        self._scanned = len(buffer)
        return None

    def _cut(self, end: int) -> bytes:
        message = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._is_open = False
        anew = message.rfind(_BEGUN_ANEW)
        if anew >= 0:
            self.garbage += anew
            message = message[anew + 1 :]
        return message
