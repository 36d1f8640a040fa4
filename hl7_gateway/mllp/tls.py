"""TLS of the MLLP listener: its certificate, and whose certificates it takes.

Both sides show a certificate (https://profiles.ihe.net/ITI/TF/Volume2/ITI-19.html, Authenticate Node); TLS
1.2 or later (https://www.rfc-editor.org/rfc/rfc9325#section-3.1.1). Not here: which sender a certificate is
(`hl7_gateway.certificates`).
"""

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hie.core.errors import ConfigurationError
from hl7_gateway.conveyor import Certificate


class ListenerTLS:
    """The context of a listener; renewed certificates are taken without a restart."""

    def __init__(self, certificate: Path, key: Path, authorities: Path) -> None:
        """Take PEM files; raises ConfigurationError where they cannot be used.

        `authorities` are the certificates that those of senders must be signed by.
        """
        self._certificate, self._key = certificate, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.verify_mode = ssl.CERT_REQUIRED
        # renegotiation would change the peer under a connection
        self.context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            self.context.load_verify_locations(authorities)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"HIE_MLLP_AUTHORITIES: {authorities} cannot be used") from error
        self._load()
        self._loaded = self._written()

    def refresh(self) -> bool:
        """Take the certificate anew if its file was changed, for connections to come; return whether it was.

        Raises ConfigurationError for one that cannot be used; the earlier one stays.
        """
        written = self._written()
        if written == self._loaded:
            return False
        self._loaded = written
        # first apart: half a pair in the context would break it
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
        self._load()
        return True

    def _load(self) -> None:
        try:
            self.context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            reason = f"HIE_MLLP_CERTIFICATE and HIE_MLLP_KEY: {self._certificate} and {self._key} are no pair"
            raise ConfigurationError(reason) from error

    def _written(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in (self._certificate, self._key))
        except OSError:
            return self._loaded  # between deletion and renewal


def client_context(authorities: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return the context of a sender; `authorities` are those that the listener's is signed by.

    Raises ConfigurationError where a file cannot be used.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if authorities is not None:
            context = ssl.create_default_context(cafile=str(authorities))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"The certificates cannot be used ({type(error).__name__})") from error
    return context


def certificate_of(der: bytes) -> Certificate:
    """Return what a sender's certificate says, from its DER."""
    read = x509.load_der_x509_certificate(der)
    return Certificate(read.fingerprint(hashes.SHA256()).hex(), read.subject.rfc4514_string())
