import hmac

import pytest

from hsm_node.backends.aes import MAX_WRAPPED_BYTES, AesKey
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import GcmParameters, HkdfParameters
from hsm_wire.statuses import Status

# The GCM specification's test cases 2, 4 (AES-128) and 16 (AES-256): key, nonce, plaintext, aad, sealed.
_PLAIN = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
_AAD = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
GCM = [
    ("00" * 16, "00" * 12, "00" * 16, "", "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"),
    (
        "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", _PLAIN, _AAD,
        ("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
         "5bc94fbc3221a5db94fae95ae7121a47"),
    ),
    (
        "feffe9928665731c6d6a8f9467308308" * 2, "cafebabefacedbaddecaf888", _PLAIN, _AAD,
        ("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
         "76fc6ece0f4e1768cddf8853bb2d551b"),
    ),
]  # fmt: skip
# RFC 4493, section 4, examples 1 to 3: key, data, AES-CMAC.
_CMAC_KEY = "2b7e151628aed2a6abf7158809cf4f3c"
CMAC = [
    (_CMAC_KEY, "", "bb1d6929e95937287fa37d129b756746"),
    (_CMAC_KEY, "6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9dd04a287c"),
    (
        _CMAC_KEY,
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411",
        "dfa66747de9ae63030ca32611497c827",
    ),
]
# RFC 3394, section 4.6, and RFC 5649, section 6: key, material, wrapped.
WRAPPED = [
    (
        ckm.CKM_AES_KEY_WRAP,
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
    ),
    (
        ckm.CKM_AES_KEY_WRAP_KWP,
        "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
        "c37b7e6492584340bed12207808941155068f738",
        "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
    ),
    (
        ckm.CKM_AES_KEY_WRAP_KWP,
        "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
        "466f7250617369",
        "afbeb0f07dfbf5419200f2ccb50bb24f",
    ),
]


@pytest.mark.parametrize(("key", "nonce", "plain", "aad", "sealed"), GCM)
def test_gcm_vectors(key: str, nonce: str, plain: str, aad: str, sealed: str) -> None:
    parameters = GcmParameters(bytes.fromhex(nonce), bytes.fromhex(aad))
    aes = AesKey(bytes.fromhex(key))
    assert aes.encrypt(ckm.CKM_AES_GCM, parameters, bytes.fromhex(plain), caller_iv=True)[0].hex() == sealed
    assert aes.decrypt(ckm.CKM_AES_GCM, parameters, bytes.fromhex(sealed)).hex() == plain


def test_the_node_makes_a_fresh_nonce() -> None:
    aes = AesKey(bytes(32))
    made = {aes.encrypt(ckm.CKM_AES_GCM, None, b"x", caller_iv=False)[1] for _ in range(50)}
    assert len(made) == 50
    assert {len(nonce) for nonce in made} == {12}


@pytest.mark.parametrize(
    ("parameters", "caller_iv", "status"),
    [
        (GcmParameters(bytes(12)), False, Status.KEY_USAGE),
        (GcmParameters(bytes(7)), True, Status.BAD_REQUEST),
        (GcmParameters(bytes(129)), True, Status.BAD_REQUEST),
        (GcmParameters(tag_bits=96), False, Status.BAD_REQUEST),
    ],
)
def test_gcm_refuses_what_is_not_safe(parameters: GcmParameters, status: Status, *, caller_iv: bool) -> None:
    with pytest.raises(Refusal) as refused:
        AesKey(bytes(32)).encrypt(ckm.CKM_AES_GCM, parameters, b"", caller_iv=caller_iv)
    assert refused.value.status is status


def test_a_changed_ciphertext_does_not_decrypt() -> None:
    aes = AesKey(bytes(32))
    ciphertext, nonce = aes.encrypt(ckm.CKM_AES_GCM, None, b"plain", caller_iv=False)
    for data in (ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]), b"", ciphertext[:15]):
        with pytest.raises(Refusal) as refused:
            aes.decrypt(ckm.CKM_AES_GCM, GcmParameters(nonce), data)
        assert refused.value.status is Status.BAD_DATA


@pytest.mark.parametrize(("key", "data", "mac"), CMAC)
def test_rfc_4493_vectors(key: str, data: str, mac: str) -> None:
    aes, message, right = AesKey(bytes.fromhex(key)), bytes.fromhex(data), bytes.fromhex(mac)
    assert aes.sign(ckm.CKM_AES_CMAC, None, message) == right
    aes.verify(ckm.CKM_AES_CMAC, None, message, right)
    for wrong in (b"", right[:-1], right + b"\x00", bytes(16)):
        with pytest.raises(Refusal) as refused:
            aes.verify(ckm.CKM_AES_CMAC, None, message, wrong)
        assert refused.value.status is Status.BAD_SIGNATURE


@pytest.mark.parametrize(("mechanism", "key", "material", "wrapped"), WRAPPED)
def test_key_wrap_vectors(mechanism: int, key: str, material: str, wrapped: str) -> None:
    aes = AesKey(bytes.fromhex(key))
    assert aes.wrap(mechanism, None, bytes.fromhex(material)).hex() == wrapped
    assert aes.unwrap(mechanism, None, bytes.fromhex(wrapped)).hex() == material


@pytest.mark.parametrize("length", [1, 8, 15, 17, 31])
def test_kw_takes_whole_units_and_names_what_takes_the_rest(length: int) -> None:
    aes = AesKey(bytes(32))
    with pytest.raises(Refusal, match="use CKM_AES_KEY_WRAP_KWP") as refused:
        aes.wrap(ckm.CKM_AES_KEY_WRAP, None, bytes(length))
    assert refused.value.status is Status.BAD_DATA
    kwp = ckm.CKM_AES_KEY_WRAP_KWP
    assert aes.unwrap(kwp, None, aes.wrap(kwp, None, bytes(length))) == bytes(length)


@pytest.mark.parametrize("mechanism", [ckm.CKM_AES_KEY_WRAP, ckm.CKM_AES_KEY_WRAP_KWP])
@pytest.mark.parametrize("wrapped", [b"", bytes(16), bytes(24), bytes(25), bytes(40)])
def test_what_was_not_wrapped_does_not_unwrap(mechanism: int, wrapped: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        AesKey(bytes(32)).unwrap(mechanism, None, wrapped)
    assert refused.value.status is Status.BAD_DATA


@pytest.mark.parametrize("mechanism", [ckm.CKM_AES_KEY_WRAP, ckm.CKM_AES_KEY_WRAP_KWP])
def test_what_is_longer_than_any_wrapped_key_is_not_even_tried(mechanism: int) -> None:
    key = AesKey(bytes(32))
    longest = bytes(MAX_WRAPPED_BYTES - 8)
    assert key.unwrap(mechanism, None, key.wrap(mechanism, None, longest)) == longest
    too_long = key.wrap(mechanism, None, bytes(MAX_WRAPPED_BYTES))
    with pytest.raises(Refusal) as refused:
        key.unwrap(mechanism, None, too_long)
    assert refused.value.status is Status.BAD_DATA


def test_what_one_wrapping_made_the_other_does_not_take() -> None:
    aes = AesKey(bytes(32))
    for one, other in (
        (ckm.CKM_AES_KEY_WRAP, ckm.CKM_AES_KEY_WRAP_KWP),
        (ckm.CKM_AES_KEY_WRAP_KWP, ckm.CKM_AES_KEY_WRAP),
    ):
        with pytest.raises(Refusal):
            aes.unwrap(other, None, aes.wrap(one, None, bytes(32)))


def test_hkdf_from_an_aes_key_is_hkdf_of_its_bytes() -> None:
    parameters = HkdfParameters(ckm.CKM_SHA512, b"salt", b"info")
    derived = AesKey(bytes(range(32))).derive(ckm.CKM_HKDF_DERIVE, parameters, 64)
    extracted = hmac.digest(b"salt", bytes(range(32)), "sha512")
    assert derived == hmac.digest(extracted, b"info\x01", "sha512")
