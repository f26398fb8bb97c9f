"""The dashboard *Data centres*: which sites serve, over which uplinks, and what each carries."""

from grafana.model import Row, dashboard, variable
from grafana.panels import Column, Json, Query, Values, lines, stat, table, timeline
from grafana.scales import (
    ALL_OR_NOTHING,
    FULL,
    GREEN,
    NONE_IS_GOOD,
    ORANGE,
    RATE,
    RED,
    REDUNDANT,
    UP_DOWN,
    YELLOW,
    ratio,
    with_site,
)
from grafana.store_members import MEMBERS

_HERE = '{site=~"$site"}'
_STANDS_BY = 'and on (cluster, node) hsm_proxy_node_info{role="disaster-recovery", site=~"$site"}'
_NODES: Values = {0: ("out", RED), 1: ("1 node", YELLOW)} | {number: (f"{number} nodes", GREEN) for number in (2, 3, 4)}
_IN_ROTATION = f"min by (site) (sum by (proxy, site) (hsm_proxy_node_in_rotation{_HERE}))"


def site_dashboard() -> Json:
    """Return the model."""
    query = 'label_values(hsm_proxy_node_info{cluster=~"$cluster"}, site)'
    chosen = variable("site", "Data centre", "Which data centres to show; all by default.", query)
    text = "Each data centre: whether it serves, over which uplinks, how much it carries, and how current it is."
    return dashboard("Data centres", text, [chosen], [_SERVING, _UPLINKS, _TRAFFIC, _CURRENCY, MEMBERS, _PROXIES])


def _by_site(expression: str, by: str = "site", how: str = "sum") -> str:
    return f"{how} by ({by}) ({with_site(expression, _HERE)})"


_SERVED = _by_site("rate(hsm_proxy_node_requests_total[5m])")
_WINDOW = _by_site("hsm_proxy_node_window")
_PATHS = "hsm_proxy_path_up"

_SERVING = Row(
    "Which data centres serve?",
    [
        stat(
            "Data centres in rotation",
            "Those with a node that gets requests, as the proxy with the fewest sees it.",
            "none",
            f"sum({_IN_ROTATION} > bool 0)",
            steps=REDUNDANT,
            width=4,
        ),
        stat(
            "Nodes in rotation",
            "Of the data centres chosen, as the proxy with the fewest sees it.",
            "none",
            f"sum({_IN_ROTATION})",
            steps=REDUNDANT,
            width=4,
        ),
        stat(
            "Paths down",
            "Ways from a proxy to a node that do not answer, of all proxies. A node serves while one of its paths is "
            "up.",
            "none",
            f"sum({_by_site(f'({_PATHS} == bool 0)')})",
            steps=((None, GREEN), (1, ORANGE)),
            width=4,
        ),
        stat(
            "Paths up",
            "Part of all ways from proxies to nodes that answer their checks.",
            "percentunit",
            f"sum({_by_site(_PATHS)}) / sum({_by_site(_PATHS, how='count')})",
            steps=((None, RED), (0.5, ORANGE), (1, GREEN)),
            width=4,
        ),
        stat(
            "Largest share",
            "Part of the traffic that the busiest data centre carries: what goes elsewhere when it is lost.",
            "percentunit",
            ratio(f"max({_SERVED})", f"sum({_SERVED})"),
            steps=((None, GREEN), (0.7, YELLOW), (0.95, RED)),
            width=4,
        ),
        stat(
            "Load without the largest",
            "In flight now, as a part of the windows that are left without the data centre that has the most. Above "
            "100 % its loss is an overload; no data where there is only one.",
            "percentunit",
            ratio(f"sum({_by_site('hsm_proxy_node_in_flight')})", f"(sum({_WINDOW}) - max({_WINDOW}))"),
            steps=FULL,
            width=4,
        ),
        timeline(
            "Data centres over time",
            "How many nodes of each are in rotation, as the proxy with the fewest sees it.",
            Query(_IN_ROTATION, "{{site}}"),
            _NODES,
        ),
        table(
            "Data centres now",
            "One row for each. When all paths of a site are down it is cut off or lost; its own metrics say which.",
            {"site": "Data centre"},
            [
                Column("In rotation", _IN_ROTATION, "none", values=_NODES),
                Column("Paths up", f"min by (site) ({_by_site(_PATHS, 'proxy, site')})", "none", steps=ALL_OR_NOTHING),
                Column("Requests", _SERVED, "reqps"),
                Column("Share", f"{_SERVED} / scalar(sum({_SERVED}) > 0)", "percentunit"),
                Column("In flight", _by_site("hsm_proxy_node_in_flight"), "none"),
                Column("Window", _WINDOW, "none"),
            ],
        ),
    ],
)

_UPLINKS = Row(
    "Uplinks",
    [
        timeline(
            "Paths over time",
            "Each node over each uplink: down when any proxy finds it so.",
            Query(_by_site(_PATHS, "site, node, path", "min"), "{{site}}: {{node}} over {{path}}"),
            UP_DOWN,
        ),
        table(
            "Paths now",
            "Part of the proxies that reach a node over an uplink. All paths of one uplink down: it is the uplink. "
            "All paths of one node down: it is the node.",
            {"site": "Data centre", "node": "Node", "path": "Uplink"},
            [
                Column(
                    "Proxies that reach it",
                    _by_site(_PATHS, "site, node, path", "avg"),
                    "percentunit",
                    steps=((None, RED), (0.01, ORANGE), (1, GREEN)),
                )
            ],
        ),
        lines(
            "Paths up by uplink",
            "How many ways over each uplink answer, of all proxies and nodes.",
            "none",
            Query(_by_site(_PATHS, "site, path"), "{{site}}: {{path}}"),
            width=8,
        ),
        lines(
            "Requests by uplink",
            "Requests that proxies sent over each uplink, those sent again too. A path is used while those before it "
            "in the configuration are down.",
            "reqps",
            Query(_by_site(f"rate(hsm_proxy_path_requests_total{RATE})", "site, path"), "{{site}}: {{path}}"),
            width=8,
        ),
        lines(
            "Moved to another path",
            "Requests that went on over another path of their node because theirs was lost, by proxy.",
            "reqps",
            Query(f"sum by (proxy) (rate(hsm_proxy_path_moves_total{RATE}))", "{{proxy}}"),
            width=8,
        ),
    ],
)

_TRAFFIC = Row(
    "What each carries",
    [
        lines(
            "Requests",
            "Answers to clients from nodes of each data centre.",
            "reqps",
            Query(_by_site(f"rate(hsm_proxy_node_requests_total{RATE})"), "{{site}}"),
            stacked=True,
            width=6,
        ),
        lines(
            "Windows",
            "Part of the windows of each data centre's nodes that is taken.",
            "percentunit",
            Query(ratio(_by_site("hsm_proxy_node_in_flight"), _WINDOW), "{{site}}"),
            steps=FULL,
            at_most=1,
            width=6,
        ),
        lines(
            "Mean time of an answer",
            "From sending a request to a node to its answer, network included, without key generation. A site that is "
            "far away shows its distance here.",
            "s",
            Query(
                ratio(
                    _by_site(f"rate(hsm_proxy_node_answer_duration_seconds_sum{RATE})"),
                    _by_site(f"rate(hsm_proxy_node_answer_duration_seconds_count{RATE})"),
                ),
                "{{site}}",
            ),
            width=6,
        ),
        lines(
            "Why requests left",
            "Requests that nodes of a data centre did not answer and that went elsewhere.",
            "reqps",
            Query(_by_site(f"rate(hsm_proxy_node_failures_total{RATE})", "site, reason"), "{{site}}: {{reason}}"),
            width=6,
        ),
    ],
)

_CURRENCY = Row(
    "How current each is",
    [
        lines(
            "Revisions behind",
            "How far the last node of each data centre is behind the newest revision that any node applied: what a "
            "store between sites has still to bring.",
            "none",
            Query(f"scalar(max(hsm_node_store_revision)) - min by (site) (hsm_node_store_revision{_HERE})", "{{site}}"),
        ),
        lines(
            "Nodes without store",
            "Nodes of each data centre that cannot read the store now.",
            "none",
            Query(f"sum by (site) (hsm_node_store_current{_HERE} == bool 0)", "{{site}}"),
            steps=NONE_IS_GOOD,
        ),
        lines(
            "Copies behind in time",
            "Age of what the nodes of a disaster recovery site have of the store: they have everything from before. "
            "Their objective is 10 s; well, they are 0.3 s behind. A gap: no proxy reaches the node.",
            "s",
            Query(f"max by (node) (hsm_proxy_node_lag_seconds {_STANDS_BY})", "{{node}}"),
            steps=((None, GREEN), (10, RED)),
        ),
        lines(
            "Copies behind in records",
            "Writings of records that the nodes of a disaster recovery site lack and another node has seen. Their "
            "objective is 100.",
            "none",
            Query(f"max by (node) (hsm_proxy_node_lag_records {_STANDS_BY})", "{{node}}"),
            steps=((None, GREEN), (100, RED)),
        ),
        lines(
            "Named by changes",
            "1 for a node that a change has waited for in vain: every change names it until it is back, or removed.",
            "none",
            Query("max by (node) (hsm_proxy_node_out)", "{{node}}"),
            steps=NONE_IS_GOOD,
        ),
        lines(
            "Sealed and standing by",
            "Nodes that wait for their master key, and those of a disaster recovery site, which wait to be promoted.",
            "none",
            Query('sum by (site) (hsm_node_state{site=~"$site", state="sealed"})', "{{site}}: sealed"),
            Query('sum by (site) (hsm_node_state{site=~"$site", state="standby"})', "{{site}}: standby"),
        ),
    ],
)

_PROXIES = Row(
    "Where clients come in",
    [
        lines(
            "Requests by the proxy's data centre",
            "Answers to clients, by where the proxy is. Nodes of every data centre answer them.",
            "reqps",
            Query(f"sum by (proxy_site) (rate(hsm_proxy_requests_total{RATE}))", "{{proxy_site}}"),
            stacked=True,
        ),
        lines(
            "Clients by the proxy's data centre",
            "Connections of clients, by where the proxy is.",
            "none",
            Query("sum by (proxy_site) (hsm_proxy_clients)", "{{proxy_site}}"),
        ),
        timeline(
            "Proxies over time",
            "Whether Prometheus reaches each proxy.",
            Query('min by (proxy_site, proxy) (up{job="hsm-proxy"})', "{{proxy_site}}: {{proxy}}"),
            UP_DOWN,
            width=8,
        ),
    ],
)
