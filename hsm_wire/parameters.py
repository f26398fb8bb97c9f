"""Mechanism parameters, with the fields that PKCS#11 gives them, as MessagePack arrays.

Numbers of hashes are CKM_..., of mask generation functions CKG_... (PKCS#11 3.1, section 6.1).
"""

from typing import Annotated

import msgspec

U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
"""A CK_ULONG of PKCS#11, so never negative; no mechanism needs more than 32 bits."""
Context = Annotated[bytes, msgspec.Meta(max_length=255)]

CKG_MGF1_SHA1 = 1
CKG_MGF1_SHA256 = 2
CKG_MGF1_SHA384 = 3
CKG_MGF1_SHA512 = 4


class Parameters(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Base of all parameter forms."""

    def __repr__(self) -> str:  # The salt of a derivation may be a secret, and so may data beside a ciphertext.
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = (f"{name}=" + (f"<{len(v)} bytes>" if isinstance(v, bytes) else repr(v)) for name, v in values)
        return f"{type(self).__name__}({', '.join(shown)})"


class PssParameters(Parameters, frozen=True):
    """CK_RSA_PKCS_PSS_PARAMS: hash (CKM), mask generation function (CKG), salt length in bytes."""

    hash_mechanism: U32
    mgf: U32
    salt_bytes: U32


class OaepParameters(Parameters, frozen=True):
    """CK_RSA_PKCS_OAEP_PARAMS: hash (CKM), mask generation function (CKG), label."""

    hash_mechanism: U32
    mgf: U32
    label: bytes = b""


class GcmParameters(Parameters, frozen=True):
    """CK_GCM_PARAMS: nonce, additional authenticated data, tag length in bits.

    An encryption names an empty nonce (the node makes one of 96 random bits and returns it) unless the key's
    policy has `caller-iv`; a decryption names the nonce.
    """

    iv: bytes = b""
    aad: bytes = b""
    tag_bits: U32 = 128


class IvParameters(Parameters, frozen=True):
    """The 16-byte initialisation vector of CBC; empty in an encryption: the node makes one and returns it."""

    iv: bytes = b""


class CtrParameters(Parameters, frozen=True):
    """CK_AES_CTR_PARAMS: bits of the counter, initial counter block of 16 bytes (empty: the node makes one)."""

    counter_bits: U32 = 128
    counter_block: bytes = b""


class EddsaParameters(Parameters, frozen=True):
    """CK_EDDSA_PARAMS: pre-hash flag, context data of at most 255 bytes."""

    prehash: bool = False
    context: Context = b""


class EcdhParameters(Parameters, frozen=True):
    """CK_ECDH1_DERIVE_PARAMS: the peer's public key (SubjectPublicKeyInfo, DER), key derivation and its info.

    `kdf_hash` is the CKM number of the hash of HKDF (RFC 5869) that is applied to the shared secret.
    """

    peer_public_key: bytes
    kdf_hash: U32
    info: bytes = b""
    salt: bytes = b""


class HkdfParameters(Parameters, frozen=True):
    """CK_HKDF_PARAMS: extract and expand (RFC 5869): hash (CKM), salt, info."""

    hash_mechanism: U32
    salt: bytes = b""
    info: bytes = b""


class MlDsaParameters(Parameters, frozen=True):
    """CK_SIGN_ADDITIONAL_CONTEXT: context data of at most 255 bytes (FIPS 204)."""

    context: Context = b""
