"""Which endpoints may be called, and that no peer holds a sender for longer than it is given."""

import socket
import threading
from collections.abc import Iterator

import pytest

from fhir_server.subscriptions.endpoint import Sender
from hie.core.errors import ConfigurationError, DeliveryError
from hie.core.web.outgoing import Destinations

PERMITTED = Destinations(("https://clinic.example/fhir", "http://127.0.0.1:9000"))


@pytest.mark.parametrize(
    "url",
    [
        "https://clinic.example/fhir",
        "https://clinic.example:443/fhir/hook?key=1",
        "https://CLINIC.example/fhir/",
        "http://127.0.0.1:9000/anything",
    ],
)
def test_endpoint_below_a_permitted_url_may_be_called(url: str) -> None:
    assert PERMITTED.refusal(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://clinic.example/fhirless",
        "https://clinic.example/other",
        "https://clinic.example/fhir/../admin",
        "https://clinic.example/fhir/%2e%2E/admin",
        "https://clinic.example.evil.example/fhir",
        "https://clinic.example@evil.example/fhir",
        "https://user:secret@clinic.example/fhir",
        "https://clinic.example:8443/fhir",
        "http://clinic.example/fhir",
        "http://127.0.0.1:90001/",
        "http://127.0.0.1:90/",
        "http://127.1:9000/",
        "ftp://127.0.0.1:9000/",
        "http://127.0.0.1:9000\\@evil.example/",
        "http://127.0.0.1:9000/ a",
        "http://127.0.0.1:9000/\r\nHost: x",
        "http:///hook",
        "hook",
        "",
    ],
)
def test_other_endpoint_may_not_be_called(url: str) -> None:
    assert PERMITTED.refusal(url) is not None


def test_nothing_may_be_called_unless_the_settings_say_so() -> None:
    assert Destinations(()).refusal("http://127.0.0.1:9000/") is not None
    with pytest.raises(ConfigurationError, match="no URL of endpoints"):
        Destinations(("file:///etc",))


@pytest.fixture
def dripping() -> Iterator[str]:
    """The URL of a peer that answers one byte at a time, for ever."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 ")
            while not ended.wait(0.1):
                try:
                    peer.sendall(b"2")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    ended.set()
    thread.join()
    listener.close()


def test_peer_that_answers_byte_by_byte_is_given_up(dripping: str) -> None:
    sender = Sender(Destinations((dripping,)))
    with pytest.raises(DeliveryError, match="does not answer"):
        sender.send("POST", dripping, headers={}, body=b"{}", seconds=0.5)


def test_error_names_neither_path_nor_query() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with pytest.raises(DeliveryError) as raised:
        Sender(Destinations((url,))).send("POST", f"{url}a?key=s3cret", headers={}, body=None, seconds=5)
    assert raised.value.message == f"{url.rstrip('/')} does not answer (Connection refused)"
