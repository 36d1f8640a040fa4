"""The whole gateway over a socket: fuzzed messages, large ones, wide ones, and what its log says."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hie.core.db.database import Database
from hie.wiring import Exchange
from hl7_gateway.client import MLLPConnection
from hl7_gateway.conveyor import Received
from hl7_gateway.er7.reader import read
from hl7_gateway.pipeline import Pipeline
from tests.hl7_gateway.transport.admissions import admission, journal, outcome, rows
from tests.hl7_gateway.transport.conftest import CLOCK

CANARY = "卡纳里阿德"

# Bytes that mean something to a reader are more likely than others.
PIECES = st.one_of(
    st.sampled_from(
        [b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b'""', b"\x00", b"\xff", b"MSH|", b"PID", b"\\X0D\\"]
    ),
    st.binary(max_size=4),
)
MUTATIONS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30), PIECES), max_size=6)


def mutated(raw: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, piece in mutations:
        raw = raw[:place] + piece + raw[place + length :]
    return raw


@contextmanager
def gateway(exchange: Exchange) -> Iterator[int]:
    """Run the gateway of `exchange` in a thread; yield its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listener = exchange.gateway().listener()
    try:
        yield asyncio.run_coroutine_threadsafe(listener.start("127.0.0.1", 0), loop).result(30)
        asyncio.run_coroutine_threadsafe(listener.stop(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(MUTATIONS, min_size=1, max_size=8))
def test_mutated_messages_are_all_answered_and_journaled_and_hinder_no_other(
    pipeline: Pipeline, database: Database, batch: list[list[tuple[int, int, bytes]]]
) -> None:
    (before,) = rows(database, "SELECT coalesce(sum(attempts + resends), 0) FROM journal")
    messages = [mutated(admission(n), mutations) for n, mutations in enumerate(batch)]
    messages.append(admission("unharmed", patient="P-unharmed"))
    answers = [outcome(a)[:2] for a in pipeline.process([Received(raw, CLOCK.now()) for raw in messages])]
    assert all(code in ("AA", "AE", "AR") for code, _ in answers)
    assert answers[-1] == ("AA", "unharmed")
    (after,) = rows(database, "SELECT coalesce(sum(attempts + resends), 0) FROM journal")
    assert after[0] - before[0] == len(messages)


def test_message_of_many_megabytes_passes(exchange: Exchange, database: Database) -> None:
    large = admission("large") + b"ZPD|1|" + b"JVBERi0x" * 2_500_000 + b"\r"
    with gateway(exchange) as port, MLLPConnection("127.0.0.1", port, timeout=120) as connection:
        assert outcome(connection.send(large)) == ("AA", "large", "")
        assert outcome(connection.send(admission("small"))) == ("AA", "small", "")
    assert rows(database, "SELECT length(raw) FROM journal ORDER BY id") == [
        (len(large),),
        (len(admission("small")),),
    ]


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "utf-16", "utf-16-be"])
def test_message_in_any_character_set_is_answered_in_it(
    exchange: Exchange, database: Database, codec: str
) -> None:
    declared = {"gb18030": "GB 18030-2000", "utf-8": "UNICODE UTF-8"}.get(codec, "UNICODE UTF-16")
    text = admission("宽", family="东方").decode().replace("|P|2.5", f"|P|2.5||||||{declared}")
    with gateway(exchange) as port, MLLPConnection("127.0.0.1", port) as connection:
        assert outcome(connection.send(text.encode(codec))) == ("AA", "宽", "")
    assert (
        rows(database, "SELECT count(*) FROM resource WHERE convert_from(body, 'UTF8') LIKE '%东方%'")[0][0]
        >= 1
    )


def test_log_names_sender_and_control_id_and_nobody(
    exchange: Exchange, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    good = admission("good", family=CANARY)
    bad = admission("bad", family=CANARY).replace(b"\rPV1|", b"\rPV9|").replace(b"\rPID|", b"\rZID|")
    broken = b"MSH|^~\\&|" + CANARY.encode() + b"\xff\xfe|" + CANARY.encode()
    with (
        caplog.at_level(logging.DEBUG),
        gateway(exchange) as port,
        MLLPConnection("127.0.0.1", port) as connection,
    ):
        sent = (good, bad, broken, CANARY.encode())
        answers = [connection.send(raw).split(b"\rMSA|")[1][:2] for raw in sent]
    assert answers == [b"AA", b"AE", b"AR", b"AR"]
    assert "HIS|H1 bad: AE, SegmentSequenceError" in caplog.text
    assert CANARY not in caplog.text
    assert len(journal(database)) == 4


def test_acknowledgment_does_not_quote_the_patient(pipeline: Pipeline) -> None:
    raw = admission("bad", family=CANARY).replace(b"\rPV1|", b"\rPV9|")
    wrong = raw.replace(b"|19800101|F", b"|yesterday|?")
    for message in (raw, wrong):
        (acknowledgment,) = pipeline.process([Received(message, CLOCK.now())])
        assert CANARY not in read(acknowledgment).text
