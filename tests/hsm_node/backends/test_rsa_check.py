"""Keys that the library would not make are written by hand."""

import math
import time
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers, generate_private_key
from published.rsa import large_keys

from hsm_node.backends.private_keys import imported
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.statuses import Status

NAMES = ("version", "n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp")
RSA = bytes.fromhex("300d06092a864886f70d0101010500")


@pytest.fixture(scope="module")
def good() -> RSAPrivateNumbers:
    return generate_private_key(65537, 2048).private_numbers()


def _tagged(tag: int, content: bytes) -> bytes:
    length = len(content)
    long = b"" if length < 0x80 else length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(long) if long else length]) + long + content


def _material(good: RSAPrivateNumbers, **changes: int) -> bytes:
    """Return PKCS#8 with any numbers: the library would not make a key of them."""
    numbers = {"version": 0, "n": good.public_numbers.n, "e": good.public_numbers.e, "d": good.d, "p": good.p}
    numbers |= {"q": good.q, "dmp1": good.dmp1, "dmq1": good.dmq1, "iqmp": good.iqmp, **changes}
    integers = b"".join(
        _tagged(2, numbers[name].to_bytes(numbers[name].bit_length() // 8 + 1, "big")) for name in NAMES
    )
    return _tagged(0x30, b"\x02\x01\x00" + RSA + _tagged(4, _tagged(0x30, integers)))


def _refused(material: bytes) -> bool:
    try:
        imported(KEY_TYPES["rsa-2048"], material)
    except Refusal as refusal:
        return refusal.status is Status.BAD_DATA
    return False


def test_a_key_whose_numbers_fit_together_is_taken(good: RSAPrivateNumbers) -> None:
    assert not _refused(_material(good))


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("wrong", [lambda _: 0, lambda _: 1, lambda number: number + 2, lambda number: number ^ 1])
def test_a_number_that_is_wrong_is_found(good: RSAPrivateNumbers, name: str, wrong: Callable[[int], int]) -> None:
    number = getattr(good.public_numbers if name in ("n", "e") else good, name)
    assert _refused(_material(good, **{name: wrong(number)}))


def test_primes_that_are_exchanged_are_found(good: RSAPrivateNumbers) -> None:
    assert _refused(_material(good, p=good.q, q=good.p))


def test_one_and_the_modulus_are_no_factors(good: RSAPrivateNumbers) -> None:
    assert _refused(_material(good, p=good.public_numbers.n, q=1, dmq1=0, iqmp=1))


def _key(p: int, q: int, e: int = 65537) -> dict[str, int]:
    d = pow(e, -1, math.lcm(p - 1, q - 1))
    return {"n": p * q, "e": e, "d": d, "p": p, "q": q, "dmp1": d % (p - 1), "dmq1": d % (q - 1), "iqmp": pow(q, -1, p)}


def test_a_factor_that_is_not_prime_is_found(good: RSAPrivateNumbers) -> None:
    key = {"n": 0}
    while key["n"].bit_length() != 2048:
        one, other = (generate_private_key(65537, 1024).private_numbers().p for _ in range(2))
        key = _key(good.p, one * other)
    assert _refused(_material(good, **key))


def test_an_exponent_that_the_library_does_not_work_with_is_refused(good: RSAPrivateNumbers) -> None:
    e = good.public_numbers.n - 2
    while math.gcd(e, math.lcm(good.p - 1, good.q - 1)) != 1:
        e -= 2
    long = generate_private_key(65537, 4096).private_numbers()
    while math.gcd(e, math.lcm(long.p - 1, long.q - 1)) != 1:
        e -= 2
    with pytest.raises(Refusal):
        imported(KEY_TYPES["rsa-4096"], _material(good, **_key(long.p, long.q, e)))


def test_even_the_largest_key_holds_a_node_up_for_a_moment_only() -> None:
    # The library's own check takes four seconds for it, in which no other thread of the process runs.
    [material] = {case.material for case in large_keys() if case.key_type == "rsa-8192"}
    begun = time.process_time()
    imported(KEY_TYPES["rsa-8192"], material)
    assert time.process_time() - begun < 1
