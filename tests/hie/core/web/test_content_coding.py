"""gzip and zstd of bodies: round trips, limits, broken input (RFC 9110, 8.4)."""

import gzip
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.errors import PayloadTooLargeError, RequestError, UnsupportedMediaTypeError
from hie.core.web.content_coding import (
    Coding,
    accepted_coding,
    check_coding,
    decoded,
    encoded,
    encoder,
)

CODINGS: tuple[Coding, ...] = ("gzip", "zstd")


@given(st.lists(st.binary(max_size=2000)), st.sampled_from(CODINGS))
def test_pieces_decode_to_what_was_given(pieces: list[bytes], coding: Coding) -> None:
    stream = encoder(coding)
    body = b"".join([stream.piece(piece) for piece in pieces]) + stream.rest()
    whole = b"".join(pieces)
    assert decoded(body, coding, len(whole)) == whole
    assert decoded(encoded(whole, coding), coding, len(whole)) == whole


def test_a_streamed_piece_can_be_read_at_once() -> None:
    stream = encoder("gzip")
    assert zlib.decompressobj(31).decompress(stream.piece(b"first")) == b"first"


@pytest.mark.parametrize("coding", CODINGS)
def test_body_of_several_members_is_one(coding: Coding) -> None:
    body = encoded(b"a" * 100, coding) + encoded(b"b" * 100, coding)
    assert decoded(body, coding, 200) == b"a" * 100 + b"b" * 100


@pytest.mark.parametrize("coding", CODINGS)
def test_limit_counts_what_was_decoded(coding: Coding) -> None:
    body = encoded(bytes(1_000_000), coding)
    assert len(body) < 10_000
    assert decoded(body, coding, 1_000_000) == bytes(1_000_000)
    with pytest.raises(PayloadTooLargeError, match="999999 bytes"):
        decoded(body, coding, 999_999)


@pytest.mark.parametrize("coding", CODINGS)
def test_broken_and_cut_bodies_are_refused(coding: Coding) -> None:
    body = encoded(os.urandom(300_000), coding)
    for broken in (b"", b"{}", body[:-1], body[: len(body) // 2], body + b"{}"):
        with pytest.raises(RequestError):
            decoded(broken, coding, 1_000_000)


@pytest.mark.timeout(60)  # it takes 0.1 s; work that grows with the square of the members takes minutes
def test_body_of_very_many_members_is_refused() -> None:
    body = gzip.compress(b"") * 1_000_000
    with pytest.raises(RequestError, match="more than 10000 parts"):
        decoded(body, "gzip", 1_000)


def test_zstd_with_a_huge_window_is_refused() -> None:
    # RFC 8878, 3.1.1.1.2: exponent 21, so a window of 2^31 bytes
    frame = bytes.fromhex("28b52ffd") + b"\x00" + bytes([21 << 3]) + b"\x09\x00\x00a"
    with pytest.raises(RequestError, match="too much memory"):
        decoded(frame, "zstd", 1_000)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("br", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=0.5, identity;q=1", None),
        ("gzip;q=x", None),
        ("", None),
    ],
)
def test_accept_encoding_is_negotiated(header: str, expected: str | None) -> None:
    assert accepted_coding(header) == expected


def test_content_encodings_that_are_read() -> None:
    found = [check_coding(header) for header in ("", "identity", "gzip", "X-GZIP", "zstd", "identity, gzip")]
    assert found == [None, None, "gzip", "gzip", "zstd", "gzip"]
    for header in ("br", "deflate", "gzip, gzip"):
        with pytest.raises(UnsupportedMediaTypeError):
            check_coding(header)
