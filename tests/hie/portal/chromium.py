"""Chromium against a server process of the portal, and what went wrong in a visit."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Request

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).resolve().parents[3]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and "HIE_CI" not in os.environ, reason="no chromium on this machine"),
]


# Contrast of text on its nearest background, WCAG 2.2 section 1.4.3 (https://www.w3.org/TR/WCAG22/#contrast-minimum)
FAINT = """
() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest("svg")) continue;
    const colours = [parse(getComputedStyle(node).color), ground(node)];
    const pair = colours.map(luminance).sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    const large = parseFloat(getComputedStyle(node).fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) faint.push(`${walker.currentNode.data.trim()} ${ratio.toFixed(2)}`);
  }
  return faint;
}
"""


@contextmanager
def served(database_url: str, application: str = "tests.hie.portal.serve:create") -> Iterator[str]:
    """Yield the address of a server process of `application` on a free port, on the database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--no-ws"]
    command += ["--host", "127.0.0.1", "--port", str(port), application]
    environment = {**os.environ, "HIE_DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 60
            while True:
                try:
                    httpx.get(f"{base}/static/mark.svg", trust_env=False).raise_for_status()
                    break
                except httpx.HTTPError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
            yield base
        finally:
            process.terminate()
            process.wait(20)


class Visit:
    """A visit with what went wrong in it: requests to other hosts, console messages, failed answers."""

    def __init__(self, browser: Browser, address: str, *, width: int, scripts: bool) -> None:
        """Open a page of `width` at `address`."""
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, java_script_enabled=scripts, base_url=address
        )
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("request", lambda request: self._check(request.url, address))
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", self._note_failure)

    def _note_failure(self, request: Request) -> None:
        """Note a request that got no answer; one that the browser itself gave up, to go on, is none."""
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed {request.url} {request.failure}")

    def _check(self, url: str, address: str) -> None:
        if not url.startswith(f"{address}/"):
            self.faults.append(f"foreign {url}")
