"""What the local socket serves: UNSEAL, and whatever any operator may ask of this node."""

from collections.abc import Callable

from hsm_daemon import clock, logs
from hsm_daemon.errors import StartError
from hsm_node.core.authorize import allow_operation
from hsm_node.core.refusal import Refusal
from hsm_node.core.unsealing import FORGET, Unsealing
from hsm_node.service.failures import Failures
from hsm_node.service.request import Request, Serving
from hsm_wire.administration import Report, Unseal
from hsm_wire.messages import decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status

_log = logs.logger("hsm_node.seal")


class LocalService:
    """Implements `Serving` for the people on the node's own host."""

    def __init__(self, node: str, serving: Callable[[], Serving]) -> None:
        """Prepare.

        Args:
            node: its name, for the answers.
            serving: returns who serves everything but UNSEAL.
        """
        self.unsealing: Unsealing | None = None
        """Has the shares that were given; None where the key never comes as shares."""
        self._node = node
        self._serving = serving
        self._open_with: Callable[[bytes], None] | None = None
        self._failures = Failures()

    def seal(self, unsealing: Unsealing, open_with: Callable[[bytes], None]) -> None:
        """Take shares until the node is unsealed.

        Args:
            unsealing: has them.
            open_with: opens the store with a master key and serves it; raises StartError where that cannot be.
        """
        self.unsealing = unsealing
        self._open_with = open_with

    @property
    def current(self) -> bool:
        return self._serving().current

    def doubt(self) -> None:
        self._serving().doubt()

    def follow(self) -> None:
        self._serving().follow()

    def serve(self, request: Request) -> None:
        """Serve one request; shares are taken here and nowhere else."""
        if request.opcode != Opcode.UNSEAL:
            self._serving().serve(request)
            return
        try:
            allow_operation(request.principal, OPERATIONS[Opcode.UNSEAL], clock.now())
            report = self._unseal(decode_body(Unseal, request.body).share, request.principal.identity)
        except Exception as error:  # noqa: BLE001 - each request has one answer, whatever happens
            self._failures.answer(request, error)
        else:
            request.succeed(encode_body(report))

    def _unseal(self, share: bytes, who: str) -> Report:
        unsealing, open_with = self.unsealing, self._open_with
        if unsealing is None or open_with is None:
            return Report(True, [f"{self._node} is not sealed"])
        if share == FORGET:
            return self._forget(unsealing, who)
        try:
            progress = unsealing.give(share, clock.monotonic())
        except Refusal as refusal:
            logs.event(_log, "warning", "a share is refused", who=who, reason=refusal.detail)
            raise
        of = {"set": progress.set_name, "share": progress.number, "given": progress.given, "needed": progress.needed}
        logs.event(_log, "info", "a share is taken", who=who, **of)
        if progress.complete:
            return self._open(unsealing, open_with, progress.set_name)
        missing = progress.needed - progress.given
        taken = "was given already" if progress.again else "is taken"
        return Report(
            False,
            [
                f"share {progress.number} of set {progress.set_name} {taken}",
                f"{self._node} is sealed; {missing} more {'share is' if missing == 1 else 'shares are'} needed",
            ],
        )

    def _forget(self, unsealing: Unsealing, who: str) -> Report:
        forgotten = unsealing.forget()
        logs.event(_log, "info", "shares are forgotten", who=who, shares=forgotten)
        return Report(False, [f"{self._node} is sealed; {forgotten} shares are forgotten"])

    def _open(self, unsealing: Unsealing, open_with: Callable[[bytes], None], set_name: str) -> Report:
        """Try the key of a complete set; it is right if the store says so."""
        try:
            open_with(unsealing.take_key())
        except Refusal as refusal:
            reason = refusal.detail
        except StartError as error:
            reason = str(error)
        else:
            self._open_with = None
            return Report(True, [f"{self._node} is unsealed"])
        unsealing.failed += 1
        logs.event(_log, "error", "the shares do not unseal the node; all are forgotten", set=set_name, reason=reason)
        raise Refusal(
            Status.BAD_DATA,
            f"{self._node} stays sealed: {reason.split(';')[0]}; all shares of set {set_name} are forgotten, "
            "correct that and give the right ones",
        )
