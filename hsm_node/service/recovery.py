"""DR_STATUS and DR_DRILL: what a node of the DR site tells of itself, and a drill on command."""

from collections.abc import Callable
from typing import Final, NamedTuple

from hsm_daemon import clock
from hsm_node.core.drills import DrillResult
from hsm_node.core.key_table import KeyTable
from hsm_node.core.recovery_problems import CopyState, Problem, problems_of
from hsm_node.core.refusal import Refusal
from hsm_node.service.drills import Drills
from hsm_node.service.failures import Failures
from hsm_node.service.later import answer_later
from hsm_node.service.promotion import Promotion
from hsm_node.service.request import Request
from hsm_node.store.base import Store
from hsm_wire.administration import DrillReport, DrProblem, DrStatus
from hsm_wire.limits import MAX_NAME_CHARACTERS
from hsm_wire.messages import Empty, encode_body
from hsm_wire.statuses import Status

WELL: Final = ("standby", "up")
"""Operational states of a node with which nothing is wrong."""


class Role(NamedTuple):
    """What this node is in its cluster."""

    cluster: str
    package: str
    site: str
    node: str
    dr_sites: tuple[str, ...]
    """Names of the cluster's DR sites; empty: it has none."""

    @property
    def recovers(self) -> bool:
        """Whether it is there for the day on which the productive sites are lost."""
        return self.site in self.dr_sites


class Recovery:
    """Handlers of the operations for the DR site."""

    def __init__(
        self,
        role: Callable[[], Role],
        promotion: Promotion,
        store: Store,
        drills: Drills,
        keys: KeyTable,
        failures: Failures,
    ) -> None:
        """Serve.

        Args:
            role: of this node, as the configuration has it now.
            promotion: says whether it stands by.
            store: that it follows.
            drills: that it makes.
            keys: that it holds.
            failures: answers what goes wrong.
        """
        self._role = role
        self.state: Callable[[], str] = str
        """The operational one, set by who knows it."""
        self._promotion = promotion
        self._store = store
        self._drills = drills
        self._keys = keys
        self._failures = failures
        self._started = clock.now()

    def status(self, _request: Request, _body: Empty) -> bytes | None:
        """DR_STATUS."""
        role = self._checked_role()
        settings, lag, record = self._drills.settings, self._drills.lag, self._drills.record
        stands_by = self._promotion.standby
        seconds = lag.seconds if stands_by else None
        return encode_body(
            DrStatus(
                cluster=role.cluster,
                package=role.package,
                site=role.site,
                node=role.node,
                state=self.state(),
                epoch=self._store.epoch,
                promoted=not stands_by,
                keys=self._keys.live,
                objective_ms=_ms(settings.objective_seconds),
                drill_interval_ms=_ms(settings.drill_seconds),
                lag_records=lag.last.records if stands_by else None,
                lag_ms=None if seconds is None else _ms(seconds),
                last=None if record.last is None else drill_report(record.last, role.node),
                last_good=int(record.last_good_at),
                problems=[DrProblem(_cut(found.what), _cut(found.advice)) for found in self._problems(stands_by)],
            )
        )

    def drill(self, request: Request, _body: Empty) -> bytes | None:
        """DR_DRILL."""
        role = self._checked_role()
        if not self._promotion.standby:
            detail = f"{role.node} serves clients: a drill is for a node that stands by"
            raise Refusal(Status.BAD_REQUEST, detail, not_executed=True)
        return answer_later(request, self._drilled(role.node), self._failures)

    async def _drilled(self, node: str) -> tuple[Status, bytes]:
        return Status.OK, encode_body(drill_report(await self._drills.command(), node))

    def _checked_role(self) -> Role:
        """Return the role of a node to which these operations belong."""
        role = self._role()
        if not role.dr_sites:
            detail = f"cluster {role.cluster} (package {role.package}) has no DR site; name one in cluster.toml"
            raise Refusal(Status.BAD_REQUEST, detail, not_executed=True)
        if not role.recovers:
            site = " or ".join(role.dr_sites)
            detail = (
                f"{role.node} is a productive node of {role.site}, and no node of the DR site {site} was reached; ask "
                "there, over the local socket of its host"
            )
            raise Refusal(Status.BAD_REQUEST, detail, not_executed=True)
        return role

    def _problems(self, stands_by: bool) -> list[Problem]:
        state = self.state()
        own = [] if state in WELL else [Problem(f"{self._role().node} is {state}", "look into its log for the reason")]
        if not stands_by:
            return own
        lag = self._drills.lag
        copy = CopyState(lag.seconds, lag.last.reason)
        return own + problems_of(self._drills.record, copy, self._drills.settings, self._started, clock.now())


def drill_report(result: DrillResult, node: str) -> DrillReport:
    """Return a drill's result as it travels."""
    return DrillReport(
        node=node,
        at=int(result.at),
        took_ms=_ms(result.seconds),
        good=result.good,
        whole=result.whole,
        commanded=result.commanded,
        keys=result.keys,
        failed=result.failed,
        records=result.records,
        refused=result.refused,
        lag_records=result.lag_records,
        lag_ms=None if result.lag_seconds is None else _ms(result.lag_seconds),
        rto_ms=None if result.rto_seconds is None else _ms(result.rto_seconds),
        kinds=[_cut(kind) for kind in result.kinds],
        faults=[fault.text for fault in result.faults],
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _cut(text: str) -> str:
    return text[:MAX_NAME_CHARACTERS]
