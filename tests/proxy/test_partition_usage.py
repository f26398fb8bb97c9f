"""What partitions have used, as a report."""

from hsm_cluster.cluster import load_cluster
from hsm_cluster.usage import Row
from hsm_wire.messages import PartitionReport
from hsm_wire.opcodes import Opcode
from proxy.core.quota.quotas import Quotas
from proxy.partition_usage import partition_reports

TEXT = """
[cluster]
name = "t"
package = "sandbox"
[[sites]]
name = "s"
[[nodes]]
name = "n"
site = "s"
paths = [{ uplink = "u", address = "127.0.0.1:1" }]
[[partitions]]
id = 3
name = "cards"
signatures_per_minute = 2
key_generations_per_second = 4
stored_keys = 50
[[partitions]]
id = 4
name = "free"
"""


def test_each_partition_is_told_with_its_limits(tmp_path):
    (tmp_path / "cluster.toml").write_text(TEXT)
    cluster = load_cluster(tmp_path / "cluster.toml")
    quotas = Quotas(lambda: 3000.0)
    quotas.configure({partition.id: cluster.quota_of(partition) for partition in cluster.partitions}, 0.0)
    quotas.hear([Row("n", 3, 10, 2880, 5)], 0.0)
    quotas.hear_stored("n", {3: 7})
    assert quotas.admit(3, Opcode.SIGN, 0.0) is not None
    assert dict(partition_reports(cluster, quotas)) == {
        3: PartitionReport("cards", 2880, 5, 7, 1, 2880, 4, 50),
        4: PartitionReport("free", 0, 0, 0, 0),
    }
