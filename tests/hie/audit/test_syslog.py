"""ITI-20: every record reaches a receiver of syslog in order, when it is chained (RFC 5424, 5425, 6587)."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hie.core.audit.dicom import message
from hie.core.audit.event import render
from hie.core.audit.export import Exporter
from hie.core.audit.record import Record
from hie.core.audit.syslog import Message, sender_of
from hie.core.db.database import Database
from hie.core.errors import ConfigurationError, UnavailableError
from hie.core.fhir.json import loads
from hie.core.settings import Settings
from tests.hie.audit.conftest import CLINICIAN, NOW, read_of

Chained = Callable[[int], Sequence[Record]]
HEAD = re.compile(
    rb"<(\d+)>1 (\S+) (\S+) hie (\S+) IHE\+RFC-3881 \[audit@32473 ([^\]]*)\] \xef\xbb\xbf(<.*)", re.DOTALL
)


class Receiver:
    """Takes messages behind their lengths, on one connection after another."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.messages: list[bytes] = []
        self.arrived = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._take(
                    plain if self._context is None else self._context.wrap_socket(plain, server_side=True)
                )
            except (OSError, ssl.SSLError):
                plain.close()

    def _take(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while True:
                length = b""
                while (sign := file.read(1)) not in (b" ", b""):
                    length += sign
                if not length:
                    return
                content = file.read(int(length))
                with self.arrived:
                    self.messages.append(content)
                    self.arrived.notify_all()

    def wait(self, count: int) -> list[bytes]:
        """Return the messages when so many are there."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, timeout=20), self.messages
            return list(self.messages)

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def settings(url: str, **others: object) -> Settings:
    return Settings(_env_file=None, audit_syslog=url, **others)  # type: ignore[arg-type] # paths, as tests give


def exporter(database: Database, given: Settings) -> Exporter:
    sender = sender_of(given)
    assert sender is not None
    return Exporter(database, sender, given.audit_syslog)


def test_every_record_is_sent_in_order_and_once(
    database: Database, chained: Chained, receiver: Receiver
) -> None:
    records = chained(3)
    made = exporter(database, settings(f"tcp://127.0.0.1:{receiver.port}"))
    assert made.run() == 3
    assert made.run() == 0
    found = [HEAD.fullmatch(each) for each in receiver.wait(3)]
    with database.transaction() as transaction:
        hashes_ = transaction.connection.execute("SELECT hash FROM audit_event ORDER BY seq").fetchall()
    for number, (match, record, (digest,)) in enumerate(zip(found, records, hashes_, strict=True), start=1):
        assert match is not None
        assert match[1] == b"85"  # facility 10, severity 5
        assert datetime.fromisoformat(match[2].decode()) == record.recorded
        assert match[3] == b"web-1"
        assert match[5] == f'seq="{number}" hash="{digest.hex()}" digest="sha256"'.encode()
        assert ET.fromstring(match[6]).tag == "AuditMessage"  # noqa: S314 - our own message
    made.restart(1)
    assert made.run() == 2
    made.close()


def test_receiver_that_is_away_gets_what_it_missed(database: Database, chained: Chained) -> None:
    first = Receiver()
    made = exporter(database, settings(f"tcp://127.0.0.1:{first.port}"))
    chained(1)
    assert made.run() == 1
    first.wait(1)
    made.close()
    first.close()
    chained(2)
    with pytest.raises(UnavailableError, match="syslog"):
        made.run()
    with database.transaction() as transaction:
        assert transaction.connection.execute("SELECT seq FROM audit_export").fetchall() == [(1,)]
    made.close()


def test_udp_sends_each_record_as_one_datagram(database: Database, chained: Chained) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taking:
        taking.bind(("127.0.0.1", 0))
        taking.settimeout(10)
        chained(2)
        made = exporter(database, settings(f"udp://127.0.0.1:{taking.getsockname()[1]}"))
        assert made.run() == 2
        made.close()
        assert all(HEAD.fullmatch(taking.recv(65_535)) for _ in range(2))


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return files of a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def test_tls_is_spoken_with_a_receiver_whose_certificate_is_trusted_and_with_no_other(
    database: Database, chained: Chained, tmp_path: Path
) -> None:
    trusted, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, key)
    receiver = Receiver(context)
    chained(2)
    url = f"tls://localhost:{receiver.port}"
    stranger = exporter(database, settings(url))
    with pytest.raises(UnavailableError, match="SSLCertVerificationError"):
        stranger.run()
    known = exporter(database, settings(url, audit_syslog_ca=trusted))
    assert known.run() == 2
    assert len(receiver.wait(2)) == 2
    known.close()
    receiver.close()


@pytest.mark.parametrize("url", ["http://a.example", "tcp://", "a.example:514"])
def test_receiver_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="HIE_AUDIT_SYSLOG"):
        sender_of(settings(url))


def test_structured_data_and_names_are_escaped() -> None:
    made = Message(NOW, "a host", "1", b"<x/>", 4, (("name", 'a"b]c\\d'),)).encode()
    assert made == (
        b"<84>1 2026-03-04T05:06:07.000Z ahost hie 1 IHE+RFC-3881"
        b' [audit@32473 name="a\\"b\\]c\\\\d"] \xef\xbb\xbf<x/>'
    )


def test_dicom_message_says_what_the_event_says() -> None:
    from hie.core.audit.record import encode

    record = read_of(7)
    record.status = 403
    root = ET.fromstring(message(render(loads(encode(record, "web-1")))))  # noqa: S314 - the same
    event = root.find("EventIdentification")
    assert event is not None
    assert event.attrib == {
        "EventActionCode": "R",
        "EventDateTime": "2026-03-04T05:06:14Z",
        "EventOutcomeIndicator": "4",
    }
    assert [each.get("csd-code") for each in event] == ["rest", "read", None, "TREAT"]
    people = root.findall("ActiveParticipant")
    assert [each.get("UserIsRequestor") for each in people] == ["false", "false", "true"]
    assert people[2].get("UserID") == f"Practitioner/{CLINICIAN.practitioner}"
    assert people[0].get("NetworkAccessPointID") == "10.0.0.7"
    objects = root.findall("ParticipantObjectIdentification")
    assert [each.get("ParticipantObjectID") for each in objects] == [
        "Patient/7",
        "Patient/7",
        "request-7",
    ]
    assert objects[0].get("ParticipantObjectTypeCodeRole") == "1"
