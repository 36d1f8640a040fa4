"""Envelopes open for their key and place, whole, and for nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.crypto.aead import Algorithm, aead, new_key
from hie.core.crypto.compression import DICTIONARIES, NONE, R4, compress, decompress
from hie.core.crypto.digest import hash_of
from hie.core.crypto.envelope import OVERHEAD_BYTES, DataKey, Place, key_id_of, open_envelope, seal
from hie.core.security_errors import CiphertextError

KEYS = {algorithm: DataKey(7, algorithm, aead(algorithm, new_key(algorithm))) for algorithm in Algorithm}
PLACE = Place("Patient", "p1", 3)
BODY = json.dumps({"resourceType": "Patient", "id": "p1", "name": [{"text": "text " * 20}]}).encode()

ciphers = st.sampled_from(list(Algorithm))
places = st.builds(Place, st.text(max_size=12), st.text(max_size=12), st.integers(0, 2**31 - 1))


@given(ciphers, st.binary(max_size=2000), places, st.sampled_from([NONE, R4]))
def test_envelope_gives_back_what_was_sealed(
    algorithm: Algorithm, text: bytes, place: Place, dictionary: int
) -> None:
    key = KEYS[algorithm]
    envelope = seal(key, text, place, dictionary=dictionary)
    assert open_envelope(key, envelope, place) == text
    assert key_id_of(envelope) == key.id
    assert len(envelope) <= len(text) + OVERHEAD_BYTES
    assert seal(key, text, place, dictionary=dictionary) != envelope


@given(ciphers, places, places)
def test_envelope_does_not_open_in_another_place(algorithm: Algorithm, one: Place, other: Place) -> None:
    envelope = seal(KEYS[algorithm], BODY, one)
    if one == other:
        assert open_envelope(KEYS[algorithm], envelope, other) == BODY
        return
    with pytest.raises(CiphertextError):
        open_envelope(KEYS[algorithm], envelope, other)


@pytest.mark.parametrize(
    "other",
    [
        Place("Patient", "p1", 4),
        Place("Patient", "p2", 3),
        Place("Person", "p1", 3),
        Place("Patientp", "1", 3),
    ],
    ids=["version", "id", "type", "the same letters"],
)
def test_row_that_was_swapped_does_not_open(other: Place) -> None:
    for key in KEYS.values():
        with pytest.raises(CiphertextError, match="changed where it is stored, or moved there"):
            open_envelope(key, seal(key, BODY, PLACE), other)


@pytest.mark.parametrize("algorithm", list(Algorithm), ids=lambda each: each.label)
def test_envelope_that_was_changed_in_any_byte_does_not_open(algorithm: Algorithm) -> None:
    key = KEYS[algorithm]
    for dictionary in (NONE, R4):
        envelope = seal(key, BODY, PLACE, dictionary=dictionary)
        for at in range(len(envelope)):
            changed = bytes([*envelope[:at], envelope[at] ^ 1, *envelope[at + 1 :]])
            with pytest.raises(CiphertextError):
                open_envelope(key, changed, PLACE)
        for length in range(len(envelope)):
            with pytest.raises(CiphertextError):
                open_envelope(key, envelope[:length], PLACE)


def test_envelope_opens_with_its_own_key_only() -> None:
    one = KEYS[Algorithm.AES_256_GCM]
    envelope = seal(one, BODY, PLACE)
    with pytest.raises(CiphertextError, match="sealed with the data key 7, not 8"):
        open_envelope(one._replace(id=8), envelope, PLACE)
    with pytest.raises(CiphertextError):
        open_envelope(KEYS[Algorithm.SM4_GCM], envelope, PLACE)
    stranger = one._replace(cipher=aead(one.algorithm, new_key(one.algorithm)))
    with pytest.raises(CiphertextError):
        open_envelope(stranger, envelope, PLACE)


def test_header_says_format_cipher_compression_and_key() -> None:
    envelope = seal(KEYS[Algorithm.SM4_GCM], BODY, PLACE)
    assert envelope[:11].hex() == "0102010000000000000007"
    assert len(envelope) < len(BODY)
    plain = seal(KEYS[Algorithm.AES_256_GCM], BODY, PLACE, dictionary=NONE)
    assert plain[:11].hex() == "0101000000000000000007"
    assert len(plain) == len(BODY) + OVERHEAD_BYTES


def test_text_that_compression_makes_longer_is_not_compressed() -> None:
    for text in (b"", b"x", bytes(range(256))):
        envelope = seal(KEYS[Algorithm.AES_256_GCM], text, PLACE)
        assert envelope[2] == 0
        assert len(envelope) == len(text) + OVERHEAD_BYTES


def test_nothing_of_the_text_stands_in_the_envelope() -> None:
    for key in KEYS.values():
        for dictionary in (NONE, R4):
            assert b"Patient" not in seal(key, BODY, PLACE, dictionary=dictionary)


@pytest.mark.parametrize("text", [b"", BODY, b"\2" + bytes(60), b"\1\1\2" + bytes(60)], ids=len)
def test_what_is_no_envelope_names_no_key(text: bytes) -> None:
    with pytest.raises(CiphertextError, match="envelope"):
        key_id_of(text)


@given(st.one_of(st.binary(max_size=5000), st.text(max_size=2000).map(str.encode)))
def test_compressed_text_comes_back(text: bytes) -> None:
    assert decompress(compress(text), R4) == text


def test_compressed_text_that_is_cut_or_longer_is_refused() -> None:
    compressed = compress(BODY)
    for text in (compressed[:-1], compressed + b"x", b"", b"\xff" * 9):
        with pytest.raises(ValueError, match="compressed"):
            decompress(text, R4)


def test_dictionary_is_never_changed_because_texts_are_stored_with_it() -> None:
    assert {number: hash_of("sha256", words).hex() for number, words in DICTIONARIES.items()} == {
        R4: "78ca438924addf0f3cc06c1dc05c4eba2fb820209f21ac11b55650920250b8cb"
    }
