"""ClamAV's daemon by INSTREAM: https://docs.clamav.net/manual/Usage/ClamdProtocol.html."""

import socket
from pathlib import Path

import pytest

from fhir_server.attachments.clamd import Clamd
from hie.core.errors import ConfigurationError
from hie.core.security_errors import ScannerError
from tests.fhir_server.attachments.scanner import EICAR, scanner


def test_clean_content_of_any_size_is_sent_whole() -> None:
    contents = [b"", b"x", bytes(range(256)) * 1024, b"y" * (64 * 1024)]
    with scanner() as daemon:
        found = [Clamd(daemon.address, seconds=5).threat(each) for each in contents]
    assert found == [None] * len(contents)
    assert daemon.scanned == contents


def test_what_is_found_has_its_name(tmp_path: Path) -> None:
    with scanner(tmp_path / "clamd.ctl") as daemon:
        clamd = Clamd(daemon.address, seconds=5)
        assert clamd.threat(bytes(100_000) + EICAR) == "Eicar-Test-Signature"
        assert clamd.threat(EICAR[:-1]) is None


def test_content_beyond_the_limit_of_the_daemon_is_not_called_clean() -> None:
    with scanner(most_bytes=1000) as daemon, pytest.raises(ScannerError, match="size limit exceeded"):
        Clamd(daemon.address, seconds=5).threat(bytes(10 * 1024 * 1024))


def test_daemon_that_says_nothing_is_given_up() -> None:
    with scanner(is_silent=True) as daemon, pytest.raises(ScannerError, match="timed out"):
        Clamd(daemon.address, seconds=0.2).threat(b"x")


def test_daemon_that_is_away_is_no_clean_result() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ScannerError, match="does not answer"):
            Clamd(f"tcp://127.0.0.1:{unused.getsockname()[1]}", seconds=5).threat(b"x")


def test_daemon_that_closes_without_a_word_is_no_clean_result() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clamd = Clamd(f"tcp://127.0.0.1:{listener.getsockname()[1]}", seconds=0.3)
        listener.close()
        with pytest.raises(ScannerError):
            clamd.threat(b"x")


@pytest.mark.parametrize(
    "address",
    ["clamd:3310", "tcp://clamd", "tcp://clamd:x", "unix://clamd.ctl", "http://clamd:3310", "tcp://:1"],
)
def test_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="no address of clamd"):
        Clamd(address, seconds=1)
