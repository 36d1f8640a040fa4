"""Replays WAL in a data directory: a server that nobody can connect to, until it has recovered.

https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-PITR-RECOVERY. The segments are in
`pg_wal` already, so that no command fetches them; settings stand on the command line, before all files, so
that a directory without postgresql.conf (Debian keeps it elsewhere) recovers as well, and none is left over.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hie.core.db.backup.tools import Progress, Tools
from hie.core.security_errors import BackupError

_LOG: Final = "recovery.log"
_POLL_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 300.0
_READY: Final = "database system is ready to accept connections"
_FATAL: Final = re.compile(r"(?:FATAL|PANIC): +(\S.*)")
_AT: Final = re.compile(r"current LSN: ([0-9A-F]+/[0-9A-F]+)")
_LAST: Final = re.compile(r"last completed transaction was at log time (\S+ \S+)")
_SETTINGS: Final = {
    "archive_mode": "off",
    "autovacuum": "off",
    "hot_standby": "off",
    "lc_messages": "C",
    "listen_addresses": "",
    "log_min_messages": "log",
    "log_startup_progress_interval": "1s",
    "log_statement": "none",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_destination": "stderr",
    "max_wal_size": "4GB",
    "port": "5432",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "recovery_target_action": "promote",
    "restore_command": "false",
    "shared_buffers": "256MB",
    "shared_preload_libraries": "",
    "ssl": "off",
    "synchronous_standby_names": "",
}


def recover(
    tools: Tools,
    data: Path,
    *,
    target: datetime | None,
    timeline: int,
    user: str | None,
    progress: Progress,
) -> datetime | None:
    """Replay the WAL in `pg_wal` of `data` up to `target`, or all of it; return the time of the last commit.

    The server is stopped in the end, and the directory begins a new timeline when it is started next.
    Raises BackupError where recovery fails, also where the WAL ends before `target`.
    """
    (data / "recovery.signal").touch(mode=0o600)
    if user is not None:
        _give(data, user)
    with _server(tools, data, target=target, timeline=timeline, user=user) as (process, log):
        while True:
            status = process.poll()
            text = log.read_text(encoding="utf-8", errors="replace")
            if _READY in text:
                break
            if status is not None:
                raise BackupError(_reason(text, target))
            places = _AT.findall(text)
            progress(f"replaying WAL{f', at {places[-1]}' if places else ''}", 0, None)
            time.sleep(_POLL_SECONDS)
        process.send_signal(signal.SIGINT)  # "fast" shutdown
        process.wait(_STOP_SECONDS)
        if process.returncode:
            raise BackupError(f"The recovered server did not stop: status {process.returncode}")
    found = _LAST.search(text)
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None


@contextlib.contextmanager
def _server(
    tools: Tools, data: Path, *, target: datetime | None, timeline: int, user: str | None
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Give a server on `data` that begins to recover, and its log; it does not outlive this."""
    settings = {**_SETTINGS, "recovery_target_timeline": str(timeline)}
    if target is not None:
        settings["recovery_target_time"] = target.astimezone(UTC).isoformat(sep=" ")
    with tempfile.TemporaryDirectory(prefix="hie-recovery-") as name:
        folder = Path(name)
        configuration, access, names = (folder / each for each in ("conf", "hba", "ident"))
        configuration.write_text("", encoding="utf-8")
        access.write_text("local all all reject\n", encoding="utf-8")
        names.write_text("", encoding="utf-8")
        log = folder / _LOG
        if user is not None:
            _give(folder, user)
        settings |= {
            "config_file": str(configuration),
            "hba_file": str(access),
            "ident_file": str(names),
            "unix_socket_directories": str(folder),
        }
        given = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the server's own program
                [tools.path("postgres"), "-D", str(data), *given],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                user=user,
                group=user,
                extra_groups=[] if user is not None else None,
                env={**os.environ, "LC_ALL": "C"},
            )
            try:
                yield process, log
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGQUIT)  # "immediate" shutdown
                    process.wait(_STOP_SECONDS)


def _give(folder: Path, user: str) -> None:
    """Make `user` the owner of `folder` and all in it."""
    import pwd

    entry = pwd.getpwnam(user)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def _reason(log: str, target: datetime | None) -> str:
    if "recovery ended before configured recovery target was reached" in log and target is not None:
        last = _LAST.search(log)
        ends = f"its last commit is of {last[1]} UTC" if last else "it holds no commit"
        return f"The WAL ends before {target.isoformat()}: {ends}"
    found = _FATAL.findall(log)
    return f"Recovery failed: {found[-1] if found else 'the server ended'}"
