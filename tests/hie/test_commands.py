"""The sub-commands as people run them: real processes, real files, standard streams and exit status."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fhir.resources.R4B.bundle import Bundle

ADT = (
    "MSH|^~\\&|HIS|H1|HIE|CITY|20261122083000||ADT^A01^ADT_A01|{0}|P|2.5|||||CHN|UNICODE UTF-8\r"
    "EVN|A01|20261122083000\r"
    "PID|1||90000{0}^^^H1^MR||测试^一||19800101|M|||||||||||||||||||||||||||||||\r"
    "PV1|1|I|内科^301^02||||||||||||||||V{0}\r"
    "ZPI|1|local\r"
)


def _hie(
    *arguments: str, folder: Path, text: bytes | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HIE_")}
    return subprocess.run(
        [sys.executable, "-m", "hie", *arguments],
        cwd=folder,
        input=text,
        env={**clean, **environment},
        capture_output=True,
        check=False,
    )


def test_convert_reads_standard_input_and_needs_no_server(tmp_path: Path) -> None:
    done = _hie(
        "convert", "-", folder=tmp_path, text=ADT.format(1).encode(), HIE_DATABASE_URL="postgresql://x:1/y"
    )
    assert done.returncode == 0, done.stderr
    bundle = json.loads(done.stdout)
    Bundle.model_validate(bundle)
    assert bundle["type"] == "transaction"
    assert {"Patient", "Encounter", "Provenance"} <= {
        entry["resource"]["resourceType"] for entry in bundle["entry"]
    }
    assert "ZPI: not mapped" in done.stderr.decode()


def test_convert_of_several_messages_gives_a_line_each_and_names_the_bad_one(tmp_path: Path) -> None:
    text = ADT.format(1) + ADT.format(2).replace("ADT^A01^ADT_A01", "XYZ^X99") + ADT.format(3)
    (tmp_path / "many.hl7").write_bytes(text.replace("\r", "\n").encode())
    done = _hie("convert", "many.hl7", folder=tmp_path)
    assert done.returncode == 1
    assert [json.loads(line)["resourceType"] for line in done.stdout.splitlines()] == ["Bundle", "Bundle"]
    assert "message 2: MSH-9: No map for message type XYZ^X99" in done.stderr.decode()


@pytest.mark.parametrize(
    ("text", "reason"), [(b"", "no line begins with MSH"), (b"hello\n", "no line begins with MSH")]
)
def test_convert_of_no_message_says_so(text: bytes, reason: str, tmp_path: Path) -> None:
    done = _hie("convert", "-", folder=tmp_path, text=text)
    assert (done.returncode, reason in done.stderr.decode(), done.stdout) == (1, True, b"")


def test_convert_of_a_file_that_is_not_there_names_it(tmp_path: Path) -> None:
    done = _hie("convert", "none.hl7", folder=tmp_path)
    assert (done.returncode, done.stderr.decode().strip()) == (
        1,
        "hie: none.hl7: No such file or directory",
    )


def test_send_to_nobody_exits_with_status_1(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(ADT.format(1).encode())
    done = _hie("send", "a.hl7", "--to", "127.0.0.1:1", folder=tmp_path)
    assert done.returncode == 1
    assert b"127.0.0.1:1" in done.stdout + done.stderr


def test_simulate_writes_messages_and_the_truth(tmp_path: Path) -> None:
    arguments = ("--people", "60", "--days", "4", "--seed", "9", "--end", "2026-11-01")
    for name in ("a", "b"):
        done = _hie("simulate", *arguments, "--out", name, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    written = sorted(
        path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()
    )
    assert Path("people.csv") in written
    assert any(path.suffix == ".hl7" for path in written)
    for path in written:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes(), path


def test_load_stores_files_of_every_kind_and_changes_nothing_the_second_time(
    tmp_path: Path, database_url: str
) -> None:
    patient = {"resourceType": "Patient", "id": "p1", "name": [{"text": "测试一"}]}
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {**patient, "id": "p2"}}, {"resource": {**patient, "id": "p3"}}],
    }
    lines = "\n".join(json.dumps({**patient, "id": f"n{number}"}, ensure_ascii=False) for number in range(20))
    (tmp_path / "one.json").write_text(json.dumps(patient), encoding="utf-8")
    (tmp_path / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")
    (tmp_path / "many.ndjson.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "bad.ndjson").write_text(
        '{"resourceType":"Patient","id":"b1","gender":5}\n{', encoding="utf-8"
    )
    first = _hie("load", ".", folder=tmp_path, HIE_DATABASE_URL=database_url)
    assert first.returncode == 1, first
    assert "23 created, 0 updated, 0 unchanged, 2 failed" in first.stdout.decode()
    assert "bad.ndjson" in first.stderr.decode()
    (tmp_path / "bad.ndjson").unlink()
    second = _hie("load", ".", folder=tmp_path, HIE_DATABASE_URL=database_url)
    assert second.returncode == 0, second
    assert "0 created, 0 updated, 23 unchanged, 0 failed" in second.stdout.decode()


def test_settings_hide_passwords(tmp_path: Path) -> None:
    done = _hie("settings", folder=tmp_path, HIE_DATABASE_URL="postgresql://hie:geheim@db/hie")
    assert done.returncode == 0
    assert "HIE_MLLP_PORT" in done.stdout.decode()
    assert "geheim" not in done.stdout.decode()


MISTAKES = [
    (("send", "none.hl7"), {}, 2, "none.hl7"),
    (("convert", "-", "--zone", "Mars/X"), {}, 1, "HIE_TIME_ZONE"),
    (("convert", "-", "--charset", "foo"), {}, 2, "foo is not a character set"),
    (("settings",), {"HIE_PORT": "abc"}, 1, "HIE_PORT: "),
    (("serve",), {"HIE_HOST": "0.0.0.0"}, 1, "needs a HIE_BASE_URL that begins with https"),  # noqa: S104 - refused
    (
        ("serve",),
        {"HIE_HOST": "0.0.0.0", "HIE_AUTH": "off"},  # noqa: S104 - refused
        1,
        "HIE_HOST: 0.0.0.0 is not a loopback address",
    ),
    (("migrate",), {"HIE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}, 1, "does not answer"),
    (("migrate",), {"HIE_DATABASE_URL": "mysql://x"}, 1, "mysql is not PostgreSQL"),
    (("load", "none"), {}, 2, "none"),
    (("simulate",), {}, 2, "--to HOST:PORT"),
    (("nonsense",), {}, 2, "No such command"),
]


@pytest.mark.parametrize(("arguments", "environment", "status", "reason"), MISTAKES)
def test_everyday_mistake_is_answered_in_a_sentence(
    arguments: tuple[str, ...], environment: dict[str, str], status: int, reason: str, tmp_path: Path
) -> None:
    done = _hie(*arguments, folder=tmp_path, text=b"", COLUMNS="200", **environment)
    said = done.stderr.decode()
    assert done.returncode == status, said
    assert reason in said
    assert "Traceback" not in said
    assert said.count("HIE_") <= 1, said
