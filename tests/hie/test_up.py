"""`hie up` as a newcomer uses it: real processes, real signals, a folder of its own."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from hie.core.access import Role
from tests.environment import clean_environment

MESSAGE = (
    "MSH|^~\\&|HIS|H1|HIE|CITY|20261122083000||ADT^A04|M1|P|2.5\r"
    "PID|1||900001^^^H1^MR||测试^一||19800101|M\rPV1|1|O\r"
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Up:
    def __init__(self, folder: Path, *options: str, auth: str) -> None:
        self.http, self.mllp = _free_port(), _free_port()
        self.folder = folder
        self.environment = clean_environment(
            HIE_AUTH=auth,
            HIE_VAR_DIR=str(folder / "var"),
            HIE_PORT=str(self.http),
            HIE_MLLP_PORT=str(self.mllp),
            HIE_GATEWAY_PROCESSES="2",
        )
        self.log = (folder / "up.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hie", "up", *options],
            cwd=folder,
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def output(self) -> str:
        return (self.folder / "up.log").read_text(encoding="utf-8")

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while "Ctrl-C stops everything" not in self.output():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    def hie(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hie", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def get(self, path: str) -> dict[str, object]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=10) as answer:
            found: dict[str, object] = json.load(answer)
        return found

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


@contextmanager
def _started(folder: Path, *options: str, seconds: float = 90, auth: str = "off") -> Iterator[_Up]:
    up = _Up(folder, *options, auth=auth)
    try:
        up.wait(seconds)
        yield up
    finally:
        if up.process.poll() is None:
            up.stop()
        up.log.close()
        (folder / "up.log").unlink()


def _ends(processes: list[psutil.Process]) -> None:
    _gone, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


def test_up_serves_stops_on_interrupt_and_keeps_the_data(tmp_path: Path) -> None:
    message = tmp_path / "message.hl7"
    message.write_text(MESSAGE, encoding="utf-8")
    with _started(tmp_path, "--no-demo") as up:
        assert up.get("/health") == {"status": "ok"}
        sent = up.hie("send", "message.hl7", "--to", f"127.0.0.1:{up.mllp}")
        assert (sent.returncode, sent.stdout.split()[:2]) == (0, ["AA", "M1"]), sent
        found = up.get("/fhir/Patient?identifier=900001&_total=accurate")
        assert found["total"] == 1
        assert f"http://127.0.0.1:{up.http}/fhir/Patient/" in json.dumps(found)
        children = up.children()
        assert up.stop() == 0
        _ends(children)
    with _started(tmp_path, "--no-demo") as up:
        assert up.get("/fhir/Patient?identifier=900001&_total=accurate")["total"] == 1
        taken = up.hie("up", "--no-demo")
        assert taken.returncode == 1
        assert re.search(r"HTTP port \d+ on 127\.0\.0\.1 is taken; .* HIE_PORT", taken.stderr), taken
        _kill_the_database(up)
        assert up.get("/fhir/Patient?identifier=900001&_total=accurate")["total"] == 1
        children = up.children()
        up.process.kill()
        up.process.wait()
        _ends([child for child in children if "postgres" not in child.name()])


def _kill_the_database(up: _Up) -> None:
    pid = int((up.folder / "var" / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    psutil.Process(pid).kill()
    deadline = time.monotonic() + 60
    while "PostgreSQL ended and is started again" not in up.output():
        assert time.monotonic() < deadline, up.output()
        time.sleep(0.2)
    while True:
        try:
            up.get("/health")
        except urllib.error.HTTPError as error:
            status = error.code
        else:
            return
        assert (status, time.monotonic() < deadline) == (503, True), up.output()
        time.sleep(0.2)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_first_start_fills_the_demo_city_and_lets_a_newcomer_in(tmp_path: Path) -> None:
    with _started(tmp_path, seconds=400, auth="on") as up:
        assert "demo city of 3000 people" in up.output()
        bearer = re.search(r"'Authorization: (Bearer [^']+)' '([^']+)'", up.output())
        assert bearer, up.output()
        with httpx.Client(headers={"Authorization": bearer[1]}) as program:
            assert program.get(bearer[2]).json()["entry"]
            found = program.get(f"http://127.0.0.1:{up.http}/fhir/Organization?name=绿城市第一人民医院")
            assert len(found.json()["entry"]) == 1
        assert httpx.get(bearer[2]).status_code == 401
        links = re.findall(r"http://127\.0\.0\.1:\d+/sign-in/link\?key=\S+", up.output())
        assert len(links) == len(Role)
        for link in links:
            _sign_in_once(link)
        people = (tmp_path / "var" / "demo" / "people.csv").read_text(encoding="utf-8-sig").splitlines()
        assert len(people) == 3001
        cards = (tmp_path / "var" / "demo" / "cards.csv").read_text(encoding="utf-8-sig").splitlines()
        assert len(cards) > 6000
    with _started(tmp_path, auth="on") as up:
        assert "demo city (filled" in up.output()


def _sign_in_once(link: str) -> None:
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(link)
        fields = dict(re.findall(r'name="(key|form_token)" value="([^"]*)"', page.text))
        signed_in = browser.post(str(page.url.copy_with(query=None)), data=fields)
        assert signed_in.status_code in (200, 403), (link, signed_in.text)
        assert browser.get(str(page.url.join("/account"))).status_code == 200
    with httpx.Client() as other:
        page = other.get(link)
        fields = dict(re.findall(r'name="(key|form_token)" value="([^"]*)"', page.text))
        assert other.post(str(page.url.copy_with(query=None)), data=fields).status_code == 401
