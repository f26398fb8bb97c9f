from hsm_node.metrics import Gauge, Labels, NodeMetrics, RequestCounts
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status


def test_counts_become_families_and_unknown_opcodes_share_one_place() -> None:
    counts = RequestCounts()
    counts.answered(Opcode.SIGN, 0, done=True)
    for opcode in (0x9999, 0x8888):
        counts.answered(opcode, Status.UNKNOWN_OPERATION, done=False)
    gauges = [Gauge("keys", "Keys.", lambda: 3), Gauge("expired", "Expired.", lambda: 4, counts=True)]
    labelled = [
        Labels("state", "State.", "is", {"on": 1, "off": 0}),
        Labels("written", "Written.", "by", {"one": 5}, counts=True),
    ]
    page = NodeMetrics(counts, gauges, lambda: labelled).page().decode()
    assert 'hsm_node_requests_total{operation="sign",status_class="ok"} 1.0' in page
    assert 'hsm_node_requests_total{operation="unknown",status_class="request"} 2.0' in page
    assert "hsm_node_keys 3.0" in page
    assert "hsm_node_expired_total 4.0" in page
    assert 'hsm_node_state{is="on"} 1.0' in page
    assert 'hsm_node_state{is="off"} 0.0' in page
    assert 'hsm_node_written_total{by="one"} 5.0' in page
    assert "hsm_node_clock_seconds " in page, "what every daemon tells is there too"
    assert (counts.completed, counts.total) == (1, 3), "a refusal is no progress"
