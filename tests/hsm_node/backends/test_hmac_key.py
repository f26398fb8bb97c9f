import pytest

from hsm_node.backends.hmac_key import HmacKey, check_hmac_material
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm

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
