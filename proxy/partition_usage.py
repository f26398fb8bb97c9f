"""What partitions have used and may use, for STATUS, the admin pages and /metrics."""

from collections.abc import Iterator

from hsm_cluster.cluster import Cluster
from hsm_wire.messages import PartitionReport
from proxy.core.quota.quotas import Quotas


def partition_reports(cluster: Cluster, quotas: Quotas) -> Iterator[tuple[int, PartitionReport]]:
    """Return each partition of the configuration, by its number."""
    for partition in cluster.partitions:
        quota, number = cluster.quota_of(partition), partition.id
        yield (
            number,
            PartitionReport(
                partition.name,
                quotas.usage.signatures(number),
                quotas.usage.generations(number),
                quotas.stored(number),
                sum(count for (of, _), count in quotas.refused.items() if of == number),
                quota.signatures_per_day,
                quota.key_generations_per_second,
                quota.stored_keys,
            ),
        )
