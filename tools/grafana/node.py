"""The dashboard *Node*: one node, as the proxies see it and as it sees itself."""

from grafana.model import Row, dashboard, variable
from grafana.node_keys import BACKUPS, KEYS, LIMITS, SHARES
from grafana.node_recovery import RECOVERY
from grafana.panels import Json, Query, Values, lines, stat, timeline
from grafana.scales import (
    ADMINISTRATIVE,
    ALL_OR_NOTHING,
    FULL,
    GREEN,
    PLAIN,
    RATE,
    RED,
    REDUNDANT,
    STATES,
    UP_DOWN,
    YES_NO,
    state_number,
)

_ME = 'node=~"$node"'


def node_dashboard() -> Json:
    """Return the model."""
    query = 'label_values(hsm_proxy_node_state{cluster=~"$cluster"}, node)'
    chosen = variable("node", "Node", "The node to look at.", query, several=False)
    text = "One node: whether it serves and why not, what it is busy with, and what it knows of keys and store."
    return dashboard("Node", text, [chosen], [_NOW, _SEEN, _WORK, KEYS, BACKUPS, LIMITS, SHARES, RECOVERY])


def _state(metric: str, values: Values, by: str) -> str:
    return f"max by ({by}) ({state_number(metric, values, _ME + ', ')})"


_NOW = Row(
    "$node now",
    [
        stat(
            "State",
            "The worst in which any proxy sees this node.",
            "none",
            _state("hsm_proxy_node_state", STATES, "node"),
            steps=PLAIN,
            values=STATES,
        ),
        stat(
            "Operator wants",
            "What hsmctl node drain, maintain and enable have said.",
            "none",
            _state("hsm_proxy_node_administrative_state", ADMINISTRATIVE, "node"),
            steps=PLAIN,
            values=ADMINISTRATIVE,
        ),
        stat(
            "Paths up",
            "Of the proxy that reaches this node over the fewest.",
            "none",
            f"min(sum by (proxy) (hsm_proxy_path_up{{{_ME}}}))",
            steps=REDUNDANT,
        ),
        stat(
            "Requests",
            "Its answers to clients, of all proxies.",
            "reqps",
            f"sum(rate(hsm_proxy_node_requests_total{{{_ME}}}{RATE}))",
            steps=PLAIN,
        ),
        stat(
            "Window taken",
            "Requests with this node now, as a part of what it takes at once.",
            "percentunit",
            f"sum(hsm_proxy_node_in_flight{{{_ME}}}) / (sum(hsm_proxy_node_window{{{_ME}}}) > 0)",
            steps=FULL,
        ),
        stat(
            "Sessions busy",
            "Threads for dear operations that are at work.",
            "percentunit",
            f"sum(hsm_node_sessions_busy{{{_ME}}}) / sum(hsm_node_sessions{{{_ME}}})",
            steps=FULL,
        ),
        stat(
            "Scraped",
            "Whether Prometheus reaches the node's admin port. A node that serves may still not be scraped.",
            "none",
            f'max(up{{job="hsm-node", {_ME}}})',
            steps=ALL_OR_NOTHING,
            values=YES_NO,
        ),
        stat(
            "Store",
            "Whether the node can read the store now.",
            "none",
            f"min(hsm_node_store_current{{{_ME}}})",
            steps=ALL_OR_NOTHING,
            values={0: ("stale", RED), 1: ("current", GREEN)},
        ),
    ],
)

_SEEN = Row(
    "As the proxies see it",
    [
        timeline(
            "State over time",
            "As each proxy sees it. One that disagrees points to the network between it and the node.",
            Query(_state("hsm_proxy_node_state", STATES, "proxy"), "{{proxy}}"),
            STATES,
        ),
        timeline(
            "Paths over time",
            "Each path of each proxy to this node, by the uplink that it takes.",
            Query(f"min by (proxy, path) (hsm_proxy_path_up{{{_ME}}})", "{{proxy}}: {{path}}"),
            UP_DOWN,
        ),
        lines(
            "Why requests left it",
            "Requests that this node did not answer and that went elsewhere.",
            "reqps",
            Query(f"sum by (reason) (rate(hsm_proxy_node_failures_total{{{_ME}}}{RATE}))", "{{reason}}"),
            stacked=True,
        ),
        lines(
            "Why it was taken out",
            "Times in 5 minutes that a proxy took it out though it was connected.",
            "none",
            Query(f"sum by (reason) (increase(hsm_proxy_node_ejections_total{{{_ME}}}[5m]))", "{{reason}}"),
        ),
        lines(
            "In flight and window",
            "Requests with the node now, and how many it takes at once, of all proxies.",
            "none",
            Query(f"sum(hsm_proxy_node_in_flight{{{_ME}}})", "in flight"),
            Query(f"sum(hsm_proxy_node_window{{{_ME}}})", "window"),
        ),
    ],
)

_WORK = Row(
    "What it is busy with",
    [
        lines(
            "Answers by operation",
            "What this node itself counts; checks of the proxies are among it.",
            "reqps",
            Query(f"sum by (operation) (rate(hsm_node_requests_total{{{_ME}}}{RATE}))", "{{operation}}"),
            stacked=True,
        ),
        lines(
            "Answers that are not OK",
            "By class. Device is the key store's fault; transport: late, cancelled, or without the store.",
            "reqps",
            Query(
                f'sum by (status_class) (rate(hsm_node_requests_total{{{_ME}, status_class!="ok"}}{RATE}))',
                "{{status_class}}",
            ),
            stacked=True,
        ),
        lines(
            "Sessions and queues",
            "Dear operations at work and waiting, key generations, and how many sessions there are.",
            "none",
            Query(f"sum(hsm_node_sessions{{{_ME}}})", "sessions"),
            Query(f"sum(hsm_node_sessions_busy{{{_ME}}})", "busy"),
            Query(f"sum(hsm_node_queue_depth{{{_ME}}})", "waiting"),
            Query(f"sum(hsm_node_key_generations{{{_ME}}})", "key generations"),
        ),
        lines(
            "Too late, and failed inside",
            "Requests whose time ran out in a queue, and those that failed for a reason that is the node's own fault: "
            "its log has it.",
            "reqps",
            Query(f"sum(rate(hsm_node_expired_total{{{_ME}}}{RATE}))", "time ran out"),
            Query(f"sum(rate(hsm_node_internal_errors_total{{{_ME}}}{RATE}))", "failed inside"),
        ),
        lines(
            "Standing still",
            "For how long the node's loop stood still the last time.",
            "s",
            Query(f"max(hsm_node_last_stall_seconds{{{_ME}}})", "last stall"),
        ),
        lines(
            "Links and checks",
            "Connections of proxies, and deep checks (a signature, verified by the proxy) per second.",
            "none",
            Query(f"sum(hsm_node_links{{{_ME}}})", "links"),
            Query(f"sum(rate(hsm_node_checks_total{{{_ME}}}{RATE}))", "checks per second"),
        ),
    ],
)
