"""Grafana's published model of a dashboard (the classes of grafana-foundation-sdk), held against a file, strictly.

The classes read a file leniently: what they do not know is left out, and values of any type are taken. So a file is
read, written again and compared, and each attribute is compared with its annotation.
"""

import enum
import json
import sys
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.cog.runtime import panelcfg_config
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import Dashboard

# The model leaves an annotation open: "datasources ... just spread their query into the base object".
_OF_PROMETHEUS = {"step", "titleFormat", "textFormat", "tagKeys"}

register_default_plugins()


def faults(model: dict[str, Any]) -> list[str]:
    """Return what a dashboard has that the published model does not allow."""
    kinds = {panel["type"] for row in model["panels"] for panel in (row, *row.get("panels", ()))} - {"row"}
    strange = [f"no panel is of type {kind}" for kind in sorted(kinds) if panelcfg_config(kind) is None]
    return [*strange, *_mistyped(model, Dashboard, "")]


def _unknown(given: Any, written: Any, place: str) -> Iterator[str]:
    """Tell of what the classes did not take."""
    if isinstance(given, dict):
        for name, value in given.items():
            if place.startswith("/annotations/list/") and name in _OF_PROMETHEUS:
                continue
            if not isinstance(written, dict) or (name not in written and value is not None):
                yield f"{place}/{name} is not in the model"
            else:
                yield from _unknown(value, written.get(name), f"{place}/{name}")
    elif isinstance(given, list):
        for number, value in enumerate(given):
            yield from _unknown(value, written[number], f"{place}/{number}")
    elif given != written:
        yield f"{place} is {given!r}, read as {written!r}"


def _mistyped(value: Any, wanted: Any, place: str) -> Iterator[str]:
    """Tell of values that are not of the type which the model says."""
    kind = get_origin(wanted)
    if wanted in (Any, object):
        wanted = type(value)
    if kind in (Union, types.UnionType):
        choices = [list(_mistyped(value, choice, place)) for choice in get_args(wanted)]
        if all(choices):
            yield from max(choices, key=lambda found: len(found[0].split()[0]))  # the choice that was meant
    elif kind in (list, dict):
        yield from _mistyped_parts(value, kind, get_args(wanted), place)
    elif hasattr(wanted, "from_json") or wanted is Dataquery:
        yield from _mistyped_attributes(value, wanted, place)
    elif not _is_of(value, wanted):
        yield f"{place} is {value!r}, not a {getattr(wanted, '__name__', wanted)}"


def _is_of(value: Any, wanted: Any) -> bool:
    if get_origin(wanted) is Literal:
        return value in get_args(wanted)
    if issubclass(wanted, enum.Enum):
        return value in [member.value for member in wanted]
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def _mistyped_parts(value: Any, kind: type, parts: tuple[Any, ...], place: str) -> Iterator[str]:
    if not isinstance(value, kind):
        yield f"{place} is {value!r}, not a {kind.__name__}"
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in pairs:
        yield from _mistyped(part, parts[-1], f"{place}/{name}")


def _mistyped_attributes(value: Any, wanted: Any, place: str) -> Iterator[str]:
    if isinstance(value, dict):  # the classes read not all that they contain
        given, value = value, wanted.from_json(value)
        yield from _unknown(given, json.loads(json.dumps(value, cls=JSONEncoder)), place)
    if not isinstance(value, wanted):
        yield f"{place} is {value!r}, not a {wanted.__name__}"
        return
    hints = get_type_hints(type(value), vars(sys.modules[type(value).__module__]))
    for name, hint in hints.items():
        yield from _mistyped(getattr(value, name), hint, f"{place}/{name}")
