"""What the proxies call wrong and no other check looks at: where `status` is degraded, doctor is not silent."""

import re
from typing import Final

from hsm_wire.messages import StatusResult
from hsmctl.doctor.finding import Finding

CHECK: Final = "problems"
ELSEWHERE: Final = re.compile(
    r" does not serve: | with an old state of the store: "  # nodes
    r"|^no HSM node can be reached|^every HSM node that can be reached "
    r"| does not answer over "  # paths
    r"|^store of "  # store
    r"|^this proxy's certificate "  # certificates: the one that the proxy shows
)
"""Sentences of proxies about what has a check of its own, which says what to do."""
OVERLOAD: Final = "overload: "
ADVICE: Final = {
    "configuration has a fault": "`journalctl -u hsm-proxy -n 50` on its host names the fault; mend the file, then "
    "`systemctl reload hsm-proxy`",
    " is slow and ": "compare its device and its host with those of the others (`hsmctl top`)",
    " is out: ": "until then no change is confirmed by all nodes; the how-to page growth has both ways",
    "the members' data differ": "`etcdctl endpoint hashkv --cluster` shows which one is alone with its hash; replace "
    "it as the how-to page store has it under `The disk of a member is damaged`",
    "its quota is full": "make room, as the how-to page store has it under `The quota of the store is full`; the "
    "runbook store-near-quota says how to find who fills it",
    "store member ": "see its log (`journalctl -u redoubt-etcd`); the how-to page store has a way out of each trouble",
    OVERLOAD: "it is over when nothing has been refused for ten seconds; bring all nodes into rotation, add one, or "
    "slow the callers down",
}
"""What to do, by words of the sentence."""
OTHERWISE: Final = "look into its log (`journalctl -u hsm-proxy`)"


def told_findings(witness: str, report: StatusResult) -> list[Finding]:
    """Return what is left of a proxy's own list."""
    return [
        Finding(CHECK, "warning", f"proxy {witness}", problem, _advice(problem))
        for problem in report.problems
        if not ELSEWHERE.search(problem) and not (problem.startswith(OVERLOAD) and report.overloaded_per_second > 0)
    ]


def _advice(problem: str) -> str:
    return next((advice for words, advice in ADVICE.items() if words in problem), OTHERWISE)
