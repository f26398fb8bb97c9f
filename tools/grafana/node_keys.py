"""The lower half of the dashboard *Node*: keys and store, backups, limits of keys, shares."""

from grafana.model import Row
from grafana.panels import Column, Query, lines, stat, table
from grafana.scales import ALL_OR_NOTHING, FAULT, GREEN, NONE_IS_GOOD, PLAIN, RATE, RED, YELLOW, YES_NO

_ME = 'node=~"$node"'

KEYS = Row(
    "Keys and store",
    [
        lines(
            "Keys and objects",
            "Those that are not destroyed, and keys whose destruction has a time.",
            "none",
            Query(f"max(hsm_node_keys{{{_ME}}})", "keys"),
            Query(f"max(hsm_node_objects{{{_ME}}})", "objects"),
            Query(f"max(hsm_node_keys_scheduled{{{_ME}}})", "to be destroyed"),
        ),
        lines(
            "Memory of objects",
            "As it is counted for a partition's object_bytes.",
            "bytes",
            Query(f"max(hsm_node_object_bytes{{{_ME}}})", "objects"),
        ),
        lines(
            "Revisions behind",
            "How far it is behind the newest revision of the store that any node applied.",
            "none",
            Query(f"max(hsm_node_store_revision) - max(hsm_node_store_revision{{{_ME}}})", "$node"),
            steps=((None, GREEN), (100, YELLOW)),
        ),
        table(
            "Faults of its store",
            "What its store lacks, or how it differs, compared with what other nodes have seen.",
            {"fault": "Fault"},
            [Column("Now", f"max by (fault) (hsm_proxy_node_store_fault{{{_ME}}})", "none", values=FAULT)],
            width=8,
        ),
        lines(
            "Records that it refuses",
            "Records of the store that it does not use, by what is wrong with them, and times that another or an older "
            "store was found in place of the store.",
            "none",
            Query(f"max by (reason) (hsm_node_records_refused{{{_ME}}})", "{{reason}}"),
            Query(f"max(hsm_node_store_replaced_total{{{_ME}}})", "store replaced"),
            steps=NONE_IS_GOOD,
        ),
        lines(
            "Changes not taken",
            "Changes that the store did not take, and times that what was seen could not be written to the ledger, per "
            "second.",
            "cps",
            Query(f"sum(rate(hsm_node_store_errors_total{{{_ME}}}{RATE}))", "store"),
            Query(f"sum(rate(hsm_node_ledger_write_failures_total{{{_ME}}}{RATE}))", "ledger"),
        ),
        lines(
            "Master key",
            "Its version, and how many records are still under another one. During a rotation that falls to 0.",
            "none",
            Query(f"max(hsm_node_master_key_version{{{_ME}}})", "version"),
            Query(f"max(hsm_node_records_old_master_key{{{_ME}}})", "records under another one"),
        ),
        stat(
            "Memory locked",
            "Whether no page of it can get into swap, where keys would survive the process.",
            "none",
            f"min(hsm_node_memory_locked{{{_ME}}})",
            steps=ALL_OR_NOTHING,
            values=YES_NO,
            width=4,
        ),
        stat(
            "Rows remembered",
            "Rows of the store that this node has seen and would miss.",
            "none",
            f"max(hsm_node_ledger_rows{{{_ME}}})",
            steps=PLAIN,
            width=4,
        ),
    ],
)

LIMITS = Row(
    "Limits of keys",
    [
        lines(
            "Refused by a limit of the key",
            "Uses of keys that had made all of max_uses, AES-GCM encryptions above 2^32, CBC padding above the rate.",
            "reqps",
            Query(f"sum(rate(hsm_node_max_uses_refusals_total{{{_ME}}}{RATE}))", "max_uses"),
            Query(f"sum(rate(hsm_node_gcm_refusals_total{{{_ME}}}{RATE}))", "AES-GCM"),
            Query(f"sum(rate(hsm_node_cbc_padding_refusals_total{{{_ME}}}{RATE}))", "CBC padding"),
            width=12,
        ),
        lines(
            "Counted uses",
            "Uses of keys with max_uses that the store counted, and those that wait for it.",
            "none",
            Query(f"sum(rate(hsm_node_uses_counted_total{{{_ME}}}{RATE}))", "counted per second"),
            Query(f"sum(hsm_node_uses_waiting{{{_ME}}})", "waiting"),
            width=12,
        ),
        lines(
            "Changes of partitions",
            "What a node writes a second for the clients of each partition, one for each begun KiB of a row, and what "
            "partition_changes_per_s refused them.",
            "none",
            Query(f"sum by (partition) (rate(hsm_node_partition_changes_total{{{_ME}}}{RATE}))", "{{partition}}"),
            Query(
                f"sum by (partition) (rate(hsm_node_partition_changes_refused_total{{{_ME}}}{RATE}))",
                "{{partition}}: refused",
            ),
            width=24,
        ),
    ],
    collapsed=True,
)

SHARES = Row(
    "Shares of the master key",
    [
        lines(
            "Shares given and needed",
            "Only of a node whose master key comes as shares. How many are needed is known from the first share on.",
            "none",
            Query(f"max(hsm_node_unseal_shares_given{{{_ME}}})", "given"),
            Query(f"max(hsm_node_unseal_shares_needed{{{_ME}}})", "needed"),
            width=12,
        ),
        lines(
            "Shares refused",
            "Shares that were not taken, and sets that did not open the store.",
            "none",
            Query(f"max(hsm_node_unseal_shares_refused_total{{{_ME}}})", "shares"),
            Query(f"max(hsm_node_unseal_failures_total{{{_ME}}})", "sets"),
            width=12,
        ),
    ],
    collapsed=True,
)

BACKUPS = Row(
    "Backups",
    [
        stat(
            "Age of the last good backup",
            "Since the backup was made that was last verified and good, on any host of the cluster.",
            "s",
            "time() - max(hsm_node_backup_made_seconds)",
            steps=((None, GREEN), (86_400 + 7_200, YELLOW), (2 * 86_400, RED)),
            width=12,
        ),
        stat(
            "Last backup good",
            "Whether the last verification on this node's host found nothing wrong.",
            "none",
            f"min(hsm_node_backup_good{{{_ME}}})",
            steps=ALL_OR_NOTHING,
            values=YES_NO,
            width=12,
        ),
    ],
)
