"""Messages of the syslog protocol (RFC 5424), sent over TLS (RFC 5425), TCP (RFC 6587) or UDP (RFC 5426).

ITI-20 wants facility 10 (security), severity 5 or 4, and the MSGID "IHE+RFC-3881"; over TLS and TCP a message
stands behind its length (octet counting). https://profiles.ihe.net/ITI/TF/Volume2/ITI-20.html
UDP loses messages unseen and cuts long ones: it is for networks that allow nothing else.
"""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from hie.core.errors import ConfigurationError, UnavailableError
from hie.core.settings import Settings

_FACILITY: Final = 10  # security/authorization messages
NOTICE: Final = 5
WARNING: Final = 4
MESSAGE_ID: Final = "IHE+RFC-3881"
_APP_NAME: Final = "hie"
_PORTS: Final = {"tls": 6514, "tcp": 601, "udp": 514}
_BOM: Final = b"\xef\xbb\xbf"  # RFC 5424, 6.4: the message is UTF-8
_SECONDS: Final = 10.0
# IANA's numbers of private enterprises have none for this project: 32473 is the one for examples
# (RFC 5612), so the structured data goes by the name that such receivers take for local use.
_DATA_ID: Final = "audit@32473"


@dataclass(frozen=True, slots=True)
class Message:
    """One message: when, from which machine and process, what, and the pairs of its structured data."""

    moment: datetime
    host: str
    process_id: str
    text: bytes
    severity: int = NOTICE
    data: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """Return the message as RFC 5424 has it."""
        moment = self.moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = (
            f"<{_FACILITY * 8 + self.severity}>1 {moment} {_name(self.host, 255)} {_APP_NAME}"
            f" {_name(self.process_id, 128)} {MESSAGE_ID} {self._structured()} "
        )
        return head.encode() + _BOM + self.text

    def _structured(self) -> str:
        if not self.data:
            return "-"
        pairs = "".join(f' {name}="{_escaped(value)}"' for name, value in self.data)
        return f"[{_DATA_ID}{pairs}]"


class Sender(Protocol):
    """Sends messages to one receiver."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Send; raises UnavailableError when the receiver does not take them."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


class StreamSender:
    """Sends over one TCP connection, with TLS or without; a connection that broke is opened anew."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        """Take the receiver; nothing is opened yet."""
        self._host = host
        self._port = port
        self._context = context
        self._socket: socket.socket | None = None

    def send(self, messages: Sequence[bytes]) -> None:
        """Send the messages behind their lengths."""
        content = b"".join(b"%d %s" % (len(message), message) for message in messages)
        try:
            if self._socket is None or _is_closed(self._socket):
                self.close()
                self._socket = self._open()
            self._socket.sendall(content)
        except OSError as error:
            self.close()
            raise UnavailableError(
                f"The receiver of syslog does not answer ({type(error).__name__})"
            ) from error

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), timeout=_SECONDS)
        if self._context is None:
            return plain
        try:
            return self._context.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise


class DatagramSender:
    """Sends each message as one datagram."""

    def __init__(self, host: str, port: int) -> None:
        """Take the receiver."""
        self._address = (host, port)
        family = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)

    def send(self, messages: Sequence[bytes]) -> None:
        """Send the messages; whether they arrive nobody says."""
        try:
            for message in messages:
                self._socket.sendto(message, self._address)
        except OSError as error:
            raise UnavailableError(f"The message cannot be sent ({type(error).__name__})") from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def sender_of(settings: Settings) -> Sender | None:
    """Return what sends to `audit_syslog`, None where that is empty; raises ConfigurationError."""
    if not settings.audit_syslog:
        return None
    url = urlsplit(settings.audit_syslog)
    if url.scheme not in _PORTS or not url.hostname:
        raise ConfigurationError(
            f"HIE_AUDIT_SYSLOG `{settings.audit_syslog}` is not tls://, tcp:// or udp:// and a host"
        )
    port = url.port or _PORTS[url.scheme]
    if url.scheme == "udp":
        return DatagramSender(url.hostname, port)
    context = None
    if url.scheme == "tls":
        context = _context(
            settings.audit_syslog_ca, settings.audit_syslog_certificate, settings.audit_syslog_key
        )
    return StreamSender(url.hostname, port, context)


def _context(authority: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return what TLS goes by; the receiver's certificate is always checked."""
    try:
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigurationError(f"The certificates of HIE_AUDIT_SYSLOG cannot be read: {error}") from error
    return context


def _is_closed(connection: socket.socket) -> bool:
    """Say whether the receiver has closed: syslog sends nothing back, so anything to read is the end."""
    timeout = connection.gettimeout()
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(timeout)


def _name(text: str, longest: int) -> str:
    """Return a field of the head: printable ASCII without blanks, "-" for none."""
    kept = "".join(character for character in text if "!" <= character <= "~")
    return kept[:longest] or "-"


def _escaped(text: str) -> str:
    """Return a value of structured data (RFC 5424, 6.3.3)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
