"""What a node of the DR site may say."""

from typing import Any

import msgspec

from hsm_wire.administration import DrillReport, DrProblem, DrStatus

GOOD = DrillReport(
    node="node-5",
    at=1_750_000_000,
    took_ms=2_500,
    good=True,
    whole=False,
    commanded=True,
    keys=200,
    failed=0,
    records=1_000,
    refused=0,
    lag_records=0,
    lag_ms=0,
    rto_ms=1_250,
    kinds=["ec-p256: sign, verify"],
)
BAD = msgspec.structs.replace(
    GOOD, good=False, whole=True, refused=1, lag_records=None, lag_ms=None, rto_ms=None, faults=["a record is refused"]
)


def status(**changes: Any) -> DrStatus:
    seen = DrStatus(
        cluster="dev",
        package="dedicated",
        site="alps",
        node="node-5",
        state="standby",
        epoch=1,
        promoted=False,
        keys=1_000,
        objective_ms=5_000,
        drill_interval_ms=3_600_000,
        lag_records=0,
        lag_ms=0,
    )
    return msgspec.structs.replace(seen, **changes)


PROBLEM = DrProblem("the last drill: a record is refused", "replace this site's member of the store")
