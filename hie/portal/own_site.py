"""A form changes something only when it was sent from a page of this site.

Browsers say where a request comes from: by Fetch Metadata
(https://www.w3.org/TR/fetch-metadata/, section 2.3), older ones by the Origin of a POST
(https://fetch.spec.whatwg.org/#origin-header). No page of another site can set either; programs that send
neither hold no cookie of a reader.
"""

from typing import Final
from urllib.parse import urlsplit

from fastapi import Request

from hie.core.errors import RequestError

# A form of this site, or an address that the reader typed.
_OWN_SITES: Final = {"same-origin", "none"}


def require_own_site(request: Request) -> None:
    """Raise RequestError unless `request` was sent from a page of this site."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        is_own = site in _OWN_SITES
    else:
        is_own = origin is None or urlsplit(origin).netloc == request.headers.get("Host")
    if not is_own:
        raise RequestError("A form is sent from a page of this site only")
