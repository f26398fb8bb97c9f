import pytest

from hsm_node.backends.symmetric import AesKey, HmacKey, check_hmac_material
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import GcmParameters
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
# RFC 4231, test cases 1 to 3: key, data, HMAC-SHA-256.
HMAC = [
    ("0b" * 20, b"Hi There".hex(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe".hex(),
        b"what do ya want for nothing?".hex(),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    ("aa" * 20, "dd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
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


@pytest.mark.parametrize(("key", "data", "mac"), HMAC)
def test_rfc_4231_vectors(key: str, data: str, mac: str) -> None:
    hmac = HmacKey(bytes.fromhex(key))
    assert hmac.sign(ckm.CKM_SHA256_HMAC, None, bytes.fromhex(data)).hex() == mac
    hmac.verify(ckm.CKM_SHA256_HMAC, None, bytes.fromhex(data), bytes.fromhex(mac))
    with pytest.raises(Refusal):
        hmac.verify(ckm.CKM_SHA256_HMAC, None, bytes.fromhex(data), bytes.fromhex(mac)[:-1])


def test_hmac_keys_have_a_sensible_length() -> None:
    check_hmac_material(bytes(14))
    for length in (13, 1025):
        with pytest.raises(Refusal):
            check_hmac_material(bytes(length))
