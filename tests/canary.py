"""No person's data and no secret in what the suite logs and counts: a plugin of pytest.

Looked for are the shapes that such things have (identity numbers, mobile phones, tokens, hashes, private
keys), and the very names and passwords that the tests' sources hold. Looked at are every log record of this
process, the log files that servers of the tests wrote, and the metrics. A record fails the test that made it;
files and metrics fail the run. `tests/hie/test_canary.py` sends such things through whole servers on purpose.
"""

import logging
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import REGISTRY, generate_latest

from hie.core.audit.segment import MAGIC
from hie.simulator.identity_numbers import is_well_formed

ROOT: Final = Path(__file__).resolve().parent
_LARGEST_FILE: Final = 64 * 1024 * 1024
SHAPES: Final = {
    # GB 11643-1999; the check digit tells it from any other long number
    "identity number": re.compile(r"(?<![0-9A-Za-z.-])[1-9]\d{16}[\dX](?![0-9A-Za-z.-])"),
    # YD/T 2606: eleven digits that begin with 13 to 19
    "mobile phone": re.compile(r"(?<![0-9A-Za-z.:-])1[3-9]\d{9}(?![0-9A-Za-z.:-])"),
    "token": re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    "password hash": re.compile(r"\$argon2id?\$v="),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "credentials": re.compile(r"(?i)\b(?:bearer|basic) (?=[A-Za-z0-9+/=._~-]*[0-9])[A-Za-z0-9+/=._~-]{20,}"),
}
# How the sources of tests write the names of people and the passwords of accounts.
_NAMES: Final = re.compile(
    r"""["']family["']:\s*["']([^"'{}\\]+)["']
      |["']given["']:\s*\[["']([^"'{}\\]+)["']
      |["']name["']:\s*\[\{["']text["']:\s*["']([^"'{}\\]+)["']
      |^PASSWORD\s*=\s*["']([^"'{}\\]+)["']""",
    re.VERBOSE | re.MULTILINE,
)
_OURS: Final = ("hie", "fhir_server", "hl7_gateway", "booking", "analytics", "terminology")
_SHORTEST_WORD: Final = 6
_SHORTEST_CHINESE: Final = 2


def finding(text: str, names: re.Pattern[str]) -> str | None:
    """Return what stands in `text` that should not, without repeating it; None for nothing."""
    for kind, shape in SHAPES.items():
        for match in shape.finditer(text):
            if kind != "identity number" or is_well_formed(match[0]):
                return kind
    return "name or password of a test" if names.search(text) else None


def names_of(sources: str) -> re.Pattern[str]:
    """Return what matches any name or password that the `sources` of tests hold, if it is one of a kind."""
    found = {next(filter(None, groups)) for groups in _NAMES.findall(sources)}
    words = sorted(
        each
        for each in found
        if len(each) >= (_SHORTEST_WORD if each.isascii() else _SHORTEST_CHINESE) and not each.isdigit()
    )
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words)) or '(?!)'})(?!\w)")


class Canary(logging.Handler):
    """Looks at every record, and at files and metrics in the end."""

    def __init__(self, names: re.Pattern[str]) -> None:
        """Take what matches the names of the tests."""
        super().__init__()
        self._names = names
        self._written = logging.Formatter()
        self.found: list[str] = []
        self.records = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one record as it would be written, with its traceback."""
        if record.name.partition(".")[0] not in _OURS:
            return
        self.records += 1
        found = finding(self._written.format(record), self._names)
        if found is not None:
            self.found.append(f"{found} in a record of {record.name}, line {record.lineno}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Fail the test during which something was found."""
        before = len(self.found)
        result = yield
        assert self.found[before:] == []
        return result

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run for what files and metrics hold."""
        found = [f"{kind} in {place}" for place, kind in self._in_files(session)]
        in_metrics = finding(generate_latest(REGISTRY).decode(), self._names)
        if in_metrics is not None:
            found.append(f"{in_metrics} in the metrics")
        for each in found:
            session.config.get_terminal_writer().line(f"canary: {each}")
        if found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _in_files(self, session: pytest.Session) -> Iterator[tuple[str, str]]:
        factory = getattr(session.config, "_tmp_path_factory", None)
        if factory is None:
            return
        for path in sorted(factory.getbasetemp().rglob("*")):
            is_log = path.name == "log" or path.suffix == ".log" or path.name.startswith("hie_")
            if not is_log or not path.is_file() or path.stat().st_size > _LARGEST_FILE:
                continue
            content = path.read_bytes()
            if content.startswith(MAGIC):  # the audit trail, which says what was searched for
                continue
            found = finding(content.decode("utf-8", "replace"), self._names)
            if found is not None:
                yield str(path), found


def begin(config: pytest.Config) -> None:
    """Look from now on to the end of the run."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py")))
    canary = Canary(names_of(sources))
    logging.getLogger().addHandler(canary)
    config.pluginmanager.register(canary, "canary-of-logs")
