"""Signatures hold for the message, the key and the identity that they were made with, and no other."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hie.core.crypto.signature import PRIVATE_BYTES, PUBLIC_BYTES, SIGNATURE_BYTES, SignatureName
from hie.core.crypto.sm2 import Sm2Signer
from hie.core.crypto.suite import SUITES, new_signer, signer, verifier

NAMES: list[SignatureName] = ["ES256", "SM2"]


@pytest.mark.parametrize("name", NAMES)
def test_signature_holds_for_its_message_and_key_only(name: SignatureName) -> None:
    made, other = new_signer(name), new_signer(name)

    @settings(max_examples=5)
    @given(message=st.binary(max_size=100))
    def check(message: bytes) -> None:
        signature = made.sign(message)
        assert len(signature) == SIGNATURE_BYTES
        assert made.verifier.is_signature(signature, message)
        assert not made.verifier.is_signature(signature, message + b"x")
        assert not other.verifier.is_signature(signature, message)
        assert not made.verifier.is_signature(bytes([signature[0] ^ 1]) + signature[1:], message)

    check()


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_read_back_from_their_bytes(name: SignatureName) -> None:
    made = new_signer(name)
    assert (len(made.private), len(made.verifier.public)) == (PRIVATE_BYTES, PUBLIC_BYTES)
    again = signer(name, made.private)
    assert again.verifier.public == made.verifier.public
    assert verifier(name, made.verifier.public).is_signature(again.sign(b"text"), b"text")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(63),
        bytes(64),
        bytes(65),
        b"\xff" * 64,
        b"\xff" * 32 + bytes(32),
        bytes(31) + b"\1" + bytes(32),
    ],
    ids=["none", "short", "zeros", "long", "beyond the order", "r beyond", "s zero"],
)
def test_what_cannot_be_a_signature_is_none(name: SignatureName, signature: bytes) -> None:
    assert not new_signer(name).verifier.is_signature(signature, b"text")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "damage",
    [
        lambda public: public[:-1] + bytes([public[-1] ^ 1]),
        lambda public: public[:33] + bytes(32),
        lambda public: public[:1] + b"\xff" * 64,
        lambda public: public[:-1],
        lambda public: public[:0],
    ],
    ids=["off the curve", "y zero", "beyond the field", "short", "none"],
)
def test_what_is_no_point_of_the_curve_is_no_public_key(
    name: SignatureName, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(ValueError, match=r"."):
        verifier(name, damage(new_signer(name).verifier.public))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("private", [b"", bytes(31), bytes(32), b"\xff" * 32, bytes(33)], ids=len)
def test_what_is_beyond_the_order_is_no_private_key(name: SignatureName, private: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        signer(name, private)


def test_sm2_signature_binds_the_identity_of_the_signer() -> None:
    private = new_signer("SM2").private
    mine, other = Sm2Signer(private, identity=b"ALICE123@YAHOO.COM"), Sm2Signer(private)
    signature = mine.sign(b"text")
    assert mine.verifier.is_signature(signature, b"text")
    assert not other.verifier.is_signature(signature, b"text")


def test_each_suite_names_what_its_standards_name() -> None:
    named = {name: (suite.digest, suite.aead.label, suite.signature) for name, suite in SUITES.items()}
    assert named == {
        "international": ("sha256", "AES-256-GCM", "ES256"),
        "national": ("sm3", "SM4-GCM", "SM2"),
    }
