"""Keys of the asyncio client."""

import pytest
from fake_cluster import FakeProxy

from hsm_client import connect
from hsm_client.errors import BadSignature, KeyType


@pytest.mark.parametrize(
    ("key_type", "mechanism"),
    [
        ("ec-p521", "ecdsa-sha512"),
        ("rsa-2048", "rsa-pss-sha256"),
        ("rsa-2048", "rsa-pkcs1-sha384"),
        ("ed25519", "eddsa"),
    ],
)
@pytest.mark.parametrize("size", [3, 20_000])
async def test_signatures_over_short_and_long_data_verify(proxy: FakeProxy, configured, key_type, mechanism, size):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key(key_type)
        signature = await key.sign(bytes(size), mechanism)
        await key.verify(bytes(size), signature, mechanism)
        with pytest.raises(BadSignature):
            await key.verify(bytes(size + 1), signature, mechanism)


async def test_a_secret_key_has_no_public_part_and_cannot_sign_with_ecdsa(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("aes-256")
        with pytest.raises(KeyType):
            await key.public_key()
        with pytest.raises(KeyType):
            await key.sign(b"x", "ecdsa-sha256")
