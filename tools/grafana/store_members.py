"""A row of the dashboard *Data centres*: what the members of the store say of themselves, where that is etcd."""

from grafana.model import Row
from grafana.panels import Query, lines
from grafana.scales import GREEN, ORANGE, RATE, RED

_HERE = '{site=~"$site"}'

MEMBERS = Row(
    "Is the store well?",
    [
        lines(
            "Quota used by members",
            "How much of its quota each member's file takes: when it is full, the store takes no changes. The file "
            "does not get smaller by itself.",
            "percentunit",
            Query(
                f"max by (site, member) (etcd_mvcc_db_total_size_in_bytes{_HERE} "
                f"/ etcd_server_quota_backend_bytes{_HERE})",
                "{{site}}: {{member}}",
            ),
            steps=((None, GREEN), (0.6, ORANGE), (1, RED)),
            at_most=1,
            width=6,
        ),
        lines(
            "Disks of members",
            "What 99 of 100 writings to each member's log take at most. Each change waits for more than half of them.",
            "s",
            Query(
                "histogram_quantile(0.99, sum by (site, member, le) "
                f"(rate(etcd_disk_wal_fsync_duration_seconds_bucket{_HERE}{RATE})))",
                "{{site}}: {{member}}",
            ),
            steps=((None, GREEN), (0.05, RED)),
            width=6,
        ),
        lines(
            "New leaders",
            "How often each member has seen another leader in 15 minutes. While one is elected, changes wait.",
            "none",
            Query(
                f"max by (site, member) (increase(etcd_server_leader_changes_seen_total{_HERE}[15m]))",
                "{{site}}: {{member}}",
            ),
            steps=((None, GREEN), (3, RED)),
            width=6,
        ),
        lines(
            "Changes without a majority",
            "Changes that wait at each member for more than half of the members, and those of 15 minutes that found "
            "none.",
            "none",
            Query(f"max by (site, member) (etcd_server_proposals_pending{_HERE})", "{{site}}: {{member}} wait"),
            Query(
                f"max by (site, member) (increase(etcd_server_proposals_failed_total{_HERE}[15m]))",
                "{{site}}: {{member}} failed",
            ),
            steps=((None, GREEN), (5, RED)),
            width=6,
        ),
    ],
)
