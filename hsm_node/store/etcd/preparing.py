"""What the thread that follows does for the node's loop: MACs that a device has to make are made before it looks."""

import contextlib
from collections.abc import Callable, Sequence

from hsm_node.core.keyring import Keyring
from hsm_node.core.refusal import Refusal
from hsm_node.core.resealing import message_of
from hsm_node.store.etcd.follow_state import Change
from hsm_node.store.etcd.transactions import name_of


def preparation(keyring: Keyring) -> Callable[[Sequence[Change]], None]:
    """Return what is done with changes that have come, before the node may see them."""

    def prepare(changes: Sequence[Change]) -> None:
        if not keyring.remote:
            return
        came = [change.data for change in changes if change.data is not None and name_of(change.key) is not None]
        with contextlib.suppress(Refusal):  # The device is gone: whoever applies the rows finds that, too.
            keyring.expect([message_of(data) for data in came])

    return prepare
