import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from hsm_node.backends import aes_modes
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import CtrParameters, IvParameters, Parameters
from hsm_wire.statuses import Status

# SP 800-38A, F.2.1 and F.5.1: two blocks.
KEY = aes_modes.SoftwareModes(AES(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")))
IV = bytes(range(16))
COUNTER = bytes(range(0xF0, 0x100))
PLAIN = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
CBC = bytes.fromhex("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2")
CTR = bytes.fromhex("874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff")


def encrypted(mechanism: int, parameters: Parameters | None, data: bytes, *, caller_iv: bool = False) -> bytes:
    ciphertext, iv = aes_modes.encrypt(KEY, mechanism, parameters, data, caller_iv=caller_iv)
    again = CtrParameters(128, iv) if mechanism == ckm.CKM_AES_CTR else IvParameters(iv)
    assert aes_modes.decrypt(KEY, mechanism, again, ciphertext) == data
    return ciphertext


def test_the_examples_of_sp_800_38a() -> None:
    assert encrypted(ckm.CKM_AES_CBC, IvParameters(IV), PLAIN, caller_iv=True) == CBC
    assert encrypted(ckm.CKM_AES_CTR, CtrParameters(128, COUNTER), PLAIN, caller_iv=True) == CTR
    assert encrypted(ckm.CKM_AES_CTR, CtrParameters(128, COUNTER), PLAIN[:17], caller_iv=True) == CTR[:17]


@pytest.mark.parametrize("mechanism", [ckm.CKM_AES_CBC, ckm.CKM_AES_CBC_PAD, ckm.CKM_AES_CTR])
def test_the_node_makes_a_fresh_vector_each_time(mechanism: int) -> None:
    made = {aes_modes.encrypt(KEY, mechanism, None, PLAIN, caller_iv=False)[1] for _ in range(50)}
    assert len(made) == 50
    assert {len(iv) for iv in made} == {16}


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17])
def test_padding_takes_any_length(length: int) -> None:
    assert len(encrypted(ckm.CKM_AES_CBC_PAD, None, bytes(length))) == (length // 16 + 1) * 16


def test_cbc_takes_whole_blocks() -> None:
    assert encrypted(ckm.CKM_AES_CBC, None, b"") == b""
    with pytest.raises(Refusal, match="whole blocks") as refused:
        encrypted(ckm.CKM_AES_CBC, None, bytes(17))
    assert refused.value.status is Status.BAD_DATA
    with pytest.raises(Refusal, match="whole blocks"):
        aes_modes.decrypt(KEY, ckm.CKM_AES_CBC, IvParameters(IV), bytes(15))


@pytest.mark.parametrize("data", [b"", bytes(15), bytes(16), CBC], ids=["none", "part", "zeros", "no padding"])
def test_every_wrong_padding_has_the_same_answer(data: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        aes_modes.decrypt(KEY, ckm.CKM_AES_CBC_PAD, IvParameters(IV), data)
    assert refused.value.status is Status.BAD_DATA
    assert refused.value.detail == "the data does not decrypt with this key and these parameters"


@pytest.mark.parametrize(
    ("mechanism", "parameters"),
    [
        (ckm.CKM_AES_CBC, IvParameters(IV)),
        (ckm.CKM_AES_CBC_PAD, IvParameters(IV)),
        (ckm.CKM_AES_CTR, CtrParameters(128, IV)),
    ],
)
def test_a_caller_s_own_vector_needs_the_policy_flag(mechanism: int, parameters: Parameters) -> None:
    with pytest.raises(Refusal, match="caller-iv") as refused:
        encrypted(mechanism, parameters, PLAIN)
    assert refused.value.status is Status.KEY_USAGE


@pytest.mark.parametrize("length", [1, 12, 15, 17])
def test_vectors_of_another_length_are_refused(length: int) -> None:
    for mechanism, parameters in (
        (ckm.CKM_AES_CBC, IvParameters(bytes(length))),
        (ckm.CKM_AES_CBC_PAD, IvParameters(bytes(length))),
        (ckm.CKM_AES_CTR, CtrParameters(128, bytes(length))),
    ):
        with pytest.raises(Refusal, match="16 bytes") as refused:
            encrypted(mechanism, parameters, PLAIN, caller_iv=True)
        assert refused.value.status is Status.BAD_REQUEST
        with pytest.raises(Refusal, match="16 bytes") as refused:
            aes_modes.decrypt(KEY, mechanism, parameters, PLAIN)
        assert refused.value.status is Status.BAD_REQUEST


@pytest.mark.parametrize("mechanism", [ckm.CKM_AES_CBC, ckm.CKM_AES_CBC_PAD, ckm.CKM_AES_CTR])
def test_a_decryption_names_its_vector(mechanism: int) -> None:
    with pytest.raises(Refusal, match="not 0") as refused:
        aes_modes.decrypt(KEY, mechanism, None, PLAIN)
    assert refused.value.status is Status.BAD_REQUEST


@pytest.mark.parametrize("bits", [0, 129, 0xFFFF_FFFF])
def test_a_counter_has_1_to_128_bits(bits: int) -> None:
    for work in (
        lambda: encrypted(ckm.CKM_AES_CTR, CtrParameters(bits), PLAIN),
        lambda: aes_modes.decrypt(KEY, ckm.CKM_AES_CTR, CtrParameters(bits, IV), PLAIN),
    ):
        with pytest.raises(Refusal, match="1 to 128 bits") as refused:
            work()
        assert refused.value.status is Status.BAD_REQUEST


@pytest.mark.parametrize(
    ("bits", "low", "blocks"), [(1, 1, 2), (8, 0xFE, 3), (32, 0xFFFF_FFFF, 2), (128, 2**128 - 1, 2)]
)
def test_a_counter_that_would_wrap_is_refused_and_one_block_less_is_not(bits: int, low: int, blocks: int) -> None:
    parameters = CtrParameters(bits, low.to_bytes(16, "big"))
    encrypted(ckm.CKM_AES_CTR, parameters, bytes(16 * (blocks - 1)), caller_iv=True)
    with pytest.raises(Refusal, match="would wrap") as refused:
        encrypted(ckm.CKM_AES_CTR, parameters, bytes(16 * (blocks - 1) + 1), caller_iv=True)
    assert refused.value.status is Status.BAD_REQUEST
    with pytest.raises(Refusal, match="would wrap"):
        aes_modes.decrypt(KEY, ckm.CKM_AES_CTR, parameters, bytes(16 * blocks))


def test_a_block_that_the_node_makes_leaves_room_for_the_data() -> None:
    for _ in range(100):
        assert encrypted(ckm.CKM_AES_CTR, CtrParameters(3), bytes(8 * 16))
    with pytest.raises(Refusal, match="would wrap"):
        encrypted(ckm.CKM_AES_CTR, CtrParameters(3), bytes(8 * 16 + 1))


def test_a_narrow_counter_s_fixed_part_is_random_too() -> None:
    made = {aes_modes.encrypt(KEY, ckm.CKM_AES_CTR, CtrParameters(1), PLAIN, caller_iv=False)[1] for _ in range(50)}
    assert len(made) == 50
