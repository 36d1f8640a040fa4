"""Who may read the metrics without a token, and who with one."""

import pytest
from starlette.types import Scope

from hie.core.access import ANONYMOUS, Requester, Role
from hie.core.errors import ForbiddenError
from hie.core.web.scraping import Scraping, require_reader


def _scope(address: str, path: str = "/metrics", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Scope:
    return {"type": "http", "path": path, "client": (address, 1234), "headers": list(headers)}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_reads_the_metrics_without_a_token(address: str) -> None:
    scraping = Scraping(("127.0.0.0/8", "::1/128"))
    assert scraping.is_open(_scope(address))
    assert not scraping.is_open(_scope(address, path="/fhir/Patient"))
    assert not scraping.is_open(_scope(address, path="/metrics/"))


@pytest.mark.parametrize("address", ["192.0.2.7", "::2", "::ffff:192.0.2.7", "unix", ""])
def test_other_address_needs_a_token_unless_its_network_is_named(address: str) -> None:
    assert not Scraping(("127.0.0.0/8", "::1/128")).is_open(_scope(address))
    assert Scraping(("192.0.2.0/24",)).is_open(_scope("192.0.2.7"))
    assert not Scraping(()).is_open(_scope("127.0.0.1"))


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"])
def test_what_a_proxy_forwards_needs_a_token(name: bytes) -> None:
    forwarded = _scope("127.0.0.1", headers=((name, b"127.0.0.1"),))
    assert not Scraping(("127.0.0.0/8",)).is_open(forwarded)


@pytest.mark.parametrize("role", Role)
def test_person_reads_the_metrics_by_role(role: Role) -> None:
    who = Requester("person", "1", roles=frozenset({role}))
    if role in {Role.OPERATOR, Role.SYSTEM_ADMINISTRATOR}:
        require_reader(who)
    else:
        with pytest.raises(ForbiddenError):
            require_reader(who)


def test_program_on_its_own_behalf_reads_the_metrics() -> None:
    require_reader(Requester("client", "monitor", scopes=("system/Patient.r",)))
    require_reader(ANONYMOUS)
