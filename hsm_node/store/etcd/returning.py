"""Whether sites that come back have caught up: every member has all changes, every node of theirs has them in use.

Theory. One writing asks every node to confirm, as a change does. Its revision R is above all that was committed before.
A member has caught up when its own revision is R or higher; a node when it has confirmed R, and was warm.
"""

from typing import Final

import grpc

from hsm_daemon import clock
from hsm_node.core.confirmations import WAIT_S
from hsm_node.store.base import Lag, ReplacedStoreError
from hsm_node.store.etcd.calls import Calls, fault_of_call
from hsm_node.store.etcd.channels import Link
from hsm_node.store.etcd.saying import Saying
from hsm_node.store.etcd.survey import LOOK_S, wrong_with
from hsm_node.store.etcd.transactions import asking
from hsm_node.store.etcd.waits import Waits

AGAIN_S: Final = 0.1
"""Between two looks."""


def lag_of(calls: Calls, waits: Waits, saying: Saying) -> Lag:
    """Return what members and other nodes lack; those that lack something are waited for, as long as for a change.

    Raises:
        StoreError: the store did not take the question.
    """
    revision = calls.txn(asking(saying.wanted)).header.revision
    deadline = clock.monotonic() + WAIT_S
    while True:
        nodes = waits.lags(revision)
        members = {str(link.address): _wrong(calls, link, revision) for link in calls.links}
        lag = Lag(nodes, {member: wrong for member, wrong in members.items() if wrong})
        caught_up = not lag.members and not any(nodes.values())
        if caught_up or clock.monotonic() >= deadline or calls.closing.wait(AGAIN_S):
            return lag


def _wrong(calls: Calls, link: Link, revision: int) -> str:
    try:
        status = calls.look_at(link, LOOK_S)
    except ReplacedStoreError:
        return "it is of another store; `hsmctl dr rejoin` on its host brings it back"
    except grpc.RpcError as error:
        return fault_of_call(error).text
    except ValueError:  # gRPC's way to say that the channel is closed
        return "its channel was closed"
    missing = revision - status.header.revision
    return wrong_with(status) or (f"it lacks {missing} changes" if missing > 0 else "")
