"""Calls that this server makes because somebody else named a URL: which are permitted, and how they connect.

Whoever may name a URL could have this server send requests into the network behind it (server-side request
forgery, https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html).
So only URLs below those of the settings are called, redirections are not followed, no proxy of the
environment is used, and a name leads to no address of this machine, whatever it resolves to a moment later:
the address that was looked at is the one that is connected to. Networks of hospitals are private; their
addresses are permitted, and what is called there is what the operator named.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from hie.core.errors import ConfigurationError, UnavailableError

_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1
_BLOCK: Final = 64 * 1024


class Destinations:
    """The URLs that may be called, by their beginnings: scheme, host, port and whole parts of the path."""

    def __init__(self, beginnings: Sequence[str]) -> None:
        """Take the beginnings; raises ConfigurationError for one that is no http or https URL."""
        self._beginnings = []
        for each in beginnings:
            read = _read(each)
            if read is None:
                raise ConfigurationError(
                    f"`{each}` is no URL of endpoints: http or https, without user or query"
                )
            self._beginnings.append(read)

    def refusal(self, url: str) -> str | None:
        """Return why `url` may not be called, None where it may."""
        read = _read(url)
        if read is None:
            return f"`{url}` is no http or https URL without user, fragment and dots"
        if not any(_is_below(read, each) for each in self._beginnings):
            return f"The endpoint is not below one that this server may call: {origin(read)}"
        return None


class Caller:
    """Calls what `destinations` permit; safe to share between threads."""

    def __init__(self, destinations: Destinations) -> None:
        """Take what may be called."""
        self.destinations = destinations

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Certificates are checked against those that the system trusts."""
        return ssl.create_default_context()

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        seconds: float,
        limit_bytes: int = 0,
    ) -> tuple[int, bytes]:
        """Send one request; return the status and the body of its answer, unread where the limit is 0.

        `seconds` is the time for all of it. Raises UnavailableError, in words that hold neither header nor
        query, where the URL may not be called, there is no answer in time, or its body is longer.
        """
        refusal = self.destinations.refusal(url)
        if refusal is not None:
            raise UnavailableError(refusal)
        target = urlsplit(url)
        connection = connection_to(target, seconds, self._tls)
        path = target.path or "/"
        # A peer that answers byte by byte would renew the time-out of the socket for ever.
        watch = threading.Timer(seconds, _cut, (connection,))
        watch.daemon = True
        watch.start()
        deadline = time.monotonic() + seconds
        try:
            connection.request(
                method, f"{path}?{target.query}" if target.query else path, body, dict(headers)
            )
            answer = connection.getresponse()
            content = bytearray()
            while limit_bytes and (piece := answer.read(_BLOCK)):
                content += piece
                if len(content) > limit_bytes:
                    raise UnavailableError(f"{origin(target)} answers more than {limit_bytes} bytes")
            if time.monotonic() > deadline:  # the watch cut it, which looks like its end
                raise TimeoutError
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"{origin(target)} does not answer ({_reason(error)})") from error
        finally:
            watch.cancel()
            connection.close()
        return answer.status, bytes(content)


class AddressRefusedError(OSError):
    """The name resolves to addresses that no call may go to."""


class CheckedHTTPConnection(http.client.HTTPConnection):
    """Connects to the addresses that are permitted."""

    def connect(self) -> None:
        """Connect to an address that was looked at."""
        self.sock = connect(self.host, self.port, self.timeout)


class CheckedHTTPSConnection(http.client.HTTPSConnection):
    """The same behind TLS; the certificate is the name's."""

    def __init__(
        self,
        host: str,
        /,
        port: int | None = None,
        *,
        timeout: float | None = None,
        source_address: tuple[str, int] | None = None,
        blocksize: int = _BLOCK,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Take what `http.client.HTTPSConnection` takes."""
        self._checked = context or ssl.create_default_context()
        super().__init__(
            host,
            port,
            timeout=timeout,
            source_address=source_address,
            blocksize=blocksize,
            context=self._checked,
        )

    def connect(self) -> None:
        """Connect to an address that was looked at."""
        plain = connect(self.host, self.port, self.timeout)
        self.sock = self._checked.wrap_socket(plain, server_hostname=self.host)


def connection_to(target: SplitResult, seconds: float, tls: ssl.SSLContext) -> http.client.HTTPConnection:
    """Return a connection, not yet open, to the host of `target`."""
    host = target.hostname or ""
    port = target.port or _PORTS[target.scheme]
    if target.scheme == "https":
        return CheckedHTTPSConnection(host, port, timeout=seconds, context=tls)
    return CheckedHTTPConnection(host, port, timeout=seconds)


def connect(host: str, port: int, seconds: float | None) -> socket.socket:
    """Return a socket connected to one of the addresses of `host` that a call may go to.

    An address, or ``localhost``, that the operator wrote stands for itself. Raises AddressRefusedError
    where a name has no other addresses than those that are refused, OSError where none answers.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not _is_literal(host):
        found = [each for each in found if is_permitted(str(each[4][0]))]
    failure: OSError = AddressRefusedError("its name resolves to an address that may not be called")
    for family, kind, protocol, _, address in found:
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(seconds)
            opened.connect(address)
        except OSError as error:
            opened.close()
            failure = error
        else:
            return opened
    raise failure


def is_permitted(text: str) -> bool:
    """Return whether a name may lead to the address `text`: no loopback, link-local or the like.

    Link-local addresses have the credentials of virtual machines (169.254.169.254), and 0.0.0.0 is this
    machine. Addresses of IPv4 within those of IPv6 count as what they are.
    """
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        address = inner or address
    return not (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or (isinstance(address, IPv6Address) and address.is_site_local)
    )


def origin(url: SplitResult) -> str:
    """Return scheme, host and port, which may be logged."""
    scheme, host, port = _place(url)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _is_literal(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _read(url: str) -> SplitResult | None:
    """Return the parts of a URL that may be called, None for one that hides where it leads."""
    try:
        read = urlsplit(url)
        port = read.port
    except ValueError:
        return None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if (
        not is_plain
        or read.scheme not in _PORTS
        or not read.hostname
        or port == 0
        or read.username is not None
        or read.password is not None
        or read.fragment
        or any(part in (".", "..") for part in read.path.lower().replace("%2e", ".").split("/"))
    ):
        return None
    return read


def _is_below(url: SplitResult, beginning: SplitResult) -> bool:
    if _place(url) != _place(beginning):
        return False
    above = beginning.path.rstrip("/")
    return not above or url.path == above or url.path.startswith(f"{above}/")


def _place(url: SplitResult) -> tuple[str, str, int]:
    return url.scheme, (url.hostname or "").rstrip("."), url.port or _PORTS[url.scheme]


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, AddressRefusedError):
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__


def _cut(connection: http.client.HTTPConnection) -> None:
    """End the connection under whoever waits for it."""
    if connection.sock is not None:
        try:
            connection.sock.shutdown(2)
        except OSError:
            return  # it ended by itself
