"""`cryptography` private keys whose secret part stays in the cluster.

They implement the library's abstract classes, so x509 builders, PyJWT and whatever else signs through those take
them. Data is hashed here; what crosses the wire is a digest (Ed25519 and Ed448: the data). What would need the secret
part itself, or give a shared secret out, raises UnsupportedAlgorithm.
"""

from typing import Any, NoReturn, Protocol, Self, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed

from hsm_client.derivations import NUMBER_OF_HASH
from hsm_client.encodings import digest_info
from hsm_client.errors import KeyType
from hsm_client.mechanisms import MGF_OF_HASH
from hsm_wire import mechanisms as m
from hsm_wire.parameters import OaepParameters, Parameters, PssParameters
from hsm_wire.statuses import Status


class ClusterKey(Protocol):
    """What is needed of hsm_client.sync_keys.Key."""

    @property
    def id(self) -> str: ...

    def sign(
        self, data: bytes, mechanism: str | int, *, prehashed: bool = ..., parameters: Parameters | None = ...
    ) -> bytes: ...

    def decrypt(self, data: bytes, mechanism: str | int = ..., *, parameters: Parameters | None = ...) -> bytes: ...


class _InCluster:
    """What all of them have in common: the secret part cannot be had, and a copy is the same key."""

    _key: ClusterKey

    def private_bytes(self, *_arguments: Any, **_named: Any) -> NoReturn:
        """Refuse."""
        self._refuse()

    def private_numbers(self) -> NoReturn:
        """Refuse."""
        self._refuse()

    def private_bytes_raw(self) -> NoReturn:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UnsupportedAlgorithm(f"the private part of key {self._key.id} does not leave the cluster")

    def _refuse_exchange(self) -> NoReturn:
        raise UnsupportedAlgorithm(
            f"a shared secret does not leave the cluster; make a key of it there: hsm.key({self._key.id!r}).ecdh(peer)"
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key in the cluster cannot be pickled; name it by its id where it is needed")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key.id}>"


def _digest(data: bytes, algorithm: hashes.HashAlgorithm | Prehashed) -> tuple[hashes.HashAlgorithm, bytes]:
    """Return the hash and the digest, computed unless the data is one."""
    if isinstance(algorithm, Prehashed):
        inner: hashes.HashAlgorithm = algorithm._algorithm  # there is no public way to ask it
        if len(data) != inner.digest_size:
            raise ValueError(
                "The provided data must be the same length as the hash algorithm's digest size; "
                f"{inner.name} has {inner.digest_size} bytes"
            )
        return inner, bytes(data)
    context = hashes.Hash(algorithm)
    context.update(data)
    return algorithm, context.finalize()


def _hash_number(algorithm: hashes.HashAlgorithm) -> int:
    number = NUMBER_OF_HASH.get(algorithm.name)
    if number is None:
        raise UnsupportedAlgorithm(f"{algorithm.name} is not offered with RSA; use SHA256, SHA384 or SHA512")
    return number


def _mgf_number(mgf: padding.MGF) -> int:
    algorithm: hashes.HashAlgorithm = mgf._algorithm  # there is no public way to ask MGF1
    return MGF_OF_HASH[_hash_number(algorithm)]


class RsaPrivateKey(_InCluster, rsa.RSAPrivateKey):
    """An RSA key: PKCS#1 v1.5, PSS and OAEP."""

    def __init__(self, key: ClusterKey, public: rsa.RSAPublicKey) -> None:
        self._key = key
        self._public = public

    @property
    def key_size(self) -> int:
        """Bits of the modulus."""
        return self._public.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the public part."""
        return self._public

    def sign(
        self,
        data: Any,
        padding: padding.AsymmetricPadding,
        algorithm: "Prehashed | hashes.HashAlgorithm | NoDigestInfo",
    ) -> bytes:
        """Sign in the cluster."""
        if isinstance(algorithm, NoDigestInfo):
            raise UnsupportedAlgorithm("NoDigestInfo is not offered; name a hash")
        hash_, digest = _digest(data, algorithm)
        if padding.name == "EMSA-PKCS1-v1_5":
            _hash_number(hash_)
            return self._key.sign(digest_info(hash_.name, digest), m.CKM_RSA_PKCS)
        return self._key.sign(digest, m.CKM_RSA_PKCS_PSS, parameters=self._pss(padding, hash_))

    def _pss(self, scheme: padding.AsymmetricPadding, hash_: hashes.HashAlgorithm) -> PssParameters:
        if not isinstance(scheme, padding.PSS):
            raise UnsupportedAlgorithm(f"{scheme.name} is not offered for signatures; use PKCS1v15 or PSS")
        salt = scheme._salt_length  # there is no public way to ask it
        if isinstance(salt, int):
            salt_bytes = salt
        elif salt is padding.PSS.DIGEST_LENGTH:
            salt_bytes = hash_.digest_size
        elif salt is padding.PSS.MAX_LENGTH:
            salt_bytes = padding.calculate_max_pss_salt_length(self._public, hash_)
        else:
            raise ValueError("PSS salt length can only be set to AUTO when verifying")
        return PssParameters(_hash_number(hash_), _mgf_number(scheme.mgf), salt_bytes)

    def decrypt(self, ciphertext: bytes, padding: padding.AsymmetricPadding) -> bytes:
        """Decrypt in the cluster: OAEP, or PKCS#1 v1.5 where the key's policy allows it."""
        if padding.name == "EMSA-PKCS1-v1_5":  # `cryptography` has one class for signatures and for encryption
            return self._key.decrypt(ciphertext, m.CKM_RSA_PKCS)
        return self._key.decrypt(ciphertext, m.CKM_RSA_PKCS_OAEP, parameters=_oaep(padding))


def _oaep(scheme: padding.AsymmetricPadding) -> OaepParameters:
    if not isinstance(scheme, padding.OAEP):
        raise UnsupportedAlgorithm(f"{scheme.name} is not offered for decryption; use OAEP or PKCS1v15")
    # OAEP's hash and label have no public accessor.
    return OaepParameters(_hash_number(scheme._algorithm), _mgf_number(scheme.mgf), scheme._label or b"")


class EcPrivateKey(_InCluster, ec.EllipticCurvePrivateKey):
    """An EC key: ECDSA."""

    def __init__(self, key: ClusterKey, public: ec.EllipticCurvePublicKey) -> None:
        self._key = key
        self._public = public

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve's order."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public part."""
        return self._public

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Sign in the cluster; the signature is DER."""
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise UnsupportedAlgorithm("an EC key signs with ECDSA")
        _, digest = _digest(data, signature_algorithm.algorithm)
        return self._key.sign(digest, m.CKM_ECDSA)

    def exchange(self, *_arguments: Any, **_named: Any) -> NoReturn:
        """Refuse: a shared secret does not leave the cluster."""
        self._refuse_exchange()


class Ed25519PrivateKey(_InCluster, ed25519.Ed25519PrivateKey):
    """An Ed25519 key."""

    def __init__(self, key: ClusterKey, public: ed25519.Ed25519PublicKey) -> None:
        self._key = key
        self._public = public

    def public_key(self) -> ed25519.Ed25519PublicKey:
        """Return the public part."""
        return self._public

    def sign(self, data: Any) -> bytes:
        """Sign in the cluster: the data goes there whole."""
        return self._key.sign(bytes(data), m.CKM_EDDSA)


class Ed448PrivateKey(_InCluster, ed448.Ed448PrivateKey):
    """An Ed448 key."""

    def __init__(self, key: ClusterKey, public: ed448.Ed448PublicKey) -> None:
        self._key = key
        self._public = public

    def public_key(self) -> ed448.Ed448PublicKey:
        """Return the public part."""
        return self._public

    def sign(self, data: Any) -> bytes:
        """Sign in the cluster: the data goes there whole."""
        return self._key.sign(bytes(data), m.CKM_EDDSA)


class X25519PrivateKey(_InCluster, x25519.X25519PrivateKey):
    """An X25519 key: it has its public part here, and agrees on keys in the cluster only."""

    def __init__(self, key: ClusterKey, public: x25519.X25519PublicKey) -> None:
        self._key = key
        self._public = public

    def public_key(self) -> x25519.X25519PublicKey:
        """Return the public part."""
        return self._public

    def exchange(self, *_arguments: Any, **_named: Any) -> NoReturn:
        """Refuse: a shared secret does not leave the cluster."""
        self._refuse_exchange()


SigningKey: TypeAlias = RsaPrivateKey | EcPrivateKey | Ed25519PrivateKey | Ed448PrivateKey
"""What signs, certificates for example."""
PrivateKey: TypeAlias = SigningKey | X25519PrivateKey


def make_private_key(key: ClusterKey, public: PublicKeyTypes) -> PrivateKey:
    """Return the private key object that belongs to a public one.

    Raises:
        KeyType: there is none for that type.
    """
    if isinstance(public, rsa.RSAPublicKey):
        return RsaPrivateKey(key, public)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return EcPrivateKey(key, public)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return Ed25519PrivateKey(key, public)
    if isinstance(public, ed448.Ed448PublicKey):
        return Ed448PrivateKey(key, public)
    if isinstance(public, x25519.X25519PublicKey):
        return X25519PrivateKey(key, public)
    raise KeyType(
        f"key {key.id} is not RSA, EC, Ed25519, Ed448 or X25519; use the key's own methods", status=Status.KEY_TYPE
    )
