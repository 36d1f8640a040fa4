"""A hardware security module as strict as the real ones, for the port of key providers.

Keys live inside and are only named; a session must be open; secrets have a largest size; what was wrapped
is opaque, and opens with the same key and associated data alone. The port's contract is tested with it, since
there is no module on a test machine; `HardwareKeys` is what an adapter to a real one looks like.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hie.core.errors import ConfigurationError
from hie.core.security_errors import CiphertextError, KeyProviderError

_LARGEST = 4096
_IV = 12


class ModuleError(Exception):
    """What a module answers with: a code of PKCS#11 3.0, 6.1 (CKR_...)."""


class Module:
    """The module: a token with keys that never leave it."""

    def __init__(self, pin: str) -> None:
        self._pin = pin
        self._is_open = False
        self._keys: dict[str, AESGCM] = {}

    def login(self, pin: str) -> None:
        """Open the session."""
        if pin != self._pin:
            raise ModuleError("CKR_PIN_INCORRECT")
        self._is_open = True

    def logout(self) -> None:
        """Close it."""
        self._is_open = False

    def labels(self) -> list[str]:
        """Return the names of the keys."""
        self._check()
        return list(self._keys)

    def generate(self, label: str) -> None:
        """Make a key."""
        self._check()
        if label in self._keys:
            raise ModuleError("CKR_TEMPLATE_INCONSISTENT")
        self._keys[label] = AESGCM(AESGCM.generate_key(256))

    def encrypt(self, label: str, text: bytes, associated: bytes) -> bytes:
        """Return what `decrypt` takes."""
        if len(text) > _LARGEST:
            raise ModuleError("CKR_DATA_LEN_RANGE")
        vector = os.urandom(_IV)
        return vector + self._find(label).encrypt(vector, text, associated)

    def decrypt(self, label: str, sealed: bytes, associated: bytes) -> bytes:
        """Return the text."""
        try:
            return self._find(label).decrypt(sealed[:_IV], sealed[_IV:], associated)
        except (InvalidTag, ValueError) as error:
            raise ModuleError("CKR_ENCRYPTED_DATA_INVALID") from error

    def destroy(self, label: str) -> None:
        """Destroy a key."""
        self._find(label)
        del self._keys[label]

    def _find(self, label: str) -> AESGCM:
        self._check()
        if label not in self._keys:
            raise ModuleError("CKR_KEY_HANDLE_INVALID")
        return self._keys[label]

    def _check(self) -> None:
        if not self._is_open:
            raise ModuleError("CKR_USER_NOT_LOGGED_IN")


class HardwareKeys:
    """Key-encryption keys in a module."""

    name = "hardware"

    def __init__(self, module: Module) -> None:
        self.module = module

    def key_ids(self) -> Sequence[str]:
        """Return the names of the keys."""
        try:
            return self.module.labels()
        except ModuleError as error:
            raise _meant(error, "") from error

    def make(self, key_id: str) -> None:
        """Make a key that is not there."""
        if key_id not in self.key_ids():
            self.module.generate(key_id)

    def wrap(self, key_id: str, secret: bytes, *, context: bytes) -> bytes:
        """Return `secret` encrypted."""
        try:
            return self.module.encrypt(key_id, secret, context)
        except ModuleError as error:
            raise _meant(error, key_id) from error

    def unwrap(self, key_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Return the secret."""
        try:
            return self.module.decrypt(key_id, wrapped, context)
        except ModuleError as error:
            raise _meant(error, key_id) from error

    def destroy(self, key_id: str) -> None:
        """Destroy a key that is there."""
        if key_id in self.key_ids():
            self.module.destroy(key_id)


def _meant(error: ModuleError, key_id: str) -> Exception:
    match str(error):
        case "CKR_KEY_HANDLE_INVALID":
            return ConfigurationError(f"There is no key-encryption key `{key_id}` in the module")
        case "CKR_ENCRYPTED_DATA_INVALID":
            return CiphertextError(f"What the key `{key_id}` should open was not wrapped with it")
        case "CKR_DATA_LEN_RANGE":
            return ValueError("The secret is too long")
        case _:
            return KeyProviderError(f"The module says {error}")
