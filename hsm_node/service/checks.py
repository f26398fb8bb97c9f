"""CHECK: a proxy's deep check, through the same queue that clients' signatures wait in."""

from hsm_node.backends.base import Backend
from hsm_node.service.failures import Failures
from hsm_node.service.request import Request
from hsm_node.work.pool import Job, Pool
from hsm_wire.messages import Check, CheckResult, encode_body


class Checks:
    """Handler of the deep check. The key is made at start and lives as long as the process."""

    def __init__(self, backend: Backend, sessions: Pool, failures: Failures) -> None:
        self._key = backend.check_key()
        self._sessions = sessions
        self._failures = failures
        self.served = 0
        """Checks answered with a signature."""

    def check(self, request: Request, body: Check) -> bytes | None:
        """CHECK."""
        key, challenge = self._key, body.challenge
        job = Job(
            request.deadline,
            lambda: encode_body(CheckResult(key.sign(challenge), key.public_point)),
            lambda answer: self._signed(request, answer),
            lambda error: self._failures.answer(request, error),
            asker=request,
            measured=False,  # a proxy's own question says nothing of the clients' work
        )
        self._sessions.submit(job)
        request.withdraw = lambda: self._sessions.withdraw(job)
        return None

    def _signed(self, request: Request, answer: bytes) -> None:
        self.served += 1
        request.succeed(answer)
