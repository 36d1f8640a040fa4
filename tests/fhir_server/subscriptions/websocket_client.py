"""A websocket client of plain sockets: https://www.rfc-editor.org/rfc/rfc6455. Text and close only."""

import base64
import hashlib
import os
import socket
import struct
from typing import Self
from urllib.parse import urlsplit

from hie.core.fhir.json import JsonObject, loads

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING = 1, 8, 9


class WebSocket:
    """One connection; what comes is waited for at most `seconds`."""

    def __init__(self, url: str, seconds: float = 30) -> None:
        """Connect to ``ws://...``."""
        target = urlsplit(url)
        assert target.scheme == "ws"
        assert target.hostname is not None
        self._socket = socket.create_connection((target.hostname, target.port or 80), seconds)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._reader = self._socket.makefile("rb")
        status = self._reader.readline()
        assert status.split()[1] == b"101", status
        headers = {}
        while line := self._reader.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        expected = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324 - RFC 6455
        assert headers["sec-websocket-accept"] == expected

    def send(self, text: str) -> None:
        """Send a text."""
        data, mask = text.encode(), os.urandom(4)
        assert len(data) < 65536
        length = (
            struct.pack("!B", 0x80 | len(data))
            if len(data) < 126
            else struct.pack("!BH", 0x80 | 126, len(data))
        )
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self._socket.sendall(bytes([0x80 | _TEXT]) + length + mask + masked)

    def receive(self) -> str | None:
        """Return the next text, None when the server closes."""
        whole = b""
        while True:
            first, second = self._reader.read(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self._reader.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._reader.read(8))
            data = self._reader.read(length)
            if first & 0x0F == _CLOSE:
                return None
            if first & 0x0F != _PING:
                whole += data
                if first & 0x80:
                    return whole.decode()

    def receive_json(self) -> JsonObject:
        """Return the next text as JSON."""
        text = self.receive()
        assert text is not None
        found: JsonObject = loads(text)
        return found

    def close(self) -> None:
        """End the connection without a word."""
        self._reader.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
