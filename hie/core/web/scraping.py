"""Who may read `/metrics`: monitoring on this machine without a token, anybody else by role.

A scraper of Prometheus on the same machine needs no secret that way. A proxy on this machine speaks for
others, so what was forwarded needs a token wherever it comes from.
"""

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from hie.core.access import Requester, Role
from hie.core.errors import ForbiddenError

PATH: Final = "/metrics"
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_READERS: Final = frozenset({Role.OPERATOR, Role.SYSTEM_ADMINISTRATOR})


class Scraping:
    """The networks that need no token for `/metrics`."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Take the networks as CIDR texts."""
        self._networks = [ip_network(each) for each in networks]

    def is_open(self, scope: Scope) -> bool:
        """Return whether the request asks for the metrics, directly from one of the networks."""
        if scope["path"] != PATH or not scope.get("client"):
            return False
        headers = Headers(scope=scope)
        if any(name in headers for name in _FORWARDED):
            return False
        try:
            address = ip_address(scope["client"][0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address.version == each.version and address in each for each in self._networks)


def require_reader(requester: Requester) -> None:
    """Raise ForbiddenError for a person who may not read the metrics.

    Programs on their own behalf may, and nobody known was let in by the network that it came from.
    """
    if requester.kind == "person" and _READERS.isdisjoint(requester.roles):
        raise ForbiddenError("The metrics are for operators and system administrators")
