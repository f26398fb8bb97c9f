"""AES in the modes that authenticate nothing: CBC, CBC with PKCS#7 padding, and CTR (SP 800-38A).

A counter narrower than its block is the library's 128-bit one for as long as its low bits do not overflow: data for
which they would are refused, so that nothing is ever encrypted under the same counter block twice.
"""

import os
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR
from cryptography.hazmat.primitives.padding import PKCS7

from hsm_node.backends.base import bad_ciphertext
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import CtrParameters, IvParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

OFFERED: Final[dict[int, Usage]] = dict.fromkeys(
    (ckm.CKM_AES_CBC, ckm.CKM_AES_CBC_PAD, ckm.CKM_AES_CTR), Usage.ENCRYPT | Usage.DECRYPT
)
BLOCK_BYTES: Final = 16
BLOCK_BITS: Final = 8 * BLOCK_BYTES

_PKCS7: Final = PKCS7(BLOCK_BITS)


class BlockModes(Protocol):
    """Who has the key: all that is asked of it. Padding, vectors and counters are looked at here."""

    def cbc_encrypted(self, iv: bytes, data: bytes) -> bytes:
        """Return whole blocks, encrypted."""

    def cbc_decrypted(self, iv: bytes, data: bytes) -> bytes:
        """Return whole blocks, decrypted."""

    def ctr(self, block: bytes, data: bytes) -> bytes:
        """Return the data, encrypted or decrypted, with a counter of 128 bits."""


class SoftwareModes:
    """Implements `BlockModes` in this process."""

    __slots__ = ("_algorithm",)

    def __init__(self, algorithm: AES) -> None:
        self._algorithm = algorithm

    def __repr__(self) -> str:
        return "SoftwareModes(<secret>)"

    def cbc_encrypted(self, iv: bytes, data: bytes) -> bytes:
        encryptor = Cipher(self._algorithm, CBC(iv)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def cbc_decrypted(self, iv: bytes, data: bytes) -> bytes:
        decryptor = Cipher(self._algorithm, CBC(iv)).decryptor()
        return decryptor.update(data) + decryptor.finalize()

    def ctr(self, block: bytes, data: bytes) -> bytes:
        stream = Cipher(self._algorithm, CTR(block)).encryptor()
        return stream.update(data) + stream.finalize()


def encrypt(
    modes: BlockModes, mechanism: int, parameters: Parameters | None, data: bytes, *, caller_iv: bool
) -> tuple[bytes, bytes]:
    """Return (ciphertext, initialisation vector or first counter block)."""
    if mechanism == ckm.CKM_AES_CTR:
        bits, block = _counter(parameters)
        block = _own_or_callers(block, _new_counter_block(bits, len(data)), caller_iv=caller_iv)
        return _ctr(modes, bits, block, data), block
    iv = _own_or_callers(_iv(parameters), os.urandom(BLOCK_BYTES), caller_iv=caller_iv)
    if mechanism == ckm.CKM_AES_CBC_PAD:
        padder = _PKCS7.padder()
        data = padder.update(data) + padder.finalize()
    elif len(data) % BLOCK_BYTES:
        raise _not_whole_blocks()
    return modes.cbc_encrypted(iv, data), iv


def decrypt(modes: BlockModes, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
    """Return the plaintext. Padding that is wrong has the one answer of every ciphertext that does not decrypt."""
    if mechanism == ckm.CKM_AES_CTR:
        bits, block = _counter(parameters)
        _check_block(block)
        return _ctr(modes, bits, block, data)
    iv = _iv(parameters)
    _check_block(iv)
    if mechanism == ckm.CKM_AES_CBC:
        if len(data) % BLOCK_BYTES:
            raise _not_whole_blocks()
        return modes.cbc_decrypted(iv, data)
    if not data or len(data) % BLOCK_BYTES:
        raise bad_ciphertext()
    unpadder = _PKCS7.unpadder()
    try:
        return unpadder.update(modes.cbc_decrypted(iv, data)) + unpadder.finalize()
    except ValueError:
        raise bad_ciphertext() from None


def iv_not_allowed() -> Refusal:
    """Return the answer to a caller who names a nonce that the node should make."""
    return Refusal(Status.KEY_USAGE, "the node makes the nonce: a caller's own needs the policy flag caller-iv")


def _ctr(modes: BlockModes, bits: int, block: bytes, data: bytes) -> bytes:
    first = int.from_bytes(block, "big") % (1 << bits)
    if first + _blocks(len(data)) > 1 << bits:
        raise Refusal(
            Status.BAD_REQUEST,
            f"a counter of {bits} bits would wrap within the data: take more bits, less data or a lower first block",
        )
    return modes.ctr(block, data)


def _new_counter_block(bits: int, length: int) -> bytes:
    """Return a random block whose counter does not wrap within that many bytes, if that can be."""
    block = int.from_bytes(os.urandom(BLOCK_BYTES), "big")
    first = block % (1 << bits)
    starts = max((1 << bits) - _blocks(length) + 1, 1)
    return (block - first + first % starts).to_bytes(BLOCK_BYTES, "big")


def _blocks(length: int) -> int:
    return -(-length // BLOCK_BYTES)


def _own_or_callers(callers: bytes, own: bytes, *, caller_iv: bool) -> bytes:
    if not callers:
        return own
    if not caller_iv:
        raise iv_not_allowed()
    _check_block(callers)
    return callers


def _iv(parameters: Parameters | None) -> bytes:
    return parameters.iv if isinstance(parameters, IvParameters) else b""


def _counter(parameters: Parameters | None) -> tuple[int, bytes]:
    counter = parameters if isinstance(parameters, CtrParameters) else CtrParameters()
    if not 1 <= counter.counter_bits <= BLOCK_BITS:
        raise Refusal(Status.BAD_REQUEST, f"the counter has 1 to {BLOCK_BITS} bits")
    return counter.counter_bits, counter.counter_block


def _check_block(block: bytes) -> None:
    if len(block) != BLOCK_BYTES:
        raise Refusal(
            Status.BAD_REQUEST, f"the initialisation vector or counter block has {BLOCK_BYTES} bytes, not {len(block)}"
        )


def _not_whole_blocks() -> Refusal:
    return Refusal(Status.BAD_DATA, f"CKM_AES_CBC takes whole blocks of {BLOCK_BYTES} bytes; CKM_AES_CBC_PAD takes any")
