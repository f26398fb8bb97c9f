"""What every operation that makes a key takes beside its type."""

from typing import NamedTuple, TypedDict

from hsm_client.durabilities import Durability
from hsm_client.key_ids import chosen_key_id
from hsm_wire import messages as m


class NewKey(TypedDict, total=False):
    """The named arguments of `generate_key`, `derive`, `unwrap_key`, `encapsulate` and others; all may be left out."""

    label: str
    usage: int | None
    """Bits of hsm_wire.usages.Usage; None = the default of the key's type."""
    policy: m.Policy | None
    """See hsm_client.policy; None = the default."""
    key_id: str | bytes | None
    """None = a fresh one, kept over all re-sendings, so that sending twice makes one key."""
    durability: Durability | None
    """`"dr"`: done when the disaster-recovery site has the key too; None = as the cluster's rule says."""


class KeyFields(NamedTuple):
    """The same as the bodies of requests have it; durability is not in them."""

    key_id: bytes
    label: str
    usage: int
    policy: m.Policy


def key_fields(new: NewKey) -> KeyFields:
    """Return the fields of a request that makes this key.

    Raises:
        BadRequest: the id is none.
        TypeError: an argument has a name that none has.
    """
    for name in new.keys() - NewKey.__annotations__.keys():  # Only a type checker would have refused it.
        raise TypeError(f"there is no argument {name!r}; a new key takes {', '.join(NewKey.__annotations__)}")
    return KeyFields(
        chosen_key_id(new.get("key_id")),
        new.get("label", ""),
        int(new.get("usage") or 0),
        new.get("policy") or m.Policy(),
    )
