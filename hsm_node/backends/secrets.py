"""What a secret key's bytes must be like, whatever keeps them."""

from hsm_node.backends import hmac_key, key_derivation
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import Family, KeyType
from hsm_wire.statuses import Status


def check_secret(key_type: KeyType, material: bytes) -> None:
    """Refuse material that is not of that type, or weak."""
    if key_type.family is Family.HMAC:
        hmac_key.check_hmac_material(material)
    elif key_type.family is Family.SECRET:
        key_derivation.check_secret_material(material)
    elif len(material) * 8 != key_type.size:
        raise Refusal(Status.BAD_DATA, f"a key of type {key_type.name} has {key_type.size // 8} bytes")
