"""AES, HMAC and HKDF: CAVP's files and the RFCs' examples."""

from collections.abc import Iterator

from published.case import Case, made_and_verified, target_type
from published.forms import Block, blocks, unhex

from hsm_wire import mechanisms as ckm
from hsm_wire import parameters as p
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

AES = "ciphers/AES/"
MIN_HMAC_BYTES = 14
"""Of keys that the product takes."""


def gcm() -> Iterator[Case]:
    """CAVP gcmtestvectors: encryption with a nonce from outside, and decryption."""
    for bits in (128, 192, 256):
        for usage, path in (
            (Usage.ENCRYPT, f"{AES}GCM/gcmEncryptExtIV{bits}.rsp"),
            (Usage.DECRYPT, f"{AES}GCM/gcmDecrypt{bits}.rsp"),
        ):
            for headings, block in blocks(path):
                tag_bits, iv_bits = int(headings["Taglen"]), int(headings["IVlen"])
                allowed = tag_bits == 128 and 64 <= iv_bits <= 1024
                if not allowed and (block["Count"] != "0" or headings["PTlen"] != headings["AADlen"]):
                    continue  # Of 42,750 that are refused for their lengths, each length is tried.
                plain, sealed = unhex(block, "PT"), unhex(block, "CT") + unhex(block, "Tag")
                encrypting = usage is Usage.ENCRYPT
                lengths = " ".join(headings[name] for name in ("IVlen", "PTlen", "AADlen", "Taglen"))
                failing = Status.BAD_DATA if "FAIL" in block else None
                yield Case(
                    f"{path} {lengths} {block['Count']}",
                    usage,
                    ckm.CKM_AES_GCM,
                    f"aes-{bits}",
                    unhex(block, "Key"),
                    plain if encrypting else sealed,
                    p.GcmParameters(unhex(block, "IV"), unhex(block, "AAD"), tag_bits),
                    expected=sealed if encrypting else plain,
                    refused=failing if allowed else Status.BAD_REQUEST,
                    by_policy=not allowed,
                )


def cbc() -> Iterator[Case]:
    """CAVP aesmmt and KAT_AES."""
    for kind in ("GFSbox", "KeySbox", "MMT", "VarKey", "VarTxt"):
        for bits in (128, 192, 256):
            path = f"{AES}CBC/CBC{kind}{bits}.rsp"
            for headings, block in blocks(path):
                yield _mode(path, headings, block, ckm.CKM_AES_CBC, p.IvParameters(unhex(block, "IV")))


def ctr() -> Iterator[Case]:
    """RFC 3686, whose counter has 32 bits of the block: that is 128 bits as well, as long as it does not wrap."""
    for bits in (128, 192, 256):
        path = f"{AES}CTR/aes-{bits}-ctr.txt"
        for headings, block in blocks(path):
            for width in (32, 128):
                parameters = p.CtrParameters(width, unhex(block, "IV"))
                for direction in ("ENCRYPT", "DECRYPT") if "ENCRYPT" in headings else ("DECRYPT",):
                    yield _mode(path, {direction: ""}, block, ckm.CKM_AES_CTR, parameters)


def _mode(path: str, headings: Block, block: Block, mechanism: int, parameters: p.Parameters) -> Case:
    key, plain, ciphertext = (unhex(block, name) for name in ("KEY", "PLAINTEXT", "CIPHERTEXT"))
    encrypting = "ENCRYPT" in headings
    return Case(
        f"{path} {'encrypt' if encrypting else 'decrypt'} {block['COUNT']}",
        Usage.ENCRYPT if encrypting else Usage.DECRYPT,
        mechanism,
        f"aes-{8 * len(key)}",
        key,
        plain if encrypting else ciphertext,
        parameters,
        expected=ciphertext if encrypting else plain,
    )


def cmac() -> Iterator[Case]:
    """SP 800-38B, appendix D, which RFC 4493 has too."""
    for bits in (128, 192, 256):
        path = f"CMAC/nist-800-38b-aes{bits}.txt"
        for _, block in blocks(path):
            key, data, mac = (unhex(block, name) for name in ("KEY", "MESSAGE", "OUTPUT"))
            case = Case(f"{path} {block['COUNT']}", Usage.SIGN, ckm.CKM_AES_CMAC, f"aes-{bits}", key, data)
            yield from made_and_verified(_with_answer(case, mac))


def _with_answer(case: Case, answer: bytes) -> Case:
    return Case(**{**vars(case), "expected": answer})


def key_wrap() -> Iterator[Case]:
    """CAVP kwtestvectors: KW and KWP, wrapping and unwrapping, of keys that can be keys here (14 bytes and more)."""
    for mechanism, form in ((ckm.CKM_AES_KEY_WRAP, "KW"), (ckm.CKM_AES_KEY_WRAP_KWP, "KWP")):
        for bits in (128, 192, 256):
            for usage, direction in ((Usage.WRAP, "AE"), (Usage.UNWRAP, "AD")):
                path = f"keywrap/kwtestvectors/{form}_{direction}_{bits}.txt"
                for headings, block in blocks(path):
                    length = headings.get("PLAINTEXT LENGTH", "")
                    if not length or int(length) < MIN_HMAC_BYTES * 8:
                        continue
                    opened, wrapped = unhex(block, "P"), unhex(block, "C")
                    yield Case(
                        f"{path} {length} {block['COUNT']}",
                        usage,
                        mechanism,
                        f"aes-{bits}",
                        unhex(block, "K"),
                        opened if usage is Usage.WRAP else wrapped,
                        expected=wrapped if usage is Usage.WRAP else opened,
                        refused=Status.BAD_DATA if "FAIL" in block else None,
                        new_key_type=target_type(opened, f"aes-{bits}"),
                    )


def rfc_key_wrap() -> Iterator[Case]:
    """RFC 3394, section 4, and RFC 5649, section 6, the longer of its two."""
    kek, data = bytes(range(32)), bytes.fromhex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f")
    for section, bits, length, wrapped in (
        ("4.1", 128, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
        ("4.2", 192, 16, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"),
        ("4.3", 256, 16, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
        ("4.4", 192, 24, "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"),
        ("4.5", 256, 24, "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"),
        ("4.6", 256, 32, "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"),
    ):
        name, key_type = f"RFC 3394 {section}", f"aes-{bits}"
        yield from _wrapped_both_ways(
            name, ckm.CKM_AES_KEY_WRAP, key_type, kek[: bits // 8], data[:length], bytes.fromhex(wrapped)
        )
    yield from _wrapped_both_ways(
        "RFC 5649 20 bytes",
        ckm.CKM_AES_KEY_WRAP_KWP,
        "aes-192",
        bytes.fromhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"),
        bytes.fromhex("c37b7e6492584340bed12207808941155068f738"),
        bytes.fromhex("138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"),
    )


def _wrapped_both_ways(
    name: str, mechanism: int, key_type: str, key: bytes, opened: bytes, wrapped: bytes
) -> Iterator[Case]:
    new = target_type(opened, key_type)
    yield Case(name, Usage.WRAP, mechanism, key_type, key, opened, expected=wrapped, new_key_type=new)
    yield Case(name, Usage.UNWRAP, mechanism, key_type, key, wrapped, expected=opened, new_key_type=new)


def hmacs() -> Iterator[Case]:
    """RFC 4231."""
    for mechanism, bits in ((ckm.CKM_SHA256_HMAC, 256), (ckm.CKM_SHA384_HMAC, 384), (ckm.CKM_SHA512_HMAC, 512)):
        path = f"HMAC/rfc-4231-sha{bits}.txt"
        for index, (_, block) in enumerate(blocks(path)):
            key, data, mac = (unhex(block, name) for name in ("Key", "Msg", "MD"))
            case = _with_answer(Case(f"{path} {index}", Usage.SIGN, mechanism, f"hmac-{bits}", key, data), mac)
            if len(key) >= MIN_HMAC_BYTES:
                yield from made_and_verified(case)
            else:
                yield Case(**{**vars(case), "refused": Status.BAD_DATA, "by_policy": True})


def hkdf() -> Iterator[Case]:
    """RFC 5869, appendix A, and one of pyca's: a shorter key is the beginning of a longer one."""
    for path in ("KDF/rfc-5869-HKDF-SHA256.txt", "KDF/hkdf-generated.txt"):
        for block in _hkdf_blocks(path):
            secret, salt, info, made = (unhex(block, name) for name in ("IKM", "salt", "info", "OKM"))
            parameters = p.HkdfParameters(ckm.CKM_SHA256, salt, info)
            yield from hkdf_keys(f"{path} {block['COUNT']}", secret, parameters, made)


def hkdf_keys(name: str, secret: bytes, parameters: p.HkdfParameters, made: bytes) -> Iterator[Case]:
    """Yield a case for each length of key that the published output covers."""
    for length in (32, 48, 64):
        if length <= len(made):
            yield Case(
                name,
                Usage.DERIVE,
                ckm.CKM_HKDF_DERIVE,
                "secret-256",
                secret,
                parameters=parameters,
                expected=made[:length],
                new_key_type=f"hmac-{8 * length}",
            )


def _hkdf_blocks(path: str) -> Iterator[Block]:
    """Blank lines are within its blocks."""
    block: Block = {}
    for _, part in blocks(path):
        if "COUNT" in part:
            block = {}
        block |= part
        if "OKM" in block:
            yield block
