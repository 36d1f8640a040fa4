"""Endpoints of rest-hooks: one HTTP request to one of them.

Which may be called, and how without leading into the network behind this server, is
`hie.core.web.outgoing`'s. Headers and bodies are never logged.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from hie.core.errors import DeliveryError, UnavailableError
from hie.core.web.outgoing import Caller, Destinations, origin

_SUCCESS: Final = range(200, 300)


class Sender:
    """Sends notifications; safe to share between threads."""

    def __init__(self, endpoints: Destinations) -> None:
        """Take what may be called."""
        self.endpoints = endpoints
        self._caller = Caller(endpoints)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> None:
        """Send one request; return when its answer says success.

        `seconds` is the time for all of it. Raises DeliveryError with what came instead of a success,
        in words that hold neither header nor query.
        """
        try:
            status, _ = self._caller.call(method, url, headers=headers, body=body, seconds=seconds)
        except UnavailableError as error:
            raise DeliveryError(error.message) from error
        if status not in _SUCCESS:
            raise DeliveryError(f"{origin(urlsplit(url))} answers {status}")
