"""Endpoints of rest-hooks: which are permitted, and one HTTP request to one of them.

Whoever may write a Subscription could have this server send requests into the network behind it (server-side
request forgery, https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html),
so that only endpoints under URLs of the settings are called, and redirections are not followed. Headers
and bodies are never logged.
"""

import http.client
import ssl
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final
from urllib.parse import SplitResult, urlsplit

from hie.core.errors import ConfigurationError, DeliveryError

_PORTS: Final = {"http": 80, "https": 443}
_SUCCESS: Final = range(200, 300)


class Endpoints:
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
            return f"The endpoint is not below one that this server may call: {_origin(read)}"
        return None


class Sender:
    """Sends notifications; safe to share between threads."""

    def __init__(self, endpoints: Endpoints) -> None:
        """Take what may be called."""
        self.endpoints = endpoints

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Certificates are checked against those that the system trusts."""
        return ssl.create_default_context()

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> None:
        """Send one request; return when its answer says success.

        `seconds` is the time for all of it. Raises DeliveryError with what came instead of a success,
        in words that hold neither header nor query.
        """
        refusal = self.endpoints.refusal(url)
        if refusal is not None:
            raise DeliveryError(refusal)
        target = urlsplit(url)
        connection = self._connection(target, seconds)
        path = target.path or "/"
        # A peer that answers byte by byte would renew the time-out of the socket for ever.
        watch = threading.Timer(seconds, _cut, (connection,))
        watch.daemon = True
        watch.start()
        try:
            connection.request(
                method, f"{path}?{target.query}" if target.query else path, body, dict(headers)
            )
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryError(f"{_origin(target)} does not answer ({_reason(error)})") from error
        finally:
            watch.cancel()
            connection.close()
        if status not in _SUCCESS:
            raise DeliveryError(f"{_origin(target)} answers {status}")

    def _connection(self, target: SplitResult, seconds: float) -> http.client.HTTPConnection:
        host = target.hostname or ""
        port = target.port or _PORTS[target.scheme]
        if target.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=seconds)


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


def _origin(url: SplitResult) -> str:
    scheme, host, port = _place(url)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or type(error).__name__


def _cut(connection: http.client.HTTPConnection) -> None:
    """End the connection under whoever waits for it."""
    if connection.sock is not None:
        try:
            connection.sock.shutdown(2)
        except OSError:
            return  # it ended by itself
