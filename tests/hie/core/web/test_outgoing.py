"""A name of the outside leads to no address of the inside, and an answer is bounded in size and time."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from hie.core.errors import UnavailableError
from hie.core.web.outgoing import AddressRefusedError, Caller, Destinations, connect, is_permitted


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what the path asks for."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/large")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/large":
            self.wfile.write(b"x" * 100_000)
        if self.path == "/slow":
            for _ in range(100):
                try:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "0.0.0.0",  # noqa: S104 - not bound to
        "::",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "ff02::1",
    ],
)
def test_name_may_not_lead_to_this_machine_nor_beside_it(address: str) -> None:
    assert not is_permitted(address)


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "192.168.1.1", "172.16.0.1", "8.8.8.8", "2400:3200::1", "fd00::1", "::ffff:10.1.2.3"],
)
def test_name_may_lead_into_networks_of_hospitals_and_outside(address: str) -> None:
    assert is_permitted(address)


def test_name_of_this_machine_is_refused_although_it_answers(port: int) -> None:
    name = socket.gethostname()
    try:
        addresses = {str(each[4][0]) for each in socket.getaddrinfo(name, port)}
    except OSError:
        pytest.skip("this machine's name does not resolve")
    if any(is_permitted(each) for each in addresses):
        name = "ip6-localhost"
        try:
            socket.getaddrinfo(name, port)
        except OSError:
            pytest.skip("no name but localhost resolves to loopback here")
    with pytest.raises(AddressRefusedError):
        connect(name, port, 5)
    caller = Caller(Destinations((f"http://{name}:{port}/",)))
    with pytest.raises(UnavailableError, match="its name resolves to an address that may not be called"):
        caller.call("GET", f"http://{name}:{port}/", headers={}, seconds=5)


def test_address_that_the_operator_wrote_stands_for_itself(port: int) -> None:
    for host in ("127.0.0.1", "localhost"):
        caller = Caller(Destinations((f"http://{host}:{port}/",)))
        assert caller.call("GET", f"http://{host}:{port}/", headers={}, seconds=5) == (200, b"")


def test_redirection_is_an_answer_and_not_followed(port: int) -> None:
    caller = Caller(Destinations((f"http://127.0.0.1:{port}/",)))
    url = f"http://127.0.0.1:{port}/redirect"
    assert caller.call("GET", url, headers={}, seconds=5, limit_bytes=10) == (302, b"")


def test_answer_is_bounded_in_size_and_time(port: int) -> None:
    caller = Caller(Destinations((f"http://127.0.0.1:{port}/",)))
    url = f"http://127.0.0.1:{port}"
    status, body = caller.call("GET", f"{url}/large", headers={}, seconds=5, limit_bytes=100_000)
    assert (status, len(body)) == (200, 100_000)
    with pytest.raises(UnavailableError, match="answers more than 99999 bytes"):
        caller.call("GET", f"{url}/large", headers={}, seconds=5, limit_bytes=99_999)
    with pytest.raises(UnavailableError, match="timed out"):
        caller.call("GET", f"{url}/slow", headers={}, seconds=0.5, limit_bytes=1_000)
