"""What numbers mean on every dashboard: colours, thresholds, names of states; expressions that many panels share."""

from grafana.panels import Steps, Values

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "#8e8e8e"

STATES: Values = {
    1: ("up", GREEN),
    2: ("probing", BLUE),
    3: ("standby", GREY),
    4: ("sealed", PURPLE),
    5: ("locked", PURPLE),
    6: ("fenced", PURPLE),
    7: ("lacking", YELLOW),
    8: ("stale", YELLOW),
    9: ("blocked", ORANGE),
    10: ("ejected", ORANGE),
    11: ("down", RED),
}
"""From the best to the worst."""
ADMINISTRATIVE: Values = {1: ("ready", GREEN), 2: ("drain", YELLOW), 3: ("maintain", BLUE)}
YES_NO: Values = {0: ("no", RED), 1: ("yes", GREEN)}
FAULT: Values = {0: ("no", GREEN), 1: ("yes", RED)}
UP_DOWN: Values = {0: ("down", RED), 1: ("up", GREEN)}

PLAIN: Steps = ((None, BLUE),)
"""A number that is neither good nor bad."""
REDUNDANT: Steps = ((None, RED), (1, ORANGE), (2, GREEN))
"""None: an outage; one: the next loss is one."""
ALL_OR_NOTHING: Steps = ((None, RED), (1, GREEN))
NONE_IS_GOOD: Steps = ((None, GREEN), (1, RED))
FEW_ARE_GOOD: Steps = ((None, GREEN), (1, YELLOW), (100, RED))
WELL_SERVED: Steps = ((None, RED), (0.99, ORANGE), (0.999, GREEN))
SLOW: Steps = ((None, GREEN), (0.1, YELLOW), (0.5, RED))
"""Seconds."""
FULL: Steps = ((None, GREEN), (0.7, YELLOW), (0.9, RED))

RATE = "[$__rate_interval]"


def with_site(expression: str, chosen: str = "") -> str:
    """Return a proxy's expression by node, with the label `site`; `chosen` selects sites."""
    return f"{expression} * on (cluster, proxy, node) group_left (site) hsm_proxy_node_info{chosen}"


def state_number(metric: str, values: Values, chosen: str = "") -> str:
    """Return an expression by proxy and node: the number in `values` of the state in which a one-hot metric is."""
    terms = (f'{number} * {metric}{{{chosen}state="{text}"}}' for number, (text, _) in values.items())
    return f"sum by (cluster, proxy, node) ({' or '.join(terms)})"


def ratio(part: str, whole: str) -> str:
    """Return a quotient of two sums; nothing where the whole is 0."""
    return f"{part} / ({whole} > 0)"
