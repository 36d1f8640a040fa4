"""The embedded server starts, stops, and starts again with what it had, leaving no noise behind."""

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from pathlib import Path
import psycopg
from hie.core.db import embedded
folder = Path(sys.argv[1])
NAMES = "fsync", "listen_addresses", "log_parameter_max_length", "log_error_verbosity"
for turn in range(2):
    url = embedded.url(embedded.start(folder))
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (turn int)")
        connection.execute("INSERT INTO kept VALUES (%s)", (turn,))
    assert embedded.is_running(folder)
    embedded.stop(folder)
    assert not embedded.is_running(folder)
url = embedded.url(embedded.start(folder))
print(psycopg.connect(url).execute("SELECT turn FROM kept ORDER BY 1").fetchall())
shown = [psycopg.connect(url).execute(f"SHOW {name}").fetchone() for name in NAMES]
print(*shown)
embedded.stop(folder)
"""


def test_server_keeps_its_data_over_restarts_listens_on_no_address_and_logs_no_values(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "pg")], capture_output=True, text=True, check=False
    )
    assert (done.stdout.splitlines(), done.stderr) == (
        ["[(0,), (1,)]", "('on',) ('',) ('0',) ('terse',)"],
        "",
    )
