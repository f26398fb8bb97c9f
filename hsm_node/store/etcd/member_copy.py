"""The copy that the member of this node's own site has, whatever the other members have.

Theory. A serializable read is answered by the member that is asked, from what it has, even where it is alone. A
linearizable one is answered when that member has all that was committed: through the member that is in doubt it would
wait until there is nothing left to find. So the newest revision is asked of the others first: whichever answers has all
that was committed before it was asked.
"""

from collections.abc import Callable
from typing import Any, Final

import grpc

from hsm_cluster.address import Address
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import PAGE_ROWS, Page, StoreError
from hsm_node.store.etcd.calls import Calls, CompactedError, fault_of_call
from hsm_node.store.etcd.channels import METADATA, Link
from hsm_node.store.etcd.faults import Meaning
from hsm_node.store.etcd.messages_pb2 import RangeRequest, RangeResponse
from hsm_node.store.etcd.opening import decoded
from hsm_node.store.etcd.transactions import CHECK_KEY, get, key_of, only, page, row_of

ASK_S: Final = 2.0
"""For one answer: a healthy member gives a page in milliseconds, and a busy disk must not look like a lost one."""


class MemberCopy:
    """Implements `OwnCopy`."""

    def __init__(self, calls: Calls, cluster_id: bytes, member: Address | None = None) -> None:
        """Ask nobody yet.

        Args:
            calls: to the members.
            cluster_id: of the store.
            member: the one at the DR site; None: the first that the configuration names, which is of this node's site.
        """
        self._calls = calls
        self._cluster_id = cluster_id
        self._member = member

    def newest(self) -> int:
        fault = StoreError("there is no member")
        own = self._calls.link_to(self._member)
        for link in (*(link for link in self._calls.links if link.address != own.address), own):
            try:
                return self._asked(link, get(CHECK_KEY), metadata=METADATA).header.revision
            except StoreError as error:
                fault = error
        raise fault

    def revision(self) -> int:
        return self._own(get(CHECK_KEY)).header.revision

    def page(self, after: bytes, revision: int) -> Page:
        begin = key_of(after) if after else b""
        try:
            found = self._own(page(begin, revision, PAGE_ROWS))
        except CompactedError:  # It takes longer than old states are kept. No row is ever deleted, so none is missed.
            found, revision = self._own(page(begin, 0, PAGE_ROWS)), 0
        return Page([row_of(pair) for pair in found.kvs], revision or found.header.revision, found.more)

    def master_key_version(self, keyring: Keyring) -> int:
        found = only(self._own(get(CHECK_KEY)))
        if found is None:
            raise StoreError("it has no check record")
        checked = decoded(found)
        if checked.record.cluster_id != self._cluster_id:
            raise StoreError("its check record is another store's")
        return keyring.mac_version(checked.record.authenticated, checked.mac)

    def _own(self, request: RangeRequest) -> RangeResponse:
        request.serializable = True
        return self._asked(self._calls.link_to(self._member), request)

    def _asked(self, link: Link, request: RangeRequest, **options: Any) -> RangeResponse:
        ask: Callable[..., RangeResponse] = link.range
        try:
            answer = ask(request, timeout=ASK_S, **options)
            self._calls.identity.check_cluster(answer.header)
        except grpc.RpcError as error:
            fault = fault_of_call(error)
            if fault.meaning is Meaning.COMPACTED:
                raise CompactedError(fault.text) from None
            raise StoreError(f"the member {link.address}: {fault.text}") from None
        except ValueError:  # gRPC's way to say that the channel is closed
            raise StoreError("this node has closed the store") from None
        return answer
