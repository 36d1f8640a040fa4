"""An endpoint of notifications: a real HTTP server in a thread that keeps what it is sent."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from hie.core.fhir.json import JsonObject, loads


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> JsonObject:
        """The body."""
        found: JsonObject = loads(self.body)
        return found

    @property
    def status(self) -> dict[str, str]:
        """The plain values of the status that a notification begins with."""
        parameters = self.json["entry"][0]["resource"]["parameter"]
        return {
            each["name"]: next(str(value) for key, value in each.items() if key.startswith("value"))
            for each in parameters
            if any(key.startswith("value") for key in each)
        }

    @property
    def numbers(self) -> list[int]:
        """The numbers of the events that a notification tells of."""
        parameters = self.json["entry"][0]["resource"]["parameter"]
        events = [each["part"] for each in parameters if each["name"] == "notification-event"]
        return [
            int(part["valueString"]) for parts in events for part in parts if part["name"] == "event-number"
        ]


@dataclass
class Receiver:
    """Answers `answer(received)` as status; listens between `start` and `stop`, on one port all its life."""

    answer: Callable[[Received], int] = lambda _received: 200
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """The URL of the endpoint."""
        return f"http://127.0.0.1:{self.port}/hook"

    def start(self) -> None:
        """Begin to listen."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                received = Received(self.command, self.path, dict(self.headers), self.rfile.read(length))
                receiver.requests.append(received)
                self.send_response(receiver.answer(received))
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_PUT = _take  # noqa: N815 - the names that http.server calls

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def until(self, count: int, seconds: float = 60) -> list[Received]:
        """Return the requests when there are `count`."""
        deadline = time.monotonic() + seconds
        while len(self.requests) < count:
            assert time.monotonic() < deadline, self.requests
            time.sleep(0.02)
        return self.requests

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
