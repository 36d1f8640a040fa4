"""What processes do when they are asked to end."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

# A stop that is asked for again while it holds its lock: the second handler runs within the first.
ASKED_TWICE = """
import os, signal, sys, threading
from hie.processes import when_asked_to_end

ended, lock, calls = threading.Event(), threading.Lock(), []

def stop():
    with lock:
        calls.append(1)
        for _ in range(100):
            os.kill(os.getpid(), signal.{second})
            sum(range(1000))
    ended.set()

when_asked_to_end(stop)
os.kill(os.getpid(), signal.{first})
assert ended.wait(10)
sys.exit(len(calls))
"""


@pytest.mark.parametrize("first", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("second", ["SIGTERM", "SIGINT"])
def test_being_asked_to_end_again_within_the_end_does_nothing(first: str, second: str) -> None:
    text = ASKED_TWICE.format(first=first, second=second)
    assert subprocess.run([sys.executable, "-c", text], cwd=ROOT, timeout=60, check=False).returncode == 1
