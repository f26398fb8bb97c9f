"""A row of the dashboard *Node* for a node of the DR site: its copy of the store, and what its drills found."""

from grafana.model import Row
from grafana.panels import Column, Query, lines, stat, table
from grafana.scales import ALL_OR_NOTHING, NONE_IS_GOOD, PLAIN, YES_NO

_ME = 'node=~"$node"'

RECOVERY = Row(
    "Drills of the DR site",
    [
        stat(
            "Last drill",
            "Whether the last drill found nothing that would fail in a disaster.",
            "none",
            f"min(hsm_node_recovery_last_drill_good{{{_ME}}})",
            steps=ALL_OR_NOTHING,
            values=YES_NO,
        ),
        stat(
            "Last good drill",
            "How long ago it was.",
            "s",
            f"time() - max(hsm_node_recovery_last_good_drill_seconds{{{_ME}}} > 0)",
            steps=PLAIN,
        ),
        stat(
            "All keys used",
            "How long ago the last good drill was that used every key.",
            "s",
            f"time() - max(hsm_node_recovery_last_whole_drill_seconds{{{_ME}}} > 0)",
            steps=PLAIN,
        ),
        table(
            "Faults of the last drill",
            "What would fail in a disaster, by what is wrong; hsmctl dr status has the words.",
            {"reason": "What"},
            [Column("Faults", f"max by (reason) (hsm_node_recovery_drill_faults{{{_ME}}} > 0)", "none")],
            width=8,
        ),
        lines(
            "Copy behind",
            "For how long the site's own copy of the store has lacked something, and what may be lost at most.",
            "s",
            Query(f"max(hsm_node_recovery_lag_seconds{{{_ME}}})", "behind"),
            Query(f"max(hsm_node_recovery_objective_seconds{{{_ME}}})", "objective"),
        ),
        lines(
            "Found by drills",
            "Changes that the copy lacks now; keys and records that were bad in the last drill.",
            "none",
            Query(f"max(hsm_node_recovery_lag_records{{{_ME}}})", "changes missing"),
            Query(f"max(hsm_node_recovery_last_drill_failed_keys{{{_ME}}})", "keys failed"),
            Query(f"max(hsm_node_recovery_last_drill_refused_records{{{_ME}}})", "records refused"),
            steps=NONE_IS_GOOD,
        ),
        lines(
            "Tried by drills",
            "Keys that the last drill used, and records that it read.",
            "none",
            Query(f"max(hsm_node_recovery_last_drill_keys{{{_ME}}})", "keys"),
            Query(f"max(hsm_node_recovery_last_drill_records{{{_ME}}})", "records"),
        ),
    ],
)
