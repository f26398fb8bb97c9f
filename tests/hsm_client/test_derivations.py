"""Parameters of ECDH and HKDF."""

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_client.derivations import ecdh_parameters, hkdf_parameters
from hsm_client.errors import UnknownMechanism
from hsm_wire import mechanisms as m


def test_a_peers_public_key_may_be_an_object_or_der():
    public = x25519.X25519PrivateKey.generate().public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    made = ecdh_parameters(public, "sha384", b"info", b"salt")
    assert made == ecdh_parameters(der, "sha384", b"info", b"salt")
    assert (made.peer_public_key, made.kdf_hash, made.info, made.salt) == (der, m.CKM_SHA384, b"info", b"salt")


def test_hkdf_names_its_hash_by_number():
    made = hkdf_parameters("sha512", b"salt", b"info")
    assert (made.hash_mechanism, made.salt, made.info) == (m.CKM_SHA512, b"salt", b"info")


def test_an_unknown_hash_is_refused_with_those_that_are_known():
    for make in (lambda: hkdf_parameters("md5", b"", b""), lambda: ecdh_parameters(b"", "md5", b"", b"")):
        with pytest.raises(UnknownMechanism, match="sha256, sha384, sha512"):
            make()
