"""PostgreSQL's own programs, of the major version of a server: found, run, and their last words kept.

What reads a data directory or WAL must be of the server's major version
(https://www.postgresql.org/docs/current/app-pgwaldump.html, Notes).
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hie.core.db import embedded
from hie.core.errors import ConfigurationError
from hie.core.security_errors import BackupError

_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
_DEBIAN: Final = "/usr/lib/postgresql/{major}/bin"
_LAST_LINES: Final = 20

Progress = Callable[[str, int, int | None], None]
"""Takes what is being done, the bytes done, and the bytes in all where that is known."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs in `folder`, of PostgreSQL `major`."""

    folder: Path
    major: int

    def path(self, name: str) -> Path:
        """Return where `name` is; raises ConfigurationError where it is not installed."""
        found = self.folder / name
        if not found.exists():
            raise ConfigurationError(f"{name} of PostgreSQL {self.major} is not in {self.folder}")
        return found

    def run(
        self,
        name: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        keep_open: Sequence[int] = (),
    ) -> str:
        """Run a program to its end; return its last lines.

        `keep_open` are file descriptors that it inherits. Raises BackupError with its last line where its
        status is not 0.
        """
        status, lines = self.attempt(
            name, *arguments, environment=environment, on_line=on_line, keep_open=keep_open
        )
        if status:
            raise BackupError(lines[-1] if lines else f"{name} ended with status {status}")
        return "\n".join(lines)

    def attempt(
        self,
        name: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        keep_open: Sequence[int] = (),
    ) -> tuple[int, list[str]]:
        """Run a program to its end; return its exit status and its last lines."""
        process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own programs
            [self.path(name), *arguments],
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=keep_open,
        )
        lines: list[str] = []
        with process:
            for line in process.stdout or ():
                text = line.strip()
                if on_line is not None:
                    on_line(text)
                if text:
                    lines = [*lines[1 - _LAST_LINES :], text]
        return process.returncode, lines


def find(major: int, folder: Path | None = None) -> Tools:
    """Return the tools of PostgreSQL `major`: of `folder`, of the PATH, of Debian's, of the wheel's.

    Raises ConfigurationError where there are none of this version.
    """
    on_path = shutil.which("pg_basebackup")
    candidates = (
        [folder]
        if folder is not None
        else [
            *([Path(on_path).parent] if on_path else []),
            Path(_DEBIAN.format(major=major)),
            embedded.programs(),
        ]
    )
    for candidate in candidates:
        if _major(candidate) == major:
            return Tools(candidate, major)
    where = folder or "the PATH"
    raise ConfigurationError(
        f"There are no programs of PostgreSQL {major} in {where}; HIE_POSTGRESQL_PROGRAMS says where they are"
    )


def connection(url: str) -> tuple[str, dict[str, str]]:
    """Return the connection string of `url` without its password, and the environment that has it.

    Command lines can be read by everybody on the machine.
    """
    parts = conninfo_to_dict(url)
    password = parts.pop("password", None)
    return make_conninfo("", **parts), {"PGPASSWORD": str(password)} if password else {}


def _major(folder: Path) -> int | None:
    program = folder / "pg_basebackup"
    if not program.exists():
        return None
    said = subprocess.run(  # noqa: S603 - the program's own version
        [program, "--version"], capture_output=True, text=True, check=False
    )
    found = _VERSION.search(said.stdout)
    return int(found[1]) if found else None
