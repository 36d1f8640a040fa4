"""A virus scanner behind a socket: ClamAV's daemon, by its command INSTREAM.

https://docs.clamav.net/manual/Usage/ClamdProtocol.html and clamd(8). One connection a scan. Content goes
over the network in the clear where the daemon is reached by TCP: it belongs on this machine or behind a
tunnel. The daemon's StreamMaxLength should be no less than HIE_ATTACHMENT_BYTES.
"""

import socket
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hie.core.errors import ConfigurationError
from hie.core.security_errors import ScannerError

_PIECE: Final = 64 * 1024
_LONGEST_REPLY: Final = 4096


class Clamd:
    """Scans content; safe to share between threads."""

    def __init__(self, address: str, *, seconds: float) -> None:
        """Take where the daemon listens, and how long one scan may take.

        ``unix:///run/clamav/clamd.ctl`` or ``tcp://127.0.0.1:3310``; raises ConfigurationError for others.
        """
        read = urlsplit(address)
        try:
            port = read.port
        except ValueError:
            port = None
        if read.scheme == "unix" and not read.netloc and read.path:
            self._path: Path | None = Path(read.path)
            self._host = ("", 0)
        elif read.scheme == "tcp" and read.hostname and port:
            self._path = None
            self._host = (read.hostname, port)
        else:
            raise ConfigurationError(f"`{address}` is no address of clamd: unix:///path or tcp://host:port")
        self._seconds = seconds

    def threat(self, content: bytes) -> str | None:
        """Return the name of what is found in `content`, None where it is clean; raises ScannerError."""
        deadline = time.monotonic() + self._seconds
        try:
            with self._connected() as connection:
                _send(connection, content, deadline)
                reply = _reply(connection, deadline)
        except OSError as error:
            reason = "timed out" if isinstance(error, TimeoutError) else type(error).__name__
            raise ScannerError(f"The virus scanner does not answer ({reason})") from error
        # the answer is of the stream, then a colon, then OK, a name and FOUND, or ERROR
        said = reply.rpartition(": ")[2]
        if said == "OK":
            return None
        if said.endswith(" FOUND"):
            return said.removesuffix(" FOUND")
        raise ScannerError(f"The virus scanner could not scan: {reply[:200] or 'it said nothing'}")

    def _connected(self) -> socket.socket:
        if self._path is None:
            return socket.create_connection(self._host, self._seconds)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self._seconds)
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        return connection


def _send(connection: socket.socket, content: bytes, deadline: float) -> None:
    """Send the command, the content in pieces with their lengths, and the empty piece that ends it."""
    try:
        connection.sendall(b"zINSTREAM\x00")
        for begin in range(0, len(content), _PIECE):
            piece = content[begin : begin + _PIECE]
            connection.settimeout(_left(deadline))
            connection.sendall(len(piece).to_bytes(4, "big") + piece)
        connection.sendall(bytes(4))
    except (BrokenPipeError, ConnectionResetError):
        # it closes before the end when it has seen enough or too much, and says which before
        return


def _reply(connection: socket.socket, deadline: float) -> str:
    reply = b""
    while not reply.endswith(b"\x00") and len(reply) < _LONGEST_REPLY:
        connection.settimeout(_left(deadline))
        piece = connection.recv(_LONGEST_REPLY)
        if not piece:
            break
        reply += piece
    return reply.rstrip(b"\x00").decode("ascii", "replace").strip()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
