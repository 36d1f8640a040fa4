"""Key-encryption keys in files: ``<id>.key`` below one directory, mode 0600.

For one machine, or a directory that all machines mount; the backup of the database must not take it along:
who has both has everything.
"""

import os
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hie.core.crypto.aead import Algorithm
from hie.core.crypto.key_provider import check_key_id
from hie.core.crypto.local_key import LocalKey, new_text
from hie.core.errors import ConfigurationError
from hie.core.security_errors import KeyProviderError

_SUFFIX: Final = ".key"
_OTHERS: Final = 0o077


class FileKeys:
    """The keys below `folder`; new ones are for `algorithm`. Safe to share between threads."""

    name = "file"

    def __init__(self, folder: Path, algorithm: Algorithm) -> None:
        """Take the directory, which is made when the first key is."""
        self._folder = folder
        self._algorithm = algorithm
        self._opened: dict[str, LocalKey] = {}
        self._lock = threading.Lock()

    def key_ids(self) -> Sequence[str]:
        """Return the ids of the files, by the time that they were written."""
        try:
            found = [(path.stat().st_mtime_ns, path.stem) for path in self._folder.glob(f"*{_SUFFIX}")]
        except OSError as error:
            raise KeyProviderError(f"The directory of keys {self._folder} cannot be read") from error
        return [key_id for _, key_id in sorted(found)]

    def make(self, key_id: str) -> None:
        """Write the key `key_id`; of several processes that do so at once the first one's stays."""
        path = self._path(key_id)
        if path.exists():
            return
        draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(new_text(self._algorithm) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                with suppress(FileExistsError):
                    os.link(draft, path)
            finally:
                draft.unlink()
            _sync(path.parent)
        except OSError as error:
            raise KeyProviderError(f"The key {path} cannot be written") from error

    def wrap(self, key_id: str, secret: bytes, *, context: bytes) -> bytes:
        """Return `secret` encrypted under `key_id`, bound to `context`."""
        return self._open(key_id).wrap(secret, context=context)

    def unwrap(self, key_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Return the secret; raises CiphertextError where another key or context wrapped it."""
        return self._open(key_id).unwrap(wrapped, context=context)

    def destroy(self, key_id: str) -> None:
        """Overwrite and remove the file.

        A file system that copies on writing, a solid-state disk or a backup may still hold what was there.
        """
        path = self._path(key_id)
        with self._lock:
            self._opened.pop(key_id, None)
        try:
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            _sync(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KeyProviderError(f"The key {path} cannot be removed") from error

    def _path(self, key_id: str) -> Path:
        return self._folder / f"{check_key_id(key_id)}{_SUFFIX}"

    def _open(self, key_id: str) -> LocalKey:
        found = self._opened.get(key_id)
        if found is None:
            path = self._path(key_id)
            try:
                with path.open(encoding="ascii", errors="replace") as file:
                    if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & _OTHERS:
                        raise ConfigurationError(f"{path} can be read by others; its mode must be 0600")
                    text = file.read()
            except FileNotFoundError as error:
                raise ConfigurationError(
                    f"There is no key-encryption key `{key_id}` in {self._folder}"
                ) from error
            except OSError as error:
                raise KeyProviderError(f"The key {path} cannot be read") from error
            with self._lock:
                found = self._opened[key_id] = LocalKey.read(key_id, text, where=str(path))
        return found


def _sync(folder: Path) -> None:
    """Have the names in `folder` written to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
