"""Cross-origin requests: which pages of other origins may call the FHIR API from a browser.

https://fetch.spec.whatwg.org/#http-cors-protocol; https://hl7.org/fhir/R4/security.html#cors. An operator
names the origins; without any, browsers refuse. Cookies are never sent along, so a page of another origin
acts by a token that it holds and not by the session of whoever looks at it.
"""

from collections.abc import Sequence
from typing import Final, TypedDict

# Headers of answers that clients of FHIR read: https://hl7.org/fhir/R4/http.html#Http-Headers, async.html.
_EXPOSED: Final = (
    *("Content-Location", "ETag", "Expires", "Last-Modified", "Link", "Location", "Retry-After"),
    *("WWW-Authenticate", "X-Progress", "X-Security-Context"),
)
_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_PREFLIGHT_SECONDS: Final = 600


class Rules(TypedDict):
    """The arguments of `starlette.middleware.cors.CORSMiddleware`."""

    allow_origins: Sequence[str]
    allow_methods: Sequence[str]
    allow_headers: Sequence[str]
    expose_headers: Sequence[str]
    allow_credentials: bool
    max_age: int


def rules(origins: Sequence[str]) -> Rules:
    """Return what pages of `origins` may do: all that the API has, with any header, without cookies."""
    return {
        "allow_origins": list(origins),
        "allow_methods": list(_METHODS),
        "allow_headers": ["*"],
        "expose_headers": list(_EXPOSED),
        "allow_credentials": False,
        "max_age": _PREFLIGHT_SECONDS,
    }
