"""Which senders a certificate speaks for: the file of HIE_MLLP_SENDERS (YAML).

    - fingerprint: 3a7b...        # SHA-256 of the certificate in DER, hexadecimal
      senders: ["HIS|H1", "LIS|H1"]
    - subject: CN=his.h2.example,O=Second Hospital
      senders: ["*|H2"]           # any application of the facility

Senders are MSH-3 and MSH-4, as the directory of senders names them. A subject is written as RFC 4514 says;
it survives a renewal, a fingerprint does not.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from hie.core.errors import ConfigurationError
from hie.core.security_errors import SenderCertificateError
from hl7_gateway.conveyor import Certificate


class CertificateSenders(BaseModel):
    """One certificate, by fingerprint or subject, and the senders that it speaks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str = ""
    subject: str = ""
    senders: tuple[str, ...]

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if bool(self.fingerprint) == bool(self.subject):
            raise ValueError("a certificate is named by fingerprint or by subject")
        if any("|" not in each for each in self.senders):
            raise ValueError("a sender is MSH-3|MSH-4")
        return self

    def is_of(self, certificate: Certificate) -> bool:
        """Return whether this is `certificate`."""
        plain = self.fingerprint.replace(":", "").lower()
        return plain == certificate.fingerprint if plain else self.subject == certificate.subject


class Certificates:
    """The certificates of one process; without a file any connection may send for anybody."""

    def __init__(self, file: Path | None) -> None:
        """Read the file; raises ConfigurationError."""
        self._file = file
        self._known = () if file is None else _read(file)
        self._written = 0 if file is None else file.stat().st_mtime_ns

    def refresh(self) -> None:
        """Read the file again if it was changed; raises ConfigurationError, and keeps what was known."""
        if self._file is None or not self._file.exists():
            return
        written = self._file.stat().st_mtime_ns
        if written != self._written:
            self._written = written
            self._known = _read(self._file)

    def check(self, certificate: Certificate | None, application: str, facility: str) -> None:
        """Raise SenderCertificateError unless the certificate speaks for the sender."""
        if self._file is None:
            return
        if certificate is None:
            raise SenderCertificateError("The connection showed no certificate", location="MSH-3")
        name = f"{application}|{facility}"
        for each in self._known:
            if each.is_of(certificate) and any(_is_meant(pattern, name) for pattern in each.senders):
                return
        reason = f"The certificate of the connection does not speak for {name}"
        raise SenderCertificateError(reason, location="MSH-3")


def _is_meant(pattern: str, name: str) -> bool:
    """Return whether the name is the pattern's, part by part: an asterisk never reaches over the bar."""
    return all(
        fnmatchcase(part, wanted)
        for part, wanted in zip(name.split("|", 1), pattern.split("|", 1), strict=True)
    )


def _read(file: Path) -> tuple[CertificateSenders, ...]:
    adapter = TypeAdapter(tuple[CertificateSenders, ...])
    try:
        return adapter.validate_python(yaml.safe_load(file.read_text(encoding="utf-8")) or ())
    except OSError as error:
        raise ConfigurationError(f"HIE_MLLP_SENDERS: {file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"HIE_MLLP_SENDERS: {file} is no YAML") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigurationError(f"HIE_MLLP_SENDERS: {first['loc']}: {first['msg']}") from error
