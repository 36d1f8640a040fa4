"""The MLLP client against a receiver on a real socket that answers, refuses, drops and keeps silent."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Self

import pytest

from hie.core.errors import UnavailableError
from hie.simulator.mllp import Limits, Outgoing, read_acknowledgment, send_messages
from hie.simulator.run import City, send

from .conftest import END

Answer = Literal["AA", "AE", "AR", "drop", "silence"]
QUICK = Limits(window=4, ack_seconds=0.4, attempts=4, pause_seconds=0.01)


class Receiver:
    """A small MLLP server in a thread; `answer` decides by (how often this id was seen, control id)."""

    def __init__(self, answer: Callable[[int, str], Answer]) -> None:
        self.received: list[tuple[int, str, str]] = []
        self.frames: list[bytes] = []
        self.connections = 0
        self.most_waiting = 0
        self._answer = answer
        self._seen: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        try:
            while True:
                frame = await reader.readuntil(b"\x1c\r")
                assert frame.startswith(b"\x0b")
                self.frames.append(frame[1:-2])
                header = frame[1:].split(b"\r")[0].split(b"\n")[0].split(b"|")
                control_id, sender = header[9].decode(), header[3].split(b"^")[0].decode()
                self._seen[control_id] = self._seen.get(control_id, 0) + 1
                self.received.append((connection, sender, control_id))
                answer = self._answer(self._seen[control_id], control_id)
                if answer == "drop":
                    return
                if answer != "silence":
                    writer.write(acknowledgment(answer, control_id))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def acknowledgment(code: str, control_id: str) -> bytes:
    error = "" if code == "AA" else "ERR||PID^1^3|101^required field missing|E||||PID-3 ist leer\r"
    text = f"MSH|^~\\&|R|R|S|S|20260101||ACK|{control_id}|P|2.5\rMSA|{code}|{control_id}\r{error}"
    return b"\x0b" + text.encode() + b"\x1c\r"


def outgoing(count: int, senders: Sequence[str] = ("A", "B", "C")) -> Iterator[Outgoing]:
    for number in range(count):
        sender = senders[number % len(senders)]
        raw = f"MSH|^~\\&|HIS|{sender}|||20260101||ADT^A01|{number:05d}|P|2.5\rPID|1\r".encode()
        yield Outgoing(sender, f"{number:05d}", raw)


def ignore(_: int) -> None:
    """Take progress and do nothing."""


def order_of(receiver: Receiver, sender: str) -> list[str]:
    """Return the control ids of a sender in the order of their first arrival."""
    return list(dict.fromkeys(control_id for _, each, control_id in receiver.received if each == sender))


def test_all_messages_are_sent_acknowledged_and_kept_in_order_of_their_sender() -> None:
    told: list[int] = []
    with Receiver(lambda _, __: "AA") as receiver:
        report = send_messages(outgoing(300), "127.0.0.1", receiver.port, connections=2, progress=told.append)
    assert (report.sent, report.accepted, report.refused, report.resent) == (300, 300, 0, 0)
    assert report.codes == {"AA": 300}
    assert receiver.connections == 2
    assert sorted(receiver.frames) == sorted(each.raw for each in outgoing(300))
    for sender in "ABC":
        ids = order_of(receiver, sender)
        assert ids == sorted(ids)
        assert len({connection for connection, each, _ in receiver.received if each == sender}) == 1
    assert told[-1] == 300


def test_refusals_are_counted_with_their_reason_and_stop_nothing() -> None:
    with Receiver(lambda _, control_id: {"00004": "AE", "00009": "AR"}.get(control_id, "AA")) as receiver:  # type: ignore[arg-type,return-value]  # the literals are answers
        report = send_messages(outgoing(12), "127.0.0.1", receiver.port, connections=1, progress=ignore)
    assert (report.accepted, report.refused) == (10, 2)
    assert report.codes == {"AA": 10, "AE": 1, "AR": 1}
    assert report.reasons == [("00004", "AE PID-3 ist leer"), ("00009", "AR PID-3 ist leer")]


def test_a_lost_connection_is_opened_again_and_the_unacknowledged_are_sent_once_more() -> None:
    with Receiver(
        lambda times, control_id: "drop" if control_id == "00007" and times < 3 else "AA"
    ) as receiver:
        report = send_messages(
            outgoing(40, ["A"]), "127.0.0.1", receiver.port, connections=1, progress=ignore, limits=QUICK
        )
    assert (report.sent, report.accepted, report.reconnects) == (40, 40, 2)
    assert report.resent >= 2
    assert receiver.connections == 3
    assert order_of(receiver, "A") == [f"{number:05d}" for number in range(40)]


def test_an_ack_that_does_not_come_is_taken_for_a_lost_connection() -> None:
    with Receiver(
        lambda times, control_id: "silence" if control_id == "00002" and times == 1 else "AA"
    ) as receiver:
        report = send_messages(
            outgoing(10, ["A"]), "127.0.0.1", receiver.port, connections=1, progress=ignore, limits=QUICK
        )
    assert report.accepted == 10
    assert report.reconnects == 1
    assert sum(control_id == "00002" for _, _, control_id in receiver.received) == 2


def test_no_more_than_the_window_waits_for_an_ack() -> None:
    with Receiver(lambda _, __: "silence") as receiver, pytest.raises(UnavailableError):
        send_messages(
            outgoing(50, ["A"]), "127.0.0.1", receiver.port, connections=1, progress=ignore, limits=QUICK
        )
    assert {control_id for _, _, control_id in receiver.received} == {f"{number:05d}" for number in range(4)}
    assert receiver.connections == QUICK.attempts


def test_the_same_control_id_sent_twice_is_answered_twice() -> None:
    twice = [message for message in outgoing(5, ["A"]) for _ in range(2)]
    with Receiver(lambda _, __: "AA") as receiver:
        report = send_messages(iter(twice), "127.0.0.1", receiver.port, connections=1, progress=ignore)
    assert report.accepted == 10
    assert len(receiver.received) == 10


def test_a_port_where_nobody_listens_is_an_error_that_names_it() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{port}"):
        send_messages(outgoing(3), "127.0.0.1", port, connections=2, progress=ignore, limits=QUICK)


def test_nothing_to_send_needs_no_connection() -> None:
    report = send_messages(iter(()), "127.0.0.1", 1, connections=2, progress=ignore)
    assert (report.sent, report.codes) == (0, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MSH|^~\\&|\rMSA|AA|7\r", ("AA", "7", "")),
        ("MSH|^~\\&|\nMSA|CE|7|no such patient\n", ("CE", "7", "no such patient")),
        ("MSH|^~\\&|\rERR||PID^1|101|E\rMSA|AE|7\r", ("AE", "7", "101")),
        ("MSH$^~\\&$\rMSA$AR$7$\r", ("AR", "7", "")),
        ("garbage", ("", "", "")),
    ],
)
def test_acknowledgments_are_read_whatever_their_delimiters(
    text: str, expected: tuple[str, str, str]
) -> None:
    assert read_acknowledgment(b"\x0b" + text.encode() + b"\x1c\r") == expected


def test_a_city_is_sent_as_it_would_be_written() -> None:
    city = City.build(people=80, hospitals=3, clinics=2, days=4, seed=5, end=END)
    with Receiver(lambda _, __: "AA") as receiver:
        report = send(city, "127.0.0.1", receiver.port, connections=3)
    messages = list(city.messages())
    assert report.accepted == len(messages)
    assert sorted(receiver.frames) == sorted(message.raw for message in messages)
    for institution in city.institutions:
        sent = [message.raw for message in messages if message.sender is institution]
        arrived = [
            frame
            for frame, (_, sender, _) in zip(receiver.frames, receiver.received, strict=True)
            if sender == institution.code
        ]
        assert arrived == sent
