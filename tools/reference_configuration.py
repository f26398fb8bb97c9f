"""The page about configuration files, made of the forms that read them."""

import inspect
from collections.abc import Iterator
from dataclasses import astuple
from typing import Final, NamedTuple

import msgspec
from made_pages import table
from make_wire_docs import following_texts

import hsm_node.reconfiguration
import proxy.reconfiguration
from hsm_client.config import _File as ClientFile
from hsm_cluster.address import Address
from hsm_cluster.packages import PACKAGES, Package
from hsm_cluster.topology import Topology
from hsm_node.config import NodeConfig
from proxy.config import ProxyFile

NOTICE: Final = "<!-- Made by tools/make_reference.py (make reference). Do not edit. -->\n\n"
UNITS: Final = {"_per_s": "a second", "_s": "s", "_ms": "ms", "_bytes": "bytes"}
"""What a name ends with, and the unit that it says."""
PLAIN_KINDS: Final[dict[type, str]] = {
    msgspec.inspect.IntType: "integer",
    msgspec.inspect.FloatType: "number",
    msgspec.inspect.StrType: "text",
    msgspec.inspect.BoolType: "`true` or `false`",
    msgspec.inspect.DateTimeType: "date and time with zone",
    msgspec.inspect.StructType: "table",
}


class Document(NamedTuple):
    """One configuration file: its form, and when what is changed in it is taken over."""

    name: str
    form: type[msgspec.Struct]
    text: str
    fixed: dict[str, str]
    """Key -> what takes a change of it over, where that is not `otherwise`."""
    otherwise: str


def node_changes() -> dict[str, str]:
    """Return which keys of node.toml need a restart."""
    more = {"tls": "SIGHUP; between files and off: restart", "store.endpoints": "SIGHUP"}
    return dict.fromkeys(hsm_node.reconfiguration.FIXED, "restart") | more


def proxy_changes() -> dict[str, str]:
    """Return which keys of proxy.toml need which restart."""
    rows = proxy.reconfiguration
    hot = dict.fromkeys((*rows.FIXED, *(f"limits.{name}" for name in rows.FIXED_LIMITS)), "hot restart")
    return hot | dict.fromkeys(rows.FULL_RESTART, "restart") | {"tls": "SIGHUP; between files and off: restart"}


DOCUMENTS: Final = (
    Document(
        "cluster.toml",
        Topology,
        "Topology and tenants; the same file on every host. Proxies and nodes show its hash (`configuration_hash`), "
        "which does not depend on order, layout or comments. Every violated rule is named at start, all at once.",
        {"cluster.name": "new certificates and restart of all"},
        "SIGHUP",
    ),
    Document("proxy.toml", ProxyFile, "A proxy's own file.", proxy_changes(), "SIGHUP"),
    Document("node.toml", NodeConfig, "A node's own file.", node_changes(), "SIGHUP"),
    Document(
        "client.toml",
        ClientFile,
        "Whoever uses the cluster: `--config`, else HSM_CLIENT_CONFIG, else `~/.config/redoubt/client.toml`. `--proxy` "
        "and HSM_PROXY go over `proxies`.",
        {},
        "next connect()",
    ),
)
HEAD: Final = f"""# Configuration

{NOTICE}Files are TOML. A key that is not here is an error. `hsm-proxy --check` and `hsm-node --check` read a file as
the daemon would, print every value that holds, and exit 0 or 2.

*Taken over by*: what brings a change into use. SIGHUP: the daemon reads its files anew, and keeps the old values if
anything is wrong with the new ones. Hot restart: SIGUSR2, of proxies only; no connection is lost. What is not taken
over is named in the log. [How to do it under load](../how-to/upgrade.md).

## Environment

| variable | read by | what it says |
| --- | --- | --- |
| HSM_CLIENT_CONFIG | clients, hsmctl | path of client.toml; `--config` goes over it |
| HSM_PROXY | clients, hsmctl | `HOST:PORT[,...]`, goes over `proxies` of client.toml; `--proxy` goes over it |
| HSM_EVENT_LOOP | daemons | `uvloop` or `asyncio`, goes over `event_loop` |
| CREDENTIALS_DIRECTORY | hsm-node | set by systemd: where a `{{ credential = "NAME" }}` (master key, PIN) lies |
| NOTIFY_SOCKET, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES | daemons | set by systemd: readiness, inherited sockets |
| WATCHDOG_USEC, WATCHDOG_PID | daemons | set by systemd: how soon a loop that stands still is restarted |
"""


NAMES = ("id", "slot", "wrap_mechanism")
"""Numbers that name something: there is nothing to count."""


def unit_of(name: str, kind: msgspec.inspect.Type) -> str:
    """Return the unit that a number's name says; a number without one is a count or a share."""
    if not isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return ""
    if name in ("latitude", "longitude"):
        return "degrees"
    found = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
    return found or ("" if isinstance(kind, msgspec.inspect.FloatType) or name in NAMES else "count")


def kind_words(kind: msgspec.inspect.Type) -> str:
    """Return a type in words."""
    match kind:
        case msgspec.inspect.LiteralType():
            return " or ".join(f'`"{value}"`' for value in kind.values)
        case msgspec.inspect.CustomType():
            return "`HOST:PORT`" if kind.cls is Address else "path"
        case msgspec.inspect.VarTupleType() | msgspec.inspect.ListType():
            return f"array of {kind_words(kind.item_type)}"
        case msgspec.inspect.UnionType():
            parts = [part for part in kind.types if not isinstance(part, msgspec.inspect.NoneType)]
            words = [kind_words(part) for part in sorted(parts, key=lambda part: not structs_in(part))]
            return " or ".join(dict.fromkeys(words))
        case msgspec.inspect.DictType():
            return f"table of names with {kind_words(kind.value_type)}"
        case _:
            return PLAIN_KINDS[type(kind)]


def bounds_words(kind: msgspec.inspect.Type) -> str:
    """Return the bounds of a number."""
    if not isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return ""
    low = f"{figure(kind.ge)}" if kind.ge is not None else f"above {figure(kind.gt)}" if kind.gt is not None else ""
    high = figure(kind.le) if kind.le is not None else ""
    return f"{low} to {high}" if low and high else low or high


def figure(value: float) -> str:
    """Return a number as people read it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"


def default_words(field: msgspec.inspect.Field) -> str:
    """Return a key's default as TOML has it."""
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    match value:
        case None:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return figure(value)
        case str() | Address():
            return f'`"{value}"`' if str(value) else "none"
        case [] | ():
            return "`[]`"
        case dict() if not value:
            return "`{}`"
        case _:
            return ""


def structs_in(kind: msgspec.inspect.Type) -> list[msgspec.inspect.StructType]:
    """Return the tables that a key may hold, or may hold an array of."""
    match kind:
        case msgspec.inspect.StructType():
            return [kind]
        case msgspec.inspect.VarTupleType() | msgspec.inspect.ListType():
            return structs_in(kind.item_type)
        case msgspec.inspect.UnionType():
            return [found for part in kind.types for found in structs_in(part)]
        case _:
            return []


def number_of(kind: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """Return what a key that may be left out holds otherwise."""
    if isinstance(kind, msgspec.inspect.UnionType):
        rest = [part for part in kind.types if not isinstance(part, msgspec.inspect.NoneType)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def sections(document: Document, form: type[msgspec.Struct], key: str, seen: dict[type, str]) -> Iterator[str]:
    """Yield a table's section, and then those of the tables in it; one of a form that was shown is named only."""
    if form in seen:
        yield f"\n### {document.name}: {key}\n\nAs `{seen[form]}`.\n"
        return
    seen[form] = key
    info = msgspec.inspect.type_info(form)
    assert isinstance(info, msgspec.inspect.StructType)
    texts = following_texts(inspect.getsource(form))
    rows = []
    inner = []
    for field in info.fields:
        path = f"{key}.{field.encode_name}" if key else field.encode_name
        kind = number_of(field.type)
        for deeper in structs_in(kind):
            array = isinstance(kind, msgspec.inspect.VarTupleType | msgspec.inspect.ListType)
            inner.append((path + ("[]" if array else ""), deeper.cls))
        rows.append(
            (
                f"`{field.encode_name}`",
                kind_words(kind),
                unit_of(field.name, kind),
                default_words(field),
                bounds_words(kind),
                taken_over_by(document, path),
                texts.get(field.name, ""),
            )
        )
    tag = f' ({info.tag_field} = "{info.tag}")' if info.tag is not None else ""
    yield section_head(document, key + tag, form)
    if rows:
        yield table(("key", "type", "unit", "default", "bounds", "taken over by", "meaning"), rows)
    for path, cls in inner:
        yield from sections(document, cls, path, seen)


def section_head(document: Document, key: str, form: type[msgspec.Struct]) -> str:
    """Return heading and meaning of a table."""
    if not key:
        return f"\n## {document.name}\n\n{document.text}\n\n"
    text = " ".join(inspect.cleandoc(form.__doc__ or "").split())
    return f"\n### {document.name}: {key}\n\n{text}\n\n"


def taken_over_by(document: Document, path: str) -> str:
    """Return what brings a change of that key into use."""
    found = [path for path in (path, path.partition(".")[0]) if path in document.fixed]
    return document.fixed[found[0]] if found else document.otherwise


def quota_words(package: Package, limit: int | None) -> str:
    """Return what a package says of one quota."""
    if limit is not None:
        return figure(limit)
    return "as the partition has it" if package.own_quotas else "-"


def packages_section() -> str:
    """Return what each service package asks for and gives."""
    rows = (
        (
            f"`{row.name}`",
            f"{row.min_active_nodes} {'or more' if row.max_active_nodes is None else f'to {row.max_active_nodes}'}",
            "required" if row.redundant_sites else "-",
            "required" if row.dr_required else "allowed" if row.dr_allowed else "none",
            *(quota_words(row, limit) for limit in astuple(row.quota)),
        )
        for row in PACKAGES.values()
    )
    head = (
        "package",
        "active nodes",
        "two sites 20 km apart, risk zones, two uplinks each",
        "disaster-recovery site",
        "signatures a minute and partition",
        "key generations a second and partition",
        "keys stored in a partition",
    )
    return "\n### cluster.toml: packages\n\n" + table(head, rows)


def configuration_page() -> str:
    """Return docs/reference/configuration.md."""
    text = HEAD
    for document in DOCUMENTS:
        text += "".join(sections(document, document.form, "", {}))
        if document.form is Topology:
            text += packages_section()
    return text
