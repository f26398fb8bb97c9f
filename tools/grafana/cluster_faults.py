"""The lower half of the dashboard *Cluster*: refusals and retries, the store, certificates, configuration, daemons."""

from grafana.model import Row
from grafana.panels import Column, Query, deviations, lines, stat, table, timeline
from grafana.scales import FAULT, GREEN, NONE_IS_GOOD, ORANGE, PLAIN, PURPLE, RATE, RED, YELLOW

_REVISION = "max by (node) (hsm_node_store_revision)"


def _each(counter: str, legend: str) -> Query:
    return Query(f"sum(rate(hsm_proxy_{counter}_total{RATE}))", legend)


REFUSALS = Row(
    "Are failures, retries and overload rising?",
    [
        lines(
            "Error budget",
            "How fast the budget of failures is used: 0.1 % of requests may fail. At 1 it lasts a month, at 6 five "
            "days, at 14.4 two. The long window says that it matters, the short one that it still goes on.",
            "none",
            *(
                Query(f"max(cluster:hsm_proxy_failed_requests:ratio{window}) / 0.001", window)
                for window in ("5m", "1h", "6h", "3d")
            ),
            steps=((None, GREEN), (6, ORANGE), (14.4, RED)),
        ),
        lines(
            "Answers that are not OK",
            "By class. Request, access and key are the caller's to mend; device, overload and transport are ours.",
            "reqps",
            Query(
                f'sum by (status_class) (rate(hsm_proxy_requests_total{{status_class!="ok"}}{RATE}))',
                "{{status_class}}",
            ),
            stacked=True,
        ),
        lines(
            "Overloaded",
            "Requests that proxies answered OVERLOADED, by the limit that they met.",
            "reqps",
            Query(f"sum by (reason) (rate(hsm_proxy_overloaded_total{RATE}))", "{{reason}}"),
            stacked=True,
        ),
        lines(
            "Used by partitions",
            "Signatures of each partition in the last 24 hours and its keys, as all nodes counted them. Where it has a "
            "quota, hsmctl status has it beside them.",
            "none",
            Query("max by (partition) (hsm_proxy_partition_signatures)", "{{partition}}: signatures"),
            Query("max by (partition) (hsm_proxy_partition_stored_keys)", "{{partition}}: keys"),
        ),
        lines(
            "Missing of the package",
            "Nodes, sites and uplinks that the service package promises and a proxy does not see now. `hsmctl status` "
            "names them.",
            "none",
            Query("max by (proxy) (hsm_proxy_package_shortfalls)", "{{proxy}}"),
            steps=NONE_IS_GOOD,
        ),
        lines(
            "Further attempts",
            "Requests that went to another node or over another path, and those that the retry budget held back: these "
            "mean that more fails than may be tried again.",
            "reqps",
            _each("failovers", "to another node"),
            _each("path_moves", "over another path"),
            _each("retry_budget_exhausted", "held back by the budget"),
        ),
        lines(
            "Requests that lose nodes",
            "Requests answered POISON (two nodes were lost with them), and those refused since because they are alike.",
            "reqps",
            _each("poisoned_requests", "poison"),
            _each("banned_requests", "refused, alike"),
        ),
        lines(
            "Answers that nobody could use",
            "Late: the client had its answer by then. Forgotten: a node owed it for too long. Wrong: to another "
            "operation than was asked, a fault of a node.",
            "reqps",
            _each("late_responses", "late"),
            _each("forgotten_responses", "forgotten"),
            _each("wrong_responses", "wrong"),
        ),
        lines(
            "Clients",
            "Connections of clients to each proxy, and TLS handshakes going on.",
            "none",
            Query("sum by (proxy) (hsm_proxy_clients)", "{{proxy}}"),
            Query("sum by (proxy) (hsm_proxy_handshakes_in_progress)", "{{proxy}}: handshakes"),
        ),
        lines(
            "Clients sent away",
            "Connections per second that proxies closed, and why. A rise after a roll-out is usually the clients' own.",
            "cps",
            _each("handshakes_failed", "TLS failed"),
            _each("clients_refused", "unknown identity, or too many"),
            _each("connections_refused", "above the limit"),
            _each("protocol_errors", "malformed frame"),
            _each("clients_closed_idle", "idle"),
            _each("clients_closed_unfinished", "frame without an end"),
            _each("clients_closed_unread", "does not read"),
        ),
        lines(
            "Requests by operation",
            "What clients ask for. Key generation and RSA take a thousand times what AES takes.",
            "reqps",
            Query(f"sum by (operation) (rate(hsm_proxy_requests_total{RATE}))", "{{operation}}"),
            stacked=True,
        ),
    ],
)

STORE = Row(
    "Is the store whole?",
    [
        stat(
            "Nodes that disagree",
            "Nodes that were shown another store than another node. Other than 0: look at it now, somebody may have "
            "changed the store behind the cluster's back.",
            "none",
            "max(hsm_proxy_store_disagreements)",
            steps=NONE_IS_GOOD,
            width=4,
        ),
        stat(
            "Nodes without store",
            "Nodes that cannot read the store, or lack what others have seen. They change nothing, and serve only "
            "while no current node can.",
            "none",
            "sum(node:hsm_store_stale:max)",
            steps=NONE_IS_GOOD,
            width=4,
        ),
        stat(
            "Sealed nodes",
            "Nodes that wait for their master key: give them their shares with hsmctl unseal.",
            "none",
            "sum(node:hsm_sealed:max)",
            steps=((None, GREEN), (1, PURPLE)),
            width=4,
        ),
        stat(
            "Records refused",
            "Records of the store that a node does not use because they are not authentic.",
            "none",
            "max(sum by (node) (hsm_node_records_refused)) or vector(0)",
            steps=NONE_IS_GOOD,
            width=4,
        ),
        stat(
            "Records under an old master key",
            "Falls to 0 during a rotation of the master key. The old key is needed until then.",
            "none",
            "max(hsm_node_records_old_master_key)",
            steps=((None, GREEN), (1, YELLOW)),
            width=4,
        ),
        stat(
            "Keys",
            "Keys that are not destroyed, as the node that knows the most says.",
            "none",
            "max(hsm_node_keys)",
            steps=PLAIN,
            width=4,
        ),
        lines(
            "Revisions behind",
            "How far each node is behind the newest revision of the store that any node applied.",
            "none",
            Query(f"scalar(max({_REVISION})) - {_REVISION}", "{{node}}"),
        ),
        table(
            "Faults of stores",
            "What each node's store lacks (behind), or how it differs, compared with what other nodes have seen.",
            {"node": "Node", "fault": "Fault"},
            [Column("Now", "max by (node, fault) (hsm_proxy_node_store_fault)", "none", values=FAULT)],
            width=8,
        ),
        lines(
            "Changes not taken",
            "In 5 minutes: changes that the store did not take, and times that a node could not write down what it "
            "had seen.",
            "none",
            Query("sum by (node) (increase(hsm_node_store_errors_total[5m]))", "{{node}}: store"),
            Query("sum by (node) (increase(hsm_node_ledger_write_failures_total[5m]))", "{{node}}: ledger"),
            steps=NONE_IS_GOOD,
        ),
    ],
)

CERTIFICATES = Row(
    "Certificates, configuration, clocks",
    [
        lines(
            "Certificates expire in",
            "Time left of each daemon's own certificate. New files are read at a reload (SIGHUP).",
            "s",
            Query("min by (proxy) (hsm_proxy_certificate_not_after_seconds) - time()", "{{proxy}}"),
            Query("min by (node) (hsm_node_certificate_not_after_seconds) - time()", "{{node}}"),
            steps=((None, RED), (7 * 86400, ORANGE), (21 * 86400, GREEN)),
        ),
        table(
            "Configuration in use",
            "Daemons of a cluster are to have the same hash of cluster.toml; two hashes mean a reload that was "
            "forgotten, or that failed.",
            {"proxy": "Proxy", "node": "Node", "hash": "Hash"},
            [
                Column(
                    "",
                    "max by (proxy, hash) (hsm_proxy_configuration_info) or "
                    "max by (node, hash) (hsm_node_configuration_info)",
                    "none",
                )
            ],
            width=8,
        ),
        timeline(
            "Reloads",
            "Rejected: a file has a fault, and the daemon goes on as before; its log says which.",
            Query(
                "min by (proxy) (hsm_proxy_configuration_last_reload_successful) or "
                "min by (node) (hsm_node_configuration_last_reload_successful)",
                "{{proxy}}{{node}}",
            ),
            {0: ("rejected", RED), 1: ("taken", GREEN)},
            width=8,
        ),
        deviations(
            "Clocks",
            "Each daemon's time of day less Prometheus' own at the scrape. Above 5 s deadlines and the validity of "
            "keys go wrong.",
            "s",
            Query("instance:hsm_clock:offset_seconds", "{{proxy}}{{node}}"),
            steps=((None, GREEN), (5, RED)),
        ),
        table(
            "Software",
            "What runs where. Different versions are normal during an upgrade, and only then.",
            {"proxy": "Proxy", "node": "Node", "version": "Version", "python": "Python"},
            [
                Column(
                    "",
                    "max by (proxy, version, python) (hsm_proxy_build_info) or "
                    "max by (node, version, python) (hsm_node_build_info)",
                    "none",
                )
            ],
            width=8,
        ),
        lines(
            "Age of processes",
            "Since when each daemon runs. A saw's teeth are restarts: see the journal of that host for why.",
            "s",
            Query("max by (proxy) (time() - hsm_proxy_process_start_time_seconds)", "{{proxy}}"),
            Query("max by (node) (time() - hsm_node_process_start_time_seconds)", "{{node}}"),
        ),
    ],
)

DAEMONS = Row(
    "What the daemons take",
    [
        lines(
            "Processor",
            "Cores that each daemon uses. A proxy is one thread: near 1 it is full, and another proxy helps.",
            "none",
            Query(f"sum by (proxy) (rate(hsm_proxy_process_cpu_seconds_total{RATE}))", "{{proxy}}"),
            Query(f"sum by (node) (rate(hsm_node_process_cpu_seconds_total{RATE}))", "{{node}}"),
        ),
        lines(
            "Memory",
            "Resident, of each daemon.",
            "bytes",
            Query("sum by (proxy) (hsm_proxy_process_resident_memory_bytes)", "{{proxy}}"),
            Query("sum by (node) (hsm_node_process_resident_memory_bytes)", "{{node}}"),
        ),
        lines(
            "Open files",
            "Part of the file descriptors that a daemon may have open. At 100 % it takes no connection.",
            "percentunit",
            Query("max by (proxy) (hsm_proxy_process_open_fds / hsm_proxy_process_max_fds)", "{{proxy}}"),
            Query("max by (node) (hsm_node_process_open_fds / hsm_node_process_max_fds)", "{{node}}"),
            steps=((None, GREEN), (0.7, YELLOW), (0.9, RED)),
        ),
    ],
    collapsed=True,
)
