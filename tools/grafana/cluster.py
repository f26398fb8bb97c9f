"""The dashboard *Cluster*, from the top: does it serve, what is out and why, is it slow and where, is it even."""

from grafana.alerts import alert_cells
from grafana.cluster_faults import CERTIFICATES, DAEMONS, REFUSALS, STORE
from grafana.model import Row, dashboard, link_to
from grafana.panels import Column, Json, Query, deviations, heatmap, lines, stat, table, timeline
from grafana.scales import (
    ADMINISTRATIVE,
    FULL,
    GREEN,
    NONE_IS_GOOD,
    PLAIN,
    RATE,
    RED,
    REDUNDANT,
    SLOW,
    STATES,
    WELL_SERVED,
    ratio,
    state_number,
    with_site,
)

_BUCKETS = f"sum by (le) (rate(hsm_proxy_request_duration_seconds_bucket{RATE}))"
_EVENNESS = "proxy_node:hsm_proxy_node_requests:part10m / (proxy_node:hsm_proxy_node_share:meant10m > 0)"


def cluster_dashboard() -> Json:
    """Return the model."""
    text = "Ten seconds: the first row says whether the cluster serves, the second one what is out and why."
    return dashboard("Cluster", text, [], [_SERVING, _OUT, _SLOW, _EVEN, REFUSALS, STORE, CERTIFICATES, DAEMONS])


_SERVING = Row(
    "Does it serve?",
    [
        stat(
            "Nodes in rotation",
            "Nodes that get requests, as the proxy with the fewest sees it. 0: nothing is served. 1: the next loss is "
            "an outage.",
            "none",
            "min(sum by (proxy) (hsm_proxy_node_in_rotation))",
            steps=REDUNDANT,
        ),
        stat(
            "Sites in rotation",
            "Data centres with a node that gets requests, as the proxy with the fewest sees it.",
            "none",
            "min(sum by (proxy) (max by (proxy, site) (hsm_proxy_node_in_rotation)))",
            steps=REDUNDANT,
        ),
        stat(
            "Answered well",
            "Part of the requests of the last 5 minutes that the cluster did not fail: device, overload and transport, "
            "without those that were cancelled. The objective is 99.9 %.",
            "percentunit",
            "1 - max(cluster:hsm_proxy_failed_requests:ratio5m)",
            steps=WELL_SERVED,
        ),
        stat(
            "Requests",
            "Answers to clients per second, of all proxies.",
            "reqps",
            f"sum(rate(hsm_proxy_requests_total{RATE}))",
            steps=PLAIN,
        ),
        stat(
            "p99",
            "99 of 100 requests are answered faster, from their arrival at the proxy to their answer.",
            "s",
            f"histogram_quantile(0.99, {_BUCKETS})",
            steps=SLOW,
        ),
        stat(
            "Load",
            "Requests with nodes in rotation now, as a part of what their windows take. At 100 % requests wait.",
            "percentunit",
            "sum(hsm_proxy_node_in_flight * on (cluster, proxy, node) hsm_proxy_node_in_rotation) / "
            "(sum(hsm_proxy_node_window * on (cluster, proxy, node) hsm_proxy_node_in_rotation) > 0)",
            steps=FULL,
        ),
        stat(
            "Proxies up",
            "Proxies that Prometheus can scrape. Clients know several; with one left the next loss is an outage.",
            "none",
            'sum(up{job="hsm-proxy"})',
            steps=REDUNDANT,
        ),
        stat(
            "Alerts firing",
            "What fires now; the table below names it, and each name leads to its runbook.",
            "none",
            'count(ALERTS{alertstate="firing"}) or vector(0)',
            steps=NONE_IS_GOOD,
        ),
    ],
)

_OUT = Row(
    "What is out, and why?",
    [
        timeline(
            "Nodes over time",
            "The state of each node as each proxy sees it. Where proxies disagree, look at the network between them. "
            "What hsmctl events prints has the reason of each change in words.",
            Query(state_number("hsm_proxy_node_state", STATES), "{{node}} ({{proxy}})"),
            STATES,
        ),
        table(
            "Alerts now",
            "What fires now. The name of an alert leads to its runbook: what it means, and what to do.",
            {"alertname": "Alert", "severity": "Severity", "site": "Site", "node": "Node", "proxy": "Proxy"},
            [Column("", 'max by (alertname, severity, site, node, proxy) (ALERTS{alertstate="firing"})')],
            headings={"Alert": alert_cells()},
        ),
        table(
            "Nodes now",
            "One row for each node; its state is the worst in which any proxy sees it. A node leads to its dashboard.",
            {"site": "Site", "node": "Node"},
            [
                Column(
                    "State",
                    f"max by (site, node) ({with_site(state_number('hsm_proxy_node_state', STATES))})",
                    "none",
                    values=STATES,
                ),
                Column(
                    "Operator wants",
                    "max by (site, node) "
                    f"({with_site(state_number('hsm_proxy_node_administrative_state', ADMINISTRATIVE))})",
                    "none",
                    values=ADMINISTRATIVE,
                ),
                Column("Share of the draw", f"min by (site, node) ({with_site('hsm_proxy_node_share')})", "none"),
                Column(
                    "Paths up",
                    f"min by (site, node) ({with_site('sum by (cluster, proxy, node) (hsm_proxy_path_up)')})",
                    "none",
                ),
                Column(
                    "Requests",
                    f"sum by (site, node) ({with_site(f'rate(hsm_proxy_node_requests_total{RATE})')})",
                    "reqps",
                ),
                Column("In flight", f"sum by (site, node) ({with_site('hsm_proxy_node_in_flight')})", "none"),
                Column("Window", f"sum by (site, node) ({with_site('hsm_proxy_node_window')})", "none"),
            ],
            headings={"Node": {"links": [link_to("Node", "node", "${__value.text}")]}},
            width=24,
            height=7,
        ),
        lines(
            "Why requests left a node",
            "Requests that a node did not answer and that went elsewhere, by what was wrong with it.",
            "reqps",
            Query(f"sum by (node, reason) (rate(hsm_proxy_node_failures_total{RATE}))", "{{node}}: {{reason}}"),
            width=12,
        ),
        lines(
            "Why connected nodes were taken out",
            "Times in 5 minutes that a proxy took a node out of rotation though it was connected, by the cause.",
            "none",
            Query("sum by (node, reason) (increase(hsm_proxy_node_ejections_total[5m]))", "{{node}}: {{reason}}"),
            width=12,
        ),
    ],
)

_SLOW = Row(
    "Is it slow, and where?",
    [
        lines(
            "Time of an answer",
            "From a request's arrival at the proxy to its answer, waits and further attempts included.",
            "s",
            Query(f"histogram_quantile(0.5, {_BUCKETS})", "p50"),
            Query(f"histogram_quantile(0.9, {_BUCKETS})", "p90"),
            Query(f"histogram_quantile(0.99, {_BUCKETS})", "p99"),
            Query(f"histogram_quantile(0.999, {_BUCKETS})", "p99.9"),
            steps=SLOW,
        ),
        heatmap(
            "Times of answers",
            "How many requests took how long. Two bands: two kinds of operations, or one node that is slower.",
            "s",
            _BUCKETS,
        ),
        lines(
            "Mean time of each node",
            "From sending a request to a node to its answer, network included, without key generation. If all rise, "
            "it is the load or the store; if one does, it is that node or the way to it.",
            "s",
            Query(
                f"sum by (node) (rate(hsm_proxy_node_answer_duration_seconds_sum{RATE})) / "
                f"(sum by (node) (rate(hsm_proxy_node_answer_duration_seconds_count{RATE})) > 0)",
                "{{node}}",
            ),
            steps=SLOW,
        ),
        lines(
            "Windows",
            "Part of each node's window that is taken. A node at 100 % while others have room is the slow one.",
            "percentunit",
            Query(
                ratio("sum by (node) (hsm_proxy_node_in_flight)", "sum by (node) (hsm_proxy_node_window)"), "{{node}}"
            ),
            steps=FULL,
            at_most=1,
        ),
        lines(
            "Waiting",
            "In proxies: requests that wait for a node, as every window is full or no node is in rotation. In nodes: "
            "dear operations (RSA, key generation...) that wait for a session.",
            "none",
            Query("sum by (proxy) (hsm_proxy_queue_requests)", "{{proxy}}"),
            Query("sum by (node) (hsm_node_queue_depth)", "{{node}}"),
        ),
        lines(
            "Standing still",
            "Times in 5 minutes that a daemon's own loop stood still: its machine is overloaded, or it has a fault.",
            "none",
            Query("sum by (proxy) (increase(hsm_proxy_stalls_total[5m]))", "{{proxy}}"),
            Query("sum by (node) (increase(hsm_node_stalls_total[5m]))", "{{node}}"),
            steps=NONE_IS_GOOD,
        ),
    ],
)

_EVEN = Row(
    "Is the traffic even?",
    [
        lines(
            "Requests by node",
            "Answers of each node to clients.",
            "reqps",
            Query(f"sum by (node) (rate(hsm_proxy_node_requests_total{RATE}))", "{{node}}"),
            stacked=True,
        ),
        deviations(
            "Off the fair share",
            "How much more or less than the draw meant for it a node got in 10 minutes: +10 % is a tenth more than "
            "its part. Chance makes a little; where windows bind it is more.",
            "percentunit",
            Query(f"avg by (node) ({_EVENNESS} - 1)", "{{node}}"),
            steps=((None, GREEN), (0.25, RED)),
        ),
        lines(
            "Given less because slow",
            "Factor of a node's share of the draw: 1, and less for a node that is slower than the others.",
            "none",
            Query("min by (node) (hsm_proxy_node_slowness)", "{{node}}"),
            at_most=1,
        ),
    ],
)
