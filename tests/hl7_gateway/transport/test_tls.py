"""MLLP by mutual TLS: real sockets, certificates of an authority that the test makes."""

import ipaddress
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from hie.core.errors import ConfigurationError
from hie.core.settings import Settings
from hie.wiring import Exchange
from hl7_gateway.certificates import Certificates
from hl7_gateway.client import MLLPConnection
from hl7_gateway.convert.engine import Engine
from hl7_gateway.conveyor import Certificate
from hl7_gateway.er7.reader import read
from hl7_gateway.mllp.tls import client_context
from hl7_gateway.server import Gateway
from tests.hl7_gateway.transport.conftest import CLOCK
from tests.hl7_gateway.transport.listening import Running, running

ADT = (
    "MSH|^~\\&|{application}|{facility}|HIE|CITY|20261122083000||ADT^A04|{id}|P|2.5\r"
    "PID|1||900001^^^H1^MR||Test^One||19800101|M\rPV1|1|O\r"
)


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, in PEM files."""

    certificate: Path
    key: Path
    fingerprint: str

    @property
    def context(self) -> ssl.SSLContext:
        """The context of a sender that shows it."""
        return client_context(self.certificate.parent / "ca.pem", self.certificate, self.key)


class Authority:
    """A certificate authority with its certificate in `ca.pem`."""

    def __init__(self, folder: Path) -> None:
        """Make its key."""
        self.folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority")
        certificate = self._sign(self._name, self._key, is_authority=True)
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def pair(self, name: str, *, file: str = "", days: int = 10) -> Pair:
        """Return a certificate whose subject is CN=`name`, good for 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(name), key, is_authority=False, days=days)
        paths = self.folder / f"{file or name}.pem", self.folder / f"{file or name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Pair(*paths, certificate.fingerprint(hashes.SHA256()).hex())

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool, days: int = 10
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=20))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Secured:
    """A gateway that speaks TLS, and the pairs of two hospitals that it knows."""

    port: int
    listening: Running
    authority: Authority
    own: Pair
    first: Pair
    second: Pair
    senders: Path


@pytest.fixture
def secured(exchange: Exchange, engine: Engine, tmp_path: Path) -> Iterator[Secured]:
    authority = Authority(tmp_path / "ca")
    own, first, second = (authority.pair(name) for name in ("gateway", "his.h1", "his.h2"))
    senders = tmp_path / "senders.yaml"
    senders.write_text(
        f"- {{fingerprint: '{first.fingerprint}', senders: ['HIS|H1']}}\n"
        "- {subject: CN=his.h2, senders: ['*|H2']}\n"
    )
    settings = Settings(
        _env_file=None,
        mllp_certificate=own.certificate,
        mllp_key=own.key,
        mllp_authorities=authority.folder / "ca.pem",
        mllp_senders=senders,
    )
    gateway = Gateway(
        settings, database=exchange.database, store=exchange.repository, engine=engine, clock=CLOCK
    )
    with running(gateway.listener()) as found:
        yield Secured(found.port, found, authority, own, first, second, senders)


def send(
    port: int, context: ssl.SSLContext | None, application: str, facility: str, number: str = "1"
) -> tuple[str, str]:
    """Return MSA-1 and the text of ERR of one message."""
    text = ADT.format(application=application, facility=facility, id=number)
    with MLLPConnection("127.0.0.1", port, timeout=20, tls=context) as connection:
        answer = read(connection.send(text.encode()))
    msa, err = answer.first("MSA"), answer.first("ERR")
    assert msa is not None
    return msa.first(1), "" if err is None else err.first(8)


def test_certificate_speaks_for_its_senders_alone(secured: Secured, exchange: Exchange) -> None:
    first, second = secured.first.context, secured.second.context
    assert send(secured.port, first, "HIS", "H1", "a") == ("AA", "")
    assert send(secured.port, second, "LIS", "H2", "b") == ("AA", "")
    for context, application, facility in ((first, "LIS", "H1"), (first, "HIS", "H2"), (second, "HIS", "H1")):
        code, text = send(secured.port, context, application, facility, "c")
        assert (code, f"{application}|{facility}" in text) == ("AR", True)
    with exchange.database.transaction() as transaction:
        rows = transaction.connection.execute("SELECT body FROM audit_pending ORDER BY id").fetchall()
        senders = transaction.connection.execute("SELECT application, facility FROM sender").fetchall()
    records = [orjson.loads(row[0]) for row in rows]
    refused = [each for each in records if each["status"] == 403]
    assert {each["detail"]["certificate"] for each in refused} == {
        secured.first.fingerprint,
        secured.second.fingerprint,
    }
    assert len(refused) == 3
    assert {tuple(row) for row in senders} == {("HIS", "H1"), ("LIS", "H2")}


def test_forged_control_id_does_not_stop_the_message_of_its_sender(secured: Secured) -> None:
    assert send(secured.port, secured.second.context, "HIS", "H1", "same")[0] == "AR"
    assert send(secured.port, secured.first.context, "HIS", "H1", "same")[0] == "AA"


def test_connection_without_a_certificate_of_the_authority_is_refused(
    secured: Secured, tmp_path: Path
) -> None:
    trusting = client_context(secured.authority.folder / "ca.pem", None, None)
    stranger = Authority(tmp_path / "other").pair("his.h2")
    forged = client_context(secured.authority.folder / "ca.pem", stranger.certificate, stranger.key)
    expired = secured.authority.pair("his.h2", file="expired", days=-1).context
    for context in (trusting, forged, expired, None):
        with pytest.raises(Exception, match=r"closed|answers|acknowledgment"):
            send(secured.port, context, "HIS", "H2")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")  # old is what is tested
def test_listener_refuses_tls_before_1_2(secured: Secured) -> None:
    context = secured.first.context
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", secured.port), 10) as plain,
        pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|EOF"),
        context.wrap_socket(plain, server_hostname="127.0.0.1"),
    ):
        pass


def test_sender_does_not_speak_to_a_listener_of_another_authority(secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    context = client_context(other.folder / "ca.pem", secured.first.certificate, secured.first.key)
    with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
        send(secured.port, context, "HIS", "H1")


def test_renewed_certificate_and_senders_are_taken_without_a_restart(secured: Secured) -> None:
    renewed = secured.authority.pair("gateway")
    assert secured.listening.listener._tls is not None
    assert secured.listening.listener._tls.refresh()
    assert not secured.listening.listener._tls.refresh()
    with (
        socket.create_connection(("127.0.0.1", secured.port), 10) as plain,
        secured.first.context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        shown = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    assert shown.fingerprint(hashes.SHA256()).hex() == renewed.fingerprint
    renewed.key.write_text("no key")
    with pytest.raises((ConfigurationError, ssl.SSLError)):
        secured.listening.listener._tls.refresh()
    assert send(secured.port, secured.first.context, "HIS", "H1", "x")[0] == "AA"


def test_file_of_senders_is_read_again_when_it_was_changed(tmp_path: Path) -> None:
    file = tmp_path / "senders.yaml"
    file.write_text("- {subject: CN=a, senders: ['A|H']}\n")
    found, shown = Certificates(file), Certificate("00", "CN=a")
    found.check(shown, "A", "H")
    with pytest.raises(Exception, match=r"B\|H"):
        found.check(shown, "B", "H")
    file.write_text("- {subject: CN=a, senders: ['B|H']}\n")
    os.utime(file, ns=(1, 1))
    found.refresh()
    found.check(shown, "B", "H")
    file.write_text("- {subject: CN=a}\n")
    with pytest.raises(ConfigurationError):
        found.refresh()
    found.check(shown, "B", "H")


@pytest.mark.parametrize(
    ("pattern", "name", "holds"),
    [
        ("HIS|H1", "HIS|H1", True),
        ("*|H1", "LIS|H1", True),
        ("*|H1", "X|H2", False),
        ("*|H1", "A|B|H1", False),
        ("HIS|*", "HIS|H9", True),
        ("his|H1", "HIS|H1", False),
    ],
)
def test_pattern_of_senders(tmp_path: Path, pattern: str, name: str, *, holds: bool) -> None:
    file = tmp_path / "senders.yaml"
    file.write_text(f"- {{subject: CN=a, senders: ['{pattern}']}}\n")
    application, facility = name.split("|", 1)
    if holds:
        Certificates(file).check(Certificate("00", "CN=a"), application, facility)
    else:
        with pytest.raises(Exception, match="does not speak for"):
            Certificates(file).check(Certificate("00", "CN=a"), application, facility)


@pytest.mark.parametrize(
    "given",
    [
        {"mllp_certificate": "a.pem"},
        {"mllp_certificate": "a.pem", "mllp_key": "a.key"},
        {"mllp_senders": "s.yaml"},
        {"mllp_host": "192.0.2.1", "mllp_certificate": "a", "mllp_key": "b", "mllp_authorities": "c"},
    ],
)
def test_half_a_configuration_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="HIE_MLLP"):
        Settings.model_validate(given)


def test_listener_with_certificates_and_senders_may_leave_loopback() -> None:
    files = {"mllp_certificate": "a", "mllp_key": "b", "mllp_authorities": "c", "mllp_senders": "d"}
    assert Settings.model_validate({"mllp_host": "192.0.2.1", **files}).mllp_host == "192.0.2.1"


def test_command_sends_by_tls(secured: Secured, tmp_path: Path) -> None:
    message = tmp_path / "m.hl7"
    message.write_text(ADT.format(application="HIS", facility="H1", id="cli"))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "hie", "send", str(message), "--to", f"127.0.0.1:{secured.port}"),
            *("--ca", str(secured.authority.folder / "ca.pem")),
            *("--certificate", str(secured.first.certificate), "--key", str(secured.first.key)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split()[:2] == ["AA", "cli"], done
