"""What of `var_dir` belongs to a backup besides the database: files of jobs, the local audit logs, keys.

Keys leave the machine only under a passphrase: with them beside it, an encrypted database is an open one.
The envelope is AES-256-GCM with a key by scrypt (RFC 7914), N = 2^17, r = 8, p = 1, as OWASP has it
(https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#scrypt).
"""

import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hie.core.security_errors import BackupError

FILES: Final = "files.tar"
KEYS: Final = "keys.tar.enc"
_MAGIC: Final = b"HIEKEYS1"
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_SHORTEST_PASSPHRASE: Final = 12


def pack(trees: Mapping[str, Path], target: Path) -> tuple[str, ...]:
    """Write the files and directories of `trees` under their names to `target`; return the names found.

    A file that goes while this runs is left out: a job's that is over, a log's that is chained by now.
    """
    found = []
    with tarfile.open(target, "w") as archive:
        for name, path in trees.items():
            if not path.exists():
                continue
            found.append(name)
            for each in [path] if path.is_file() else [path, *sorted(path.rglob("*"))]:
                _add(archive, each, f"{name}/{each.relative_to(path)}" if each != path else name)
    return tuple(found)


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            archive.add(path, name, recursive=False)
        elif path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                # of the open file: it may have grown since it was found, and only so much is written
                archive.addfile(archive.gettarinfo(arcname=name, fileobj=file), file)
    except FileNotFoundError:
        return


def unpack(source: Path, target: Path) -> None:
    """Write what `source` holds under `target`; members that lead out of it are refused."""
    with tarfile.open(source) as archive:
        _extract(archive, target)


def seal(folder: Path, passphrase: bytes, target: Path) -> None:
    """Write the files of `folder` to `target`, encrypted."""
    if len(passphrase) < _SHORTEST_PASSPHRASE:
        raise BackupError(f"The passphrase of backups has fewer than {_SHORTEST_PASSPHRASE} bytes")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for each in sorted(folder.rglob("*")):
            _add(archive, each, f"keys/{each.relative_to(folder)}")
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, plain.getvalue(), _MAGIC)
    target.write_bytes(_MAGIC + salt + nonce + sealed)


def unseal(source: Path, passphrase: bytes, target: Path) -> None:
    """Write the keys of `source` under `target`; raises BackupError where the passphrase is another."""
    with tarfile.open(fileobj=io.BytesIO(opened(source, passphrase))) as archive:
        _extract(archive, target)


def opened(source: Path, passphrase: bytes) -> bytes:
    """Return the archive in `source`; raises BackupError where the passphrase is another."""
    content = source.read_bytes()
    start = len(_MAGIC)
    salt = content[start : start + _SALT_BYTES]
    nonce = content[start + _SALT_BYTES : start + _SALT_BYTES + _NONCE_BYTES]
    if content[:start] != _MAGIC or len(nonce) != _NONCE_BYTES:
        raise BackupError(f"{source} does not hold keys")
    try:
        return AESGCM(_key(passphrase, salt)).decrypt(
            nonce, content[start + _SALT_BYTES + _NONCE_BYTES :], _MAGIC
        )
    except InvalidTag as error:
        raise BackupError("The passphrase is not the one that the keys were encrypted with") from error


def _extract(archive: tarfile.TarFile, target: Path) -> None:
    try:
        archive.extractall(target, filter="data")
    except tarfile.TarError as error:
        raise BackupError(f"The files of the backup cannot be read: {error}") from error


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**17, r=8, p=1).derive(passphrase)
