"""A simulator of clamd: its command INSTREAM, https://docs.clamav.net/manual/Usage/ClamdProtocol.html.

Strict: a command without its delimiter, a piece cut short or one beyond StreamMaxLength is answered as the
daemon does, with an ERROR and the end of the connection.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# https://www.eicar.org/download-anti-malware-testfile/: harmless, and found by every scanner. In two parts,
# lest a scanner of this machine find this file.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class Scanner:
    """Listens until it is closed; `scanned` are the contents that it was sent whole."""

    def __init__(self, listener: socket.socket, address: str, *, most_bytes: int, is_silent: bool) -> None:
        """Take a bound socket, the address that a client is given, and what it does at worst."""
        self.address = address
        self.scanned: list[bytes] = []
        self._listener = listener
        self._listener.settimeout(0.05)
        self._most_bytes = most_bytes
        self._is_silent = is_silent
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._over.set()
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            connection.settimeout(5)
            with connection:
                try:
                    self._answer(connection)
                except (EOFError, OSError):
                    continue

    def _answer(self, connection: socket.socket) -> None:
        command = b""
        while not command.endswith(b"\x00"):
            command += _exactly(connection, 1)
            if len(command) > 64:
                connection.sendall(b"UNKNOWN COMMAND\x00")
                return
        if command != b"zINSTREAM\x00":
            connection.sendall(b"UNKNOWN COMMAND\x00")
            return
        content = b""
        while size := int.from_bytes(_exactly(connection, 4), "big"):
            if len(content) + size > self._most_bytes:
                connection.sendall(b"INSTREAM size limit exceeded. ERROR\x00")
                return
            content += _exactly(connection, size)
        if self._is_silent:
            self._over.wait(5)
            return
        self.scanned.append(content)
        found = EICAR in content
        connection.sendall(b"stream: Eicar-Test-Signature FOUND\x00" if found else b"stream: OK\x00")


@contextmanager
def scanner(
    path: Path | None = None, *, most_bytes: int = 100 * 1024 * 1024, is_silent: bool = False
) -> Iterator[Scanner]:
    """Run a scanner on a socket at `path`, or by TCP."""
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    else:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen()
        address = f"unix://{path}"
    running = Scanner(listener, address, most_bytes=most_bytes, is_silent=is_silent)
    try:
        yield running
    finally:
        running.close()


def _exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        piece = connection.recv(size - len(read))
        if not piece:
            raise EOFError
        read += piece
    return read
