"""The server on a real socket: messages that two servers could read differently, and answers that split.

RFC 9112, 6.3 and 11.2 (request smuggling), 3.2 (Host), 5.2 (folded lines); RFC 9110, 5.5 (controls).
"""

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fhir_server.clients.serving import served

SEARCH = b"POST /fhir/Patient/_search HTTP/1.1\r\n%sContent-Type: application/x-www-form-urlencoded\r\n"
HEALTH = b"GET /health HTTP/1.1\r\n"
LAST = b"Connection: close\r\n"
# What an attacker would have the next reader of the connection take for a request.
NEXT = b"GET /health HTTP/1.1\r\n%s\r\n"

AMBIGUOUS = {
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": b"Content-Length: 0, 5\r\n\r\nhello",
    "a signed length": b"Content-Length: +5\r\n\r\nhello",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a hexadecimal length": b"Content-Length: 0x5\r\n\r\nhello",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding after chunked": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded line": b"X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare CR": b"X-A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a NUL": b"X-A: b\x00c\r\n\r\n",
    "a chunk of more than 64 bits": b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n",
    "a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def address(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The host and port of `hie serve`."""
    with served(server_url, template, tmp_path_factory.mktemp("served")) as url:
        yield urlsplit(url).netloc


def sent(address: str, message: bytes) -> tuple[list[int], bool, bytes]:
    """Return the statuses of all answers to `message`, whether the connection was ended, and all of it."""
    host, _, port = address.rpartition(":")
    answer = b""
    with socket.create_connection((host, int(port))) as connection:
        connection.settimeout(1)
        connection.sendall(message)
        is_closed = False
        while not is_closed:
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                break
            except ConnectionResetError:
                piece = b""
            answer += piece
            is_closed = not piece
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]
    return statuses, is_closed, answer


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_message_that_can_be_read_in_two_ways_is_refused_and_ends_the_connection(
    address: str, name: str
) -> None:
    host = f"Host: {address}\r\n".encode()
    statuses, is_closed, _ = sent(address, SEARCH % host + AMBIGUOUS[name] + NEXT % host)
    assert (statuses, is_closed) == ([400], True)


@pytest.mark.parametrize("is_length_first", [True, False])
def test_length_and_coding_together_end_the_connection(address: str, *, is_length_first: bool) -> None:
    host = f"Host: {address}\r\n".encode()
    both = [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]
    headers = b"".join(both if is_length_first else both[::-1])
    statuses, is_closed, _ = sent(address, SEARCH % host + headers + b"\r\n0\r\n\r\n" + NEXT % host)
    assert (len(statuses), is_closed) == (1, True)


@pytest.mark.parametrize(
    "hosts",
    ["", "Host: {own}\r\nHost: evil.example\r\n", "Host: evil.example\r\nHost: {own}\r\n", "Host: evil\r\n"],
    ids=["none", "another behind", "another before", "another"],
)
def test_request_without_its_one_host_is_refused(address: str, hosts: str) -> None:
    statuses, _, _ = sent(address, HEALTH + hosts.format(own=address).encode() + LAST + b"\r\n")
    assert statuses == [400]


def test_headers_without_end_are_refused(address: str) -> None:
    host = f"Host: {address}\r\n".encode()
    for many in (
        b"X-A: " + b"a" * 2_000_000 + b"\r\n",
        b"".join(b"X-%d: a\r\n" % each for each in range(1000)),
    ):
        statuses, is_closed, _ = sent(address, HEALTH + host + many + b"\r\n")
        assert (statuses, is_closed) == ([431], True)


def test_trace_and_connect_give_nothing_back(address: str) -> None:
    host = f"Host: {address}\r\n".encode()
    statuses, _, answer = sent(
        address, b"TRACE /health HTTP/1.1\r\n" + host + LAST + b"Cookie: a=secret\r\n\r\n"
    )
    assert (statuses, b"secret" in answer) == ([405], False)
    statuses, _, answer = sent(address, b"CONNECT 127.0.0.1:5432 HTTP/1.1\r\n" + host + LAST + b"\r\n")
    assert statuses[0] >= 300
    assert b"5432" not in answer


def test_what_is_sent_begins_no_header_of_an_answer(address: str) -> None:
    splits = ("%0d%0aX-Split: yes", "%0aX-Split: yes", "%E5%98%8A%E5%98%8DX-Split: yes")
    for split in splits:
        for path in (
            f"/fhir/Patient/{split}",
            f"/fhir/Patient?_format={split}",
            f"/fhir/{split}",
            f"/static/{split}",
            f"/sign-in?back=/{split}",
            f"/patients/{split}",
        ):
            line = f"GET {path.replace(' ', '%20')} HTTP/1.1\r\nHost: {address}\r\n"
            _, _, answer = sent(address, line.encode() + LAST + b"\r\n")
            assert answer.startswith(b"HTTP/1.1 "), path
            assert b"x-split" not in answer.partition(b"\r\n\r\n")[0].lower(), path
    data = {"resourceType": "Binary", "id": "b", "contentType": "text/plain\r\nX-Split: yes", "data": "eA=="}
    data["securityContext"] = {"reference": "Patient/x\r\nX-Split: yes"}  # type: ignore[assignment] # an object among texts
    httpx.put(f"http://{address}/fhir/Binary/b", json=data, headers={"content-type": "application/fhir+json"})
    line = f"GET /fhir/Binary/b HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n"
    _, _, answer = sent(address, line.encode() + LAST + b"\r\n")
    assert b"x-split" not in answer.partition(b"\r\n\r\n")[0].lower()
