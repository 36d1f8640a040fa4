"""`hie audit` as people run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import sql

RECORDS = """
INSERT INTO audit_pending (body)
SELECT convert_to(jsonb_build_object('id', 'r-' || n, 'at', '2026-03-04T05:06:07Z', 'kind', 'rest',
    'do', 'read', 'action', 'R', 'status', 200, 'who', jsonb_build_object('kind', 'anonymous'),
    'site', 'web-1', 'on', 'Patient/' || n)::text, 'UTF8')
FROM generate_series(1, 5) AS n
"""


def audit(folder: Path, database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HIE_")}
    return subprocess.run(
        [sys.executable, "-m", "hie", "audit", *arguments],
        cwd=folder,
        env={**clean, "HIE_DATABASE_URL": database_url, "HIE_VAR_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_verify_says_intact_and_then_where_it_is_not(tmp_path: Path, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(RECORDS)
        done = audit(tmp_path, database_url, "verify")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("5 records, 1 to 5, 1 anchors: intact; the last hash is ")
        exported = audit(tmp_path, database_url, "export", "--since", "2026-03-04")
        assert [json.loads(line)["id"] for line in exported.stdout.splitlines()] == [
            f"r-{number}" for number in range(1, 6)
        ]
        month = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_event'::regclass"
        ).fetchone()
        assert month is not None
        for table in ("audit_event", month[0]):
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.Identifier(table)))
        connection.execute("UPDATE audit_event SET body = body || ' '::bytea WHERE seq = 3")
        done = audit(tmp_path, database_url, "verify")
    assert done.returncode == 1
    first, last = done.stdout.splitlines()
    assert first.startswith("changed at 3: ")
    assert "NOT INTACT" in last


def test_prune_and_syslog_say_what_they_did(tmp_path: Path, database_url: str) -> None:
    assert audit(tmp_path, database_url, "prune").stdout == "0 months dropped\n"
    refused = audit(tmp_path, database_url, "syslog")
    assert refused.returncode == 1
    assert "HIE_AUDIT_SYSLOG names no receiver" in refused.stderr
