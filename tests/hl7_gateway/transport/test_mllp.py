"""MLLP over real sockets: order, backpressure, and every way that a sender can misbehave."""

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Callable

import pytest

from hie.core.errors import ConfigurationError
from hie.core.settings import Settings
from hl7_gateway.client import MLLPConnection
from hl7_gateway.mllp.framing import frame
from hl7_gateway.mllp.limits import Limits
from hl7_gateway.mllp.listener import Listener
from tests.hl7_gateway.transport.listening import (
    CLOCK,
    Gate,
    accept_all,
    connected,
    control_ids,
    is_closed,
    listening,
    message,
    refuse,
)

SHORT = Limits(idle_seconds=0.3, frame_seconds=0.3, frame_bytes_a_second=10**9, unread_seconds=0.5)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_pipelined_messages_are_acknowledged_in_order() -> None:
    with listening() as running, connected(running.port) as connection:
        connection.sendall(b"".join(frame(message(n)) for n in range(300)))
        assert control_ids(connection, 300) == [("AA", str(n)) for n in range(300)]


def test_connection_carries_one_message_after_another() -> None:
    with listening() as running, MLLPConnection("127.0.0.1", running.port) as connection:
        for number in range(50):
            assert f"MSA|AA|{number}".encode() in connection.send(message(number))


def test_message_in_single_bytes_is_one_message() -> None:
    with listening() as running, connected(running.port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(message("bytes")):
            connection.sendall(bytes((byte,)))
        assert control_ids(connection, 1) == [("AA", "bytes")]


def test_missing_cr_after_fs_is_waited_for_only_a_moment() -> None:
    with listening() as running, connected(running.port) as connection:
        for number in range(3):
            connection.sendall(b"\x0b" + message(number) + b"\x1c")
            assert control_ids(connection, 1) == [("AA", str(number))]


def test_garbage_between_blocks_costs_neither_message_nor_connection() -> None:
    with listening() as running, connected(running.port) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\n\r\n" + frame(message(1)) + b"\x00\xff\x1c\r" + frame(message(2))
        )
        assert control_ids(connection, 2) == [("AA", "1"), ("AA", "2")]


def test_socket_is_not_read_while_the_window_is_full() -> None:
    gate = Gate()
    sent = threading.Event()
    limits = Limits(window=4)
    messages = [message(n, padding=100_000) for n in range(200)]
    with (
        listening(gate, limits=limits, batch=2) as running,
        connected(running.port, timeout=30) as connection,
    ):

        def send() -> None:
            connection.sendall(b"".join(map(frame, messages)))
            sent.set()

        sender = threading.Thread(target=send)
        sender.start()
        assert eventually(lambda: len(gate.seen) > 0)
        assert not sent.wait(0.5)
        assert len(gate.seen) <= 2  # the first batch: one message or two, as they came
        gate.is_open.set()
        assert control_ids(connection, 200) == [("AA", str(n)) for n in range(200)]
        sender.join()
    assert gate.seen == messages


def test_messages_of_all_connections_together_are_bounded() -> None:
    gate = Gate()
    limits = Limits(queued_bytes=250_000)
    with listening(gate, limits=limits, batch=1) as running:
        connections = [MLLPConnection("127.0.0.1", running.port) for _ in range(10)]
        for number, connection in enumerate(connections):
            connection.put(message(number, padding=100_000))
        assert eventually(lambda: len(gate.seen) == 1)
        gate.is_open.set()
        for number, connection in enumerate(connections):
            assert f"MSA|AA|{number}".encode() in connection.take()
            connection.close()


def test_sender_that_never_reads_its_acknowledgments_is_closed_and_hinders_nobody() -> None:
    with listening(limits=SHORT) as running, connected(running.port, timeout=20) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        block = b"".join(frame(message(n)) for n in range(1000))

        def flood() -> None:
            with pytest.raises(OSError, match=r"."):
                while True:
                    deaf.sendall(block)

        flooding = threading.Thread(target=flood)
        flooding.start()
        with MLLPConnection("127.0.0.1", running.port) as other:
            assert b"MSA|AA|other" in other.send(message("other"))
        flooding.join(20)
        assert not flooding.is_alive()


def test_idle_connection_is_closed() -> None:
    with listening(limits=SHORT) as running, connected(running.port) as connection:
        assert is_closed(connection)


def test_connection_that_waits_for_its_acknowledgment_is_not_idle() -> None:
    gate = Gate()
    with listening(gate, limits=SHORT) as running, connected(running.port) as connection:
        connection.sendall(frame(message(1)))
        time.sleep(1.2)
        gate.is_open.set()
        assert control_ids(connection, 1) == [("AA", "1")]


def test_sender_that_trickles_bytes_is_closed() -> None:
    with listening(limits=SHORT) as running, connected(running.port) as connection:
        block = frame(message(1, padding=400))
        with pytest.raises(OSError, match=r"."):
            for byte in block:
                connection.sendall(bytes((byte,)))
                time.sleep(0.02)


def test_half_message_and_close_leave_the_listener_as_it_was() -> None:
    with listening() as running:
        for _ in range(20):
            with connected(running.port) as connection:
                connection.sendall(frame(message(1))[:-20])
        with connected(running.port) as connection:
            connection.sendall(frame(message(2)) + frame(message(3))[:-20])
            connection.shutdown(socket.SHUT_WR)
            assert control_ids(connection, 2) == [("AA", "2")]
        assert eventually(lambda: not running.listener._connections)


def test_sender_that_resets_its_connection_leaves_the_listener_as_it_was() -> None:
    with listening() as running:
        for _ in range(20):
            with connected(running.port) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                connection.sendall(frame(message(1)) * 50)
        assert eventually(lambda: not running.listener._connections)
        with MLLPConnection("127.0.0.1", running.port) as connection:
            assert b"MSA|AA|2" in connection.send(message(2))


def test_message_longer_than_the_limit_is_rejected_and_the_connection_closed() -> None:
    with listening(limits=Limits(message_bytes=10_000)) as running, connected(running.port) as connection:
        connection.sendall(
            frame(message("fits")) + frame(message("long", padding=300_000)) + frame(message("after"))
        )
        assert control_ids(connection, 9) == [("AA", "fits"), ("AR", "long")]
        assert is_closed(connection)


def test_unfinished_messages_of_all_connections_together_are_bounded() -> None:
    limits = Limits(open_bytes=250_000)
    with listening(limits=limits) as running:
        halves = [MLLPConnection("127.0.0.1", running.port) for _ in range(2)]
        for number, half in enumerate(halves):
            half._socket.sendall(frame(message(number, padding=100_000))[:-10])
        assert eventually(lambda: running.listener._open_bytes > 200_000)
        with connected(running.port) as refused:
            refused.sendall(frame(message("much", padding=100_000))[:-10])
            assert control_ids(refused, 9) == [("AR", "much")]
            assert is_closed(refused)
        for number, half in enumerate(halves):
            half._socket.sendall(frame(message(number, padding=100_000))[-10:])
            assert f"MSA|AA|{number}".encode() in half.take()
            half.close()
        assert eventually(lambda: running.listener._open_bytes == 0)


def test_more_connections_than_the_limit_are_refused() -> None:
    with listening(limits=Limits(connections=3)) as running:
        kept = [MLLPConnection("127.0.0.1", running.port) for _ in range(3)]
        for connection in kept:
            connection.send(message(1))
        with connected(running.port) as refused:
            assert is_closed(refused)
        kept.pop().close()
        assert eventually(lambda: len(running.listener._connections) == 2)
        with MLLPConnection("127.0.0.1", running.port) as connection:
            assert b"MSA|AA|2" in connection.send(message(2))
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    "count", [200, pytest.param(1000, marks=[pytest.mark.full, pytest.mark.timeout(600)])]
)
def test_idle_connections_by_the_hundred_do_not_hinder_a_busy_one(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    with listening() as running:
        idle = [MLLPConnection("127.0.0.1", running.port) for _ in range(count)]
        with MLLPConnection("127.0.0.1", running.port) as busy:
            for number in range(20):
                assert f"MSA|AA|{number}".encode() in busy.send(message(number))
        for connection in idle:
            assert b"MSA|AA|1" in connection.send(message(1))
            connection.close()


def test_stop_finishes_and_acknowledges_what_was_received() -> None:
    gate = Gate()
    with listening(gate, batch=5) as running, connected(running.port) as connection:
        connection.sendall(b"".join(frame(message(n)) for n in range(40)))
        assert eventually(lambda: len(gate.seen) > 0)
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        time.sleep(0.1)
        with pytest.raises(OSError, match=r"."), connected(running.port, timeout=1) as late:
            late.sendall(frame(message("late")))
            assert control_ids(late, 1) == []
            raise ConnectionResetError("closed without an acknowledgment")
        gate.is_open.set()
        assert control_ids(connection, 41) == [("AA", str(n)) for n in range(40)]
        stopping.join()


def test_stop_does_not_wait_for_ever_for_a_deaf_sender() -> None:
    with listening(limits=Limits(shutdown_seconds=0.5)) as running, connected(running.port) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        block = b"".join(frame(message(n)) for n in range(2000))
        with pytest.raises(BlockingIOError):
            while True:
                deaf.send(block)
                time.sleep(0.01)
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 30


def test_two_listeners_share_a_port() -> None:
    with listening() as first, listening(port=first.port) as second:
        assert second.port == first.port
        for number in range(20):
            with MLLPConnection("127.0.0.1", first.port) as connection:
                assert b"MSA|AA|" in connection.send(message(number))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - it must be refused
def test_listener_refuses_any_address_but_loopback(host: str) -> None:
    async def start() -> None:
        listener = Listener(accept_all, refuse=refuse, clock=CLOCK, limits=Limits(), batch=1)
        await listener.start(host, 0)

    with pytest.raises(ConfigurationError, match="loopback"):
        asyncio.run(start())


def test_port_of_another_program_is_named_as_taken() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(ConfigurationError, match="in use"),
        listening(port=other.getsockname()[1]),
    ):
        pass


def test_limits_are_those_of_the_settings() -> None:
    limits = Limits.of(
        Settings(
            _env_file=None,
            mllp_max_message_bytes=10**9,
            mllp_window=3,
            mllp_connections=7,
            mllp_idle_seconds=5,
            mllp_frame_seconds=2,
        )
    )
    found = (
        limits.message_bytes,
        limits.window,
        limits.connections,
        limits.idle_seconds,
        limits.frame_seconds,
    )
    assert found == (10**9, 3, 7, 5, 2)
    assert limits.queued_bytes >= limits.message_bytes
    assert limits.open_bytes >= limits.message_bytes
