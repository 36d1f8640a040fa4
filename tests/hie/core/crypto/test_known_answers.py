"""The algorithms give what their standards print."""

import base64

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hie.core.crypto.aead import Algorithm, aead
from hie.core.crypto.digest import hash_of, is_mac_of, mac_of
from hie.core.crypto.es256 import Es256Signer, Es256Verifier
from hie.core.crypto.sm2 import Sm2Signer, Sm2Verifier
from hie.core.security_errors import CiphertextError

HEX = bytes.fromhex


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        # GB/T 32905-2016, A.1 and A.2; also https://datatracker.ietf.org/doc/html/draft-sca-cfrg-sm3-02
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ],
    ids=["A.1", "A.2"],
)
def test_sm3_is_that_of_gb_t_32905(message: bytes, digest: str) -> None:
    assert hash_of("sm3", message).hex() == digest


def test_sha256_is_that_of_fips_180() -> None:
    # https://csrc.nist.gov/CSRC/media/Projects/Cryptographic-Standards-and-Guidelines/documents/examples/SHA256.pdf
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_of("sha256", b"abc").hex() == expected


def test_hmac_with_sm3_is_that_of_gm_t_0042() -> None:
    # GM/T 0042-2015, D.3, first and second vector
    first = "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a"
    text = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" * 2
    assert mac_of("sm3", bytes(range(1, 33)), text).hex() == first
    second = "220bf579ded555393f0159f66c99877822a3ecf610d1552154b41d44b94db3ae"
    assert mac_of("sm3", bytes(range(1, 38)), b"\xcd" * 50).hex() == second


def test_hmac_with_sha256_is_that_of_rfc_4231() -> None:
    # https://www.rfc-editor.org/rfc/rfc4231#section-4.3
    expected = HEX("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    message = b"what do ya want for nothing?"
    assert mac_of("sha256", b"Jefe", message) == expected
    assert is_mac_of("sha256", b"Jefe", message, expected)
    assert not is_mac_of("sha256", b"Jefe", message, expected[:-1])
    assert not is_mac_of("sha256", b"jefe", message, expected)


@pytest.mark.parametrize("name", ["md5", "sha1", "SM3", ""])
def test_no_other_digest_is_taken(name: str) -> None:
    with pytest.raises(ValueError, match="neither sha256 nor sm3"):
        hash_of(name, b"abc")
    with pytest.raises(ValueError, match="neither sha256 nor sm3"):
        mac_of(name, b"key", b"abc")


def test_sm4_is_that_of_gb_t_32907() -> None:
    # GB/T 32907-2016, A.1 and A.2: one block, and the same block encrypted a million times over
    block = HEX("0123456789abcdeffedcba9876543210")
    # ECB is one block of the cipher itself, which is what the annex prints.
    once = Cipher(algorithms.SM4(block), modes.ECB()).encryptor()  # noqa: S305
    assert once.update(block).hex() == "681edf34d206965e86b3e94f536e4246"
    again = block
    for _ in range(1_000_000):
        again = once.update(again)
    assert again.hex() == "595298c7c6fd271f0402f804c33d3f66"


def test_sm4_gcm_is_that_of_rfc_8998() -> None:
    # https://www.rfc-editor.org/rfc/rfc8998#appendix-A.1
    cipher = aead(Algorithm.SM4_GCM, HEX("0123456789abcdeffedcba9876543210"))
    nonce, associated = HEX("00001234567800000000abcd"), HEX("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = b"".join(bytes([value]) * 8 for value in (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xEE, 0xAA))
    sealed = HEX(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
        "83de3541e4c2b58177e065a9bf7b62ec"
    )
    assert cipher.seal(nonce, plain, associated) == sealed
    assert cipher.open(nonce, sealed, associated) == plain


def test_aes_256_gcm_is_that_of_its_authors() -> None:
    # Test case 16 of McGrew and Viega, The Galois/Counter Mode of Operation, appendix B
    # https://csrc.nist.rip/groups/ST/toolkit/BCM/documents/proposedmodes/gcm/gcm-spec.pdf
    cipher = aead(Algorithm.AES_256_GCM, HEX("feffe9928665731c6d6a8f9467308308" * 2))
    nonce, associated = HEX("cafebabefacedbaddecaf888"), HEX("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = HEX(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = HEX(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    assert cipher.seal(nonce, plain, associated) == sealed
    assert cipher.open(nonce, sealed, associated) == plain


@pytest.mark.parametrize("algorithm", list(Algorithm), ids=lambda each: each.label)
def test_ciphertext_that_was_changed_anywhere_does_not_open(algorithm: Algorithm) -> None:
    cipher = aead(algorithm, bytes(algorithm.key_bytes))
    nonce = bytes(12)
    sealed = cipher.seal(nonce, b"plain", b"bound")
    wrong = [
        (nonce, bytes([*sealed[:at], sealed[at] ^ 1, *sealed[at + 1 :]]), b"bound")
        for at in range(len(sealed))
    ]
    wrong += [(bytes(11) + b"\1", sealed, b"bound"), (nonce, sealed, b"Bound"), (nonce, sealed, b"")]
    wrong += [(nonce, sealed[:length], b"bound") for length in range(len(sealed))]
    for values in wrong:
        with pytest.raises(CiphertextError):
            cipher.open(*values)
    assert cipher.open(nonce, sealed, b"bound") == b"plain"


@pytest.mark.parametrize("algorithm", list(Algorithm), ids=lambda each: each.label)
def test_key_of_another_length_is_refused(algorithm: Algorithm) -> None:
    for length in (0, algorithm.key_bytes - 1, algorithm.key_bytes + 1, 48 - algorithm.key_bytes):
        with pytest.raises(ValueError, match="bytes"):
            aead(algorithm, bytes(length))


def test_sm2_signature_is_that_of_gb_t_32918() -> None:
    # GB/T 32918.5-2017, A.2 (GM/T 0003.5-2012, A.2): key, number k, message and signature
    private = HEX("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
    public = HEX(
        "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
        "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
    )
    number = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
    signature = HEX(
        "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
        "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
    )
    signer = Sm2Signer(private, random_bits=lambda _: number)
    assert signer.verifier.public == public
    assert signer.sign(b"message digest") == signature
    assert Sm2Verifier(public).is_signature(signature, b"message digest")


def test_es256_signature_is_that_of_rfc_7515() -> None:
    # https://www.rfc-editor.org/rfc/rfc7515#appendix-A.3
    def decoded(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    private = decoded("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI")
    public = (
        b"\4"
        + decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
        + decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
    )
    message = (
        b"eyJhbGciOiJFUzI1NiJ9"
        b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    )
    signature = decoded(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    assert Es256Signer(private).verifier.public == public
    assert Es256Verifier(public).is_signature(signature, message)
