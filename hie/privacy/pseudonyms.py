"""Pseudonyms of one project: the same for the same resource, unlike those of every other project.

HMAC (RFC 2104) with the project's key: without the key nobody can make a pseudonym of an id, or test a guess;
with it nobody can turn one back but by trying ids (GB/T 37964-2019, pseudonymisation by keyed hash).
"""

from base64 import b32encode
from dataclasses import dataclass
from typing import Final

from hie.core.crypto.digest import DigestName, mac_of

KEY_BYTES: Final = 32
# 130 bits, of which 128 are random: two of 10^12 ids collide with a probability below 10^-14.
_SIGNS: Final = 26
_MOST_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Pseudonyms under `key`, 32 bytes that only this project has."""

    key: bytes
    digest: DigestName = "sha256"

    def of(self, resource_type: str, resource_id: str) -> str:
        """Return the id that stands for a resource's: 26 letters and digits."""
        made = mac_of(self.digest, self.key, f"id|{resource_type}/{resource_id}".encode())
        return b32encode(made).decode()[:_SIGNS].lower()

    def days_of(self, patient_id: str) -> int:
        """Return by how many days all dates of a patient are moved back, from 1 to 365."""
        made = mac_of(self.digest, self.key, f"days|Patient/{patient_id}".encode())
        return 1 + int.from_bytes(made[:8]) % _MOST_DAYS
