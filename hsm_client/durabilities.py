"""How durable something is when the cluster says that it is done: a request's own wish."""

from typing import Final, Literal

from hsm_client.errors import make_error
from hsm_wire.kinds import Flag
from hsm_wire.statuses import Status

Durability = Literal["quorum", "dr"]
"""What is made or changed is in the store, or it is at the disaster-recovery site as well: then the loss of all other
sites loses nothing. Where a request does not say, the cluster's own rule holds."""
_FLAGS: Final = {None: 0, "quorum": int(Flag.DURABLE_QUORUM), "dr": int(Flag.DURABLE_DR)}


def durability_flag(durability: Durability | None) -> int:
    """Return the bit of a REQUEST that asks for it.

    Raises:
        BadRequest: there is no such durability.
    """
    flag = _FLAGS.get(durability)
    if flag is None:
        raise make_error(Status.BAD_REQUEST, f"unknown durability {durability!r}; use quorum or dr")
    return flag
