"""Blocks of the HL7 Transport Specification MLLP, release 1, and what real senders make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.mllp.framing import FrameReader, frame

LIMIT = 1000
TEXT = st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\x0b\x1c"))


def read_in_pieces(stream: bytes, sizes: list[int], limit: int = LIMIT) -> tuple[list[bytes], FrameReader]:
    reader = FrameReader(limit)
    messages: list[bytes] = []
    position = 0
    for size in sizes:
        messages += reader.feed(stream[position : position + size])
        position += size
    messages += reader.feed(stream[position:])
    return messages, reader


@given(st.lists(TEXT, max_size=8), st.lists(st.integers(1, 40), max_size=40))
def test_messages_are_the_same_however_the_stream_is_cut_into_packets(
    messages: list[bytes], sizes: list[int]
) -> None:
    found, reader = read_in_pieces(b"".join(map(frame, messages)), sizes)
    assert found == messages
    assert reader.garbage == 0


@given(st.lists(st.tuples(TEXT, TEXT), max_size=6), st.lists(st.integers(1, 40), max_size=40))
def test_bytes_between_blocks_are_counted_and_cost_no_message(
    parts: list[tuple[bytes, bytes]], sizes: list[int]
) -> None:
    stream = b"".join(garbage + frame(message) for garbage, message in parts)
    found, reader = read_in_pieces(stream, sizes)
    assert found == [message for _, message in parts]
    assert reader.garbage == sum(len(garbage.translate(None, b"\r\n")) for garbage, _ in parts)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_sequence_of_bytes_makes_the_reader_fail_or_hold_more_than_its_limit(packets: list[bytes]) -> None:
    reader = FrameReader(64)
    for packet in packets:
        for message in reader.feed(packet):
            assert len(message) <= 64
        assert reader.buffered <= 64 + 1
        reader.settle()


@pytest.mark.parametrize("end", [b"\x1c\r", b"\x1c\n", b"\x1c\r\n", b"\x1c"])
def test_end_of_block_may_lack_its_cr_or_have_an_lf(end: bytes) -> None:
    reader = FrameReader(LIMIT)
    assert reader.feed(b"\x0bMSH|1" + end + b"\x0bMSH|2\x1c\r") == [b"MSH|1", b"MSH|2"]
    assert reader.garbage == 0


def test_fs_that_nothing_follows_ends_the_block_when_it_settles() -> None:
    reader = FrameReader(LIMIT)
    assert reader.feed(b"\x0bMSH|1\x1c") == []
    assert reader.is_settling
    assert reader.settle() == b"MSH|1"
    assert reader.feed(b"\r\x0bMSH|2\x1c\r") == [b"MSH|2"]
    assert reader.garbage == 0


def test_fs_inside_a_two_byte_character_does_not_end_the_block() -> None:
    message = "MSH|^~\\&|东\r".encode("utf-16-le")
    assert b"\x1c" in message
    for cut in range(1, len(message)):
        assert read_in_pieces(frame(message), [cut])[0] == [message]


def test_vertical_tab_inside_a_text_is_kept() -> None:
    message = b"MSH|^~\\&|\rOBX|1|TX|||one\x0btwo\r"
    assert FrameReader(LIMIT).feed(frame(message)) == [message]


def test_block_begun_anew_replaces_the_half_one() -> None:
    reader = FrameReader(LIMIT)
    assert reader.feed(b"\x0bMSH|half" + frame(b"MSH|whole")) == [b"MSH|whole"]
    assert reader.garbage == len(b"MSH|half")


def test_block_longer_than_the_limit_leaves_its_head_and_ends_reading() -> None:
    for sizes in ([], [3], [LIMIT + 2]):
        before = frame(b"MSH|before")
        found, reader = read_in_pieces(before + b"\x0bMSH|long|" + b"x" * LIMIT + b"\x1c\r", sizes)
        assert found == [b"MSH|before"]
        assert reader.overflow is not None
        assert reader.overflow.startswith(b"MSH|long|")
        assert reader.feed(frame(b"MSH|after")) == []


def test_block_of_exactly_the_limit_passes() -> None:
    message = b"M" * LIMIT
    assert FrameReader(LIMIT).feed(frame(message)) == [message]
    assert read_in_pieces(frame(message), [LIMIT + 2])[0] == [message]
