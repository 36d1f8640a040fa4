"""Key-encryption keys in ``HIE_KEY_ENCRYPTION_KEYS``, which what starts the processes puts there.

A JSON object, keys by their ids, oldest first: ``{"2026": "AES-256-GCM:<base64>"}``. For orchestrators that
hold secrets; this process makes and destroys none.
"""

from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from hie.core.crypto.key_provider import check_key_id
from hie.core.crypto.local_key import LocalKey
from hie.core.errors import ConfigurationError

VARIABLE = "HIE_KEY_ENCRYPTION_KEYS"


class EnvironmentKeys:
    """The keys of the variable; safe to share between threads."""

    name = "environment"

    def __init__(self, given: Mapping[str, SecretStr]) -> None:
        """Take the texts of the keys by id; raises ConfigurationError for what is no key."""
        self._keys = {
            check_key_id(key_id): LocalKey.read(
                key_id, text.get_secret_value(), where=f"`{key_id}` in {VARIABLE}"
            )
            for key_id, text in given.items()
        }

    def key_ids(self) -> Sequence[str]:
        """Return the ids, in the order of the variable."""
        return list(self._keys)

    def make(self, key_id: str) -> None:
        """Do nothing if there is the key; raises ConfigurationError if not."""
        self._find(check_key_id(key_id))

    def wrap(self, key_id: str, secret: bytes, *, context: bytes) -> bytes:
        """Return `secret` encrypted under `key_id`, bound to `context`."""
        return self._find(key_id).wrap(secret, context=context)

    def unwrap(self, key_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Return the secret; raises CiphertextError where another key or context wrapped it."""
        return self._find(key_id).unwrap(wrapped, context=context)

    def destroy(self, key_id: str) -> None:
        """Do nothing if there is no such key; raises ConfigurationError if there is."""
        if key_id in self._keys:
            raise ConfigurationError(f"Take `{key_id}` out of {VARIABLE}, and start all processes again")

    def _find(self, key_id: str) -> LocalKey:
        found = self._keys.get(key_id)
        if found is None:
            raise ConfigurationError(f"There is no key-encryption key `{key_id}` in {VARIABLE}")
        return found
