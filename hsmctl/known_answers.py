"""Known-answer vectors for `hsmctl selftest`: what a node must answer, byte for byte."""

import msgspec


class Vector(msgspec.Struct, frozen=True):
    """A key, data and the one right signature or MAC. These keys are published: they protect nothing."""

    name: str
    key_type: str
    material: bytes
    mechanism: str
    data: bytes
    answer: bytes


_ED25519_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
"""PKCS#8 (RFC 8410, section 7) up to the 32 bytes of the seed."""

VECTORS = (
    Vector(
        "Ed25519, RFC 8032 section 7.1 test 3",
        "ed25519",
        _ED25519_PKCS8 + bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"),
        "eddsa",
        bytes.fromhex("af82"),
        bytes.fromhex(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    Vector(
        "HMAC-SHA-256, RFC 4231 test case 6 with its key shortened by hashing",
        "hmac-256",
        bytes.fromhex("45ad4b37c6e2fc0a2cfcc1b5da524132ec707615c2cae1dbbc43c97aa521db81"),
        "hmac-sha256",
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        bytes.fromhex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    ),
)
