"""Keys that others publish as a JWK Set under a URL: of clients, and of an external OpenID provider.

Only URLs under beginnings of the settings are fetched, as `hie.core.web.outgoing` does; size and time are
bounded. A `jku` header of a token is never followed.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from joserfc.jwk import KeySet

from hie.core.clock import Clock
from hie.core.errors import MalformedJSONError, UnavailableError
from hie.core.fhir.json import JsonObject, loads
from hie.core.security_errors import RegistrationError
from hie.core.web.outgoing import Caller, Destinations, origin
from hie.identity.clients import key_set

# SMART lets a server cache keys; a key that was changed is found by its new id at once.
_GOOD_FOR: Final = timedelta(minutes=5)
_LOOK_FOR_UNKNOWN: Final = timedelta(seconds=30)
_SECONDS: Final = 5.0
_LARGEST_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: KeySet
    at: datetime


class PublishedKeys:
    """Fetches JWK Sets and remembers them for some minutes; safe to share between threads."""

    def __init__(self, beginnings: Sequence[str], clock: Clock) -> None:
        """Take the beginnings of the URLs that may be fetched."""
        self._caller = Caller(Destinations(beginnings))
        self._clock = clock
        self._fetched: dict[str, _Fetched] = {}
        self._failed: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def check(self, url: str) -> None:
        """Raise RegistrationError unless `url` may be fetched."""
        if self._caller.destinations.refusal(url) is not None:
            raise RegistrationError("jwks_uri is not below a URL of HIE_CLIENT_JWKS_SOURCES")

    def of(self, url: str, key_id: str) -> KeySet:
        """Return the keys under `url`; fetched again where none of those known has the id `key_id`.

        Raises RegistrationError where they cannot be had or are none.
        """
        self.check(url)
        now = self._clock.now()
        with self._lock:
            known = self._fetched.get(url)
            if known is not None:
                age = now - known.at
                has_key = any(key.kid == key_id for key in known.keys.keys)
                if age < (_GOOD_FOR if has_key else _LOOK_FOR_UNKNOWN):
                    return known.keys
            failed_at = self._failed.get(url)
            if failed_at is not None and now - failed_at < _LOOK_FOR_UNKNOWN:
                raise RegistrationError("The JWK Set could not be fetched a moment ago")
        try:
            keys = key_set(self.fetch(url))
        except (UnavailableError, RegistrationError) as error:
            with self._lock:
                self._failed[url] = now
            raise RegistrationError("The JWK Set cannot be fetched, or is none") from error
        with self._lock:
            self._fetched[url] = _Fetched(keys, now)
            self._failed.pop(url, None)
        return keys

    def fetch(self, url: str) -> JsonObject:
        """Return the JSON object under `url`; raises UnavailableError."""
        status, content = self._caller.call(
            "GET", url, headers={"Accept": "application/json"}, seconds=_SECONDS, limit_bytes=_LARGEST_BYTES
        )
        place = origin(urlsplit(url))
        if status != HTTPStatus.OK:
            raise UnavailableError(f"{place} answers {status}")
        try:
            found = loads(content)
        except MalformedJSONError:
            found = None
        if not isinstance(found, dict):
            raise UnavailableError(f"{place} answers no JSON object")
        return found
