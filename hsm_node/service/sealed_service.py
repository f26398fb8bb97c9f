"""What proxies get of a sealed node: every request goes elsewhere."""

from hsm_node.core.refusal import Refusal
from hsm_node.service.request import Request
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status


def share_over_the_network() -> Refusal:
    """Return the answer to UNSEAL from a proxy: what came that way has been seen by others."""
    return Refusal(
        Status.DENIED,
        "shares are taken on the node's host only, by `hsmctl unseal`; this one was sent over the network: "
        "split the master key anew if that was in earnest",
        not_executed=True,
    )


class SealedService:
    """Refuses. The store is not open, so there is nothing to follow and nothing that could be stale."""

    current = True

    def doubt(self) -> None:
        """Nothing was followed that could be doubted."""

    def follow(self) -> None:
        """There is nothing to follow."""

    def serve(self, request: Request) -> None:
        """Send a request away, so that the proxy gives it to another node."""
        if request.opcode == Opcode.UNSEAL:
            request.refuse(share_over_the_network())
            return
        detail = "this node is sealed: it waits for shares of its master key (`hsmctl unseal` on its host)"
        request.refuse(Refusal(Status.NOT_CURRENT, detail, not_executed=True))
