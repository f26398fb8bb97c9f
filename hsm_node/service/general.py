"""INFO and RANDOM: what needs no key."""

from functools import partial

from hsm_node import SOFTWARE
from hsm_node.backends.base import Backend
from hsm_node.service.failures import Failures
from hsm_node.service.offers import Offers
from hsm_node.service.request import Request
from hsm_node.work.pool import Job, Pool
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import Empty, InfoResult, MechanismInfo, Random, RandomResult, encode_body


class General:
    """Handlers of the operations without a key."""

    def __init__(
        self, cluster: str, node: str, backend: Backend, offers: Offers, sessions: Pool, failures: Failures
    ) -> None:
        self._cluster = cluster
        self._node = node
        self._offers = offers
        self._backend = backend
        self._sessions = sessions
        self._failures = failures

    def info(self, _request: Request, _body: Empty) -> bytes | None:
        """INFO: what every node can do."""
        offer = self._offers.common
        mechanisms = [
            MechanismInfo(number, MECHANISMS[number].name, usages)
            for number, usages in sorted(offer.mechanisms.items())
            if number in MECHANISMS
        ]
        return encode_body(InfoResult(self._cluster, self._node, SOFTWARE, mechanisms, sorted(offer.key_types)))

    def random(self, request: Request, body: Random) -> bytes | None:
        """RANDOM."""
        work = partial(self._made, body.length)
        if not self._backend.random_is_dear:
            return work()
        job = Job(request.deadline, work, request.succeed, partial(self._failures.answer, request), asker=request)
        self._sessions.submit(job)
        request.withdraw = lambda: self._sessions.withdraw(job)
        return None

    def _made(self, length: int) -> bytes:
        return encode_body(RandomResult(self._backend.random(length)))
