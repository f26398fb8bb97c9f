"""Make the tables of the wire's documentation from hsm_wire and the test vectors.

python tools/make_wire_docs.py            write docs/statuses.md, docs/mechanisms.md, and what stands between
                                          the markers of docs/protocol.md
python tools/make_wire_docs.py --check    change nothing; exit 1 if a file is not as it would be written
"""

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from made_pages import table, write_or_check
from wire_vectors import faults_block, frames_shown, parameter_vectors_block

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # So that it also runs where the packages are not installed.

from hsm_wire import limits, messages, parameters  # noqa: E402 - after the path, as said above
from hsm_wire.key_types import KEY_TYPES  # noqa: E402
from hsm_wire.kinds import Flag, Kind  # noqa: E402
from hsm_wire.mechanisms import MECHANISMS  # noqa: E402
from hsm_wire.operations import OPERATIONS  # noqa: E402
from hsm_wire.states import TRANSITIONS, End, State  # noqa: E402
from hsm_wire.statuses import STATUS_TABLE, StatusClass, status_class  # noqa: E402
from hsm_wire.usages import PolicyFlag, Usage  # noqa: E402

DOCS = ROOT / "docs"
NOTICE = "<!-- Made by tools/make_wire_docs.py. Do not edit. -->\n\n"
MECHANISM_NOTES = """
What the table cannot say:

- **CKM_ECDSA signs a digest and cannot know of which hash.** 32 bytes may be SHA-256 of the data, SHA-3, or something
  that was never hashed; who verifies must use the same hash, and a caller who is tricked into another one signs what
  it did not mean. CKM_RSA_PKCS and CKM_RSA_PKCS_PSS name their hash, and SHA-1, MD5 and unknown ones are refused there.
  A key that shall sign nothing but SHA-256 of whole data is made with a policy that allows CKM_ECDSA_SHA256 alone.
- **AES-GCM ends at 2^32 encryptions of one key** (SP 800-38D, 8.3), of all nodes together, with the node's nonces or
  the caller's: then KEY_USAGE, and the key is to be rotated. Nodes take encryptions from the store in blocks of 65,536;
  what is left of a block when a node ends is lost.
- **AES-CBC and AES-CTR are not counted**: their safety ends with the amount of data, not with the number of messages;
  no key should encrypt more than 2^48 blocks (4 PiB).
- **Decryption with CKM_AES_CBC_PAD has a rate for each key and node** (node.toml, `padding_decryptions_per_s`): above
  it OVERLOADED, not executed. It costs the same whether the padding is right or wrong.
"""
CONNECTION_FORMS = ("Failure", "Unconfirmed", "Hello", "Welcome", "Pong", "Goaway", "Bind", "Unbind", "Empty")
PUBLIC_LIMITS = (
    "DEFAULT_MAX_FRAME_BYTES",
    "HARD_MAX_FRAME_BYTES",
    "GREETING_MAX_FRAME_BYTES",
    "DEFAULT_MAX_IN_FLIGHT",
    "LINK_MAX_IN_FLIGHT",
    "REQUEST_ID_REUSE_DISTANCE",
    "DEFAULT_TIMEOUT_MS",
    "KEY_GENERATION_TIMEOUT_MS",
    "MAX_TIMEOUT_MS",
    "MAX_RANDOM_BYTES",
    "MAX_FIND_LIMIT",
    "MAX_EVENTS_LIMIT",
    "MAX_USAGE_ROWS",
    "MAX_DETAIL_CHARACTERS",
    "MAX_ALLOWED_MECHANISMS",
)


def following_texts(source: str) -> dict[str, str]:
    """Return name -> the string that stands below its assignment: what a field, a limit or a flag means."""
    body = ast.parse(textwrap.dedent(source)).body
    if len(body) == 1 and isinstance(body[0], ast.ClassDef):
        body = body[0].body
    texts = {}
    for statement, below in pairwise(body):
        match statement, below:
            case (
                (ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)])),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[name] = " ".join(text.split())
            case _:
                pass
    return texts


def sized(name: str, unit: str, kind: msgspec.inspect.StrType | msgspec.inspect.BytesType) -> str:
    low, high = kind.min_length or 0, kind.max_length
    if high is None:
        return name
    return f"{name}, {high} {unit}" if low == high else f"{name}, at most {high} {unit}"


def type_words(kind: msgspec.inspect.Type) -> str:
    """Return a field's type and range in words."""
    match kind:
        case msgspec.inspect.IntType():
            return f"int {kind.ge}..{'2^63-1' if kind.le == (1 << 63) - 1 else kind.le}"
        case msgspec.inspect.FloatType():
            return f"float {kind.ge:g}..{kind.le:g}"
        case msgspec.inspect.StrType():
            return sized("str", "characters", kind)
        case msgspec.inspect.BytesType():
            return sized("bin", "bytes", kind)
        case msgspec.inspect.BoolType() | msgspec.inspect.NoneType():
            return "bool" if isinstance(kind, msgspec.inspect.BoolType) else "nil"
        case msgspec.inspect.RawType():
            return "array or nil"
        case msgspec.inspect.ListType():
            most = f", at most {kind.max_length}" if kind.max_length else ""
            return f"array of ({type_words(kind.item_type)}){most}"
        case msgspec.inspect.UnionType():
            return " or ".join(type_words(part) for part in kind.types)
        case msgspec.inspect.StructType():
            return kind.cls.__name__
        case _:
            raise AssertionError(f"no words for {kind}")


def field_words(field: msgspec.inspect.Field) -> str:
    """Return type and range of a field; what `parameters` are, each of the bodies would have to say."""
    words = type_words(field.type)
    return f"{words}: parameters of the mechanism" if field.name == "parameters" else words


def default_words(field: msgspec.inspect.Field) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if value is None or isinstance(value, msgspec.Raw):
        return "nil"
    if isinstance(value, msgspec.Struct):
        return f"`{json.dumps(plain(value))}`"
    if isinstance(value, bytes):
        return "empty"
    return f"`{json.dumps(value)}`"


def plain(value: Any) -> Any:
    """Return a default as JSON shows it; no default holds bytes inside a structure."""
    return (
        [plain(getattr(value, name)) for name in value.__struct_fields__]
        if isinstance(value, msgspec.Struct)
        else value
    )


def form_section(form: type[msgspec.Struct]) -> str:
    """Return heading, meaning and field table of one body."""
    kind = msgspec.inspect.type_info(form)
    assert isinstance(kind, msgspec.inspect.StructType)
    text = " ".join(inspect.cleandoc(form.__doc__ or "").split())
    section = f"**{form.__name__}.** {text}\n"
    if kind.fields:
        texts = following_texts(inspect.getsource(form))
        rows = (
            (i, f"`{field.name}`", field_words(field), default_words(field), texts.get(field.name, ""))
            for i, field in enumerate(kind.fields)
        )
        section += "\n" + table(("#", "field", "type and range", "default", "meaning"), rows)
    return section


def kinds_block() -> str:
    return table(("number", "kind"), ((int(kind), kind.name) for kind in Kind))


def flags_block() -> str:
    texts = following_texts(inspect.getsource(Flag))
    return table(("bit mask", "flag", "meaning"), ((f"0x{bit:04x}", bit.name, texts[str(bit.name)]) for bit in Flag))


def limits_block() -> str:
    texts = following_texts(Path(inspect.getfile(limits)).read_text(encoding="utf-8"))
    return table(
        ("limit", "value", "meaning"),
        ((f"`{name}`", getattr(limits, name), texts.get(name, "")) for name in PUBLIC_LIMITS),
    )


def states_block() -> str:
    def cell(state: State, end: End) -> str:
        moves = []
        for kind in Kind:
            after = TRANSITIONS.get((state, end, kind))
            if after is not None:
                moves.append(kind.name if after is state else f"{kind.name} → **{after.value}**")
        return ", ".join(moves) or "nothing"

    rows = ((f"**{state.value}**", cell(state, End.CLIENT), cell(state, End.SERVER)) for state in State)
    return table(("state", "the client may send", "the server may send"), rows)


def statuses_block() -> str:
    rows = (
        (
            f"0x{row.status:04x}",
            row.status.name,
            StatusClass(status_class(row.status)).name.lower(),
            "yes" if row.resend else "no",
            "yes" if row.elsewhere else "no",
            row.meaning,
            row.advice,
        )
        for row in STATUS_TABLE.values()
    )
    return table(
        ("number", "status", "class", "send again", "proxy tries elsewhere", "meaning", "what the caller should do"),
        rows,
    )


def operations_block() -> str:
    rows = (
        (
            f"0x{number:04x}",
            row.opcode.name,
            row.request.__name__,
            row.result.__name__,
            " or ".join(row.roles),
            row.default_timeout_ms,
        )
        for number, row in sorted(OPERATIONS.items())
    )
    return table(("opcode", "operation", "request body", "body of OK", "role", "default time, ms"), rows)


def bits_block() -> str:
    usage = ((f"0x{bit:03x}", f"{bit.name}", "usage") for bit in Usage)
    texts = following_texts(inspect.getsource(PolicyFlag))
    policy = ((f"0x{bit:03x}", f"{bit.name}", "policy flags", texts[str(bit.name)]) for bit in PolicyFlag)
    return table(("bit", "name", "field", "meaning"), (*((*row, "") for row in usage), *policy))


def key_types_block() -> str:
    def names(usage: Usage) -> str:
        return " ".join(str(bit.name) for bit in Usage if bit in usage)

    rows = (
        (
            f"`{row.name}`",
            row.family,
            names(row.usages),
            f"0x{row.default_usages:03x} {names(row.default_usages)}",
            row.strength,
        )
        for row in KEY_TYPES.values()
    )
    return table(("key type", "family", "possible usages", "usage 0 means", "strength, bits"), rows)


def mechanisms_block() -> str:
    def parameter_words(number: int) -> str:
        row = MECHANISMS[number]
        if row.parameters is None:
            return "nil"
        return row.parameters.__name__ + ("" if row.parameters_required else " or nil")

    def data_words(number: int) -> str:
        row = MECHANISMS[number]
        if row.hash_mechanism:
            return f"whole, hashed with {row.alias.rsplit('-', 1)[1].upper()}"
        return row.data.value

    def needs_words(number: int) -> str:
        needs = MECHANISMS[number].needs
        return "; ".join(f"{flag.name} to {' '.join(str(bit.name) for bit in usages)}" for usages, flag in needs)

    rows = (
        (
            f"0x{number:04x}",
            row.name,
            f"`{row.alias}`",
            ", ".join(row.families),
            " ".join(str(bit.name) for bit in Usage if bit in row.usages),
            parameter_words(number),
            data_words(number),
            needs_words(number),
        )
        for number, row in sorted(MECHANISMS.items())
    )
    head = ("number", "PKCS#11 name", "alias", "key families", "usages", "parameters", "data", "policy flag needed")
    return table(head, rows)


def connection_bodies_block() -> str:
    return "\n".join(form_section(getattr(messages, name)) for name in CONNECTION_FORMS)


def parts_of(form: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """Return a form's nested forms, inner ones first, and the form."""
    found: list[type[msgspec.Struct]] = []

    def visit(kind: msgspec.inspect.Type) -> None:
        if isinstance(kind, msgspec.inspect.StructType):
            for field in kind.fields:
                visit(field.type)
            found.append(kind.cls)
        elif isinstance(kind, msgspec.inspect.ListType):
            visit(kind.item_type)
        elif isinstance(kind, msgspec.inspect.UnionType):
            for part in kind.types:
                visit(part)

    visit(msgspec.inspect.type_info(form))
    return found


def operation_bodies_block() -> str:
    seen = {getattr(messages, name) for name in CONNECTION_FORMS}
    sections = []
    for _number, row in sorted(OPERATIONS.items()):
        for form in (*parts_of(row.request), *parts_of(row.result)):
            if form not in seen:
                seen.add(form)
                sections.append(form_section(form))
    return "\n".join(sections)


def parameters_block() -> str:
    return "\n".join(form_section(form) for form in parameters.Parameters.__subclasses__())


BLOCKS: dict[str, Callable[[], str]] = {
    "kinds": kinds_block,
    "flags": flags_block,
    "limits": limits_block,
    "states": states_block,
    "statuses": statuses_block,
    "operations": operations_block,
    "bits": bits_block,
    "key-types": key_types_block,
    "mechanisms": mechanisms_block,
    "connection-bodies": connection_bodies_block,
    "operation-bodies": operation_bodies_block,
    "parameters": parameters_block,
    "frame-vectors": lambda: frames_shown("frames"),
    "parameter-vectors": parameter_vectors_block,
    "fault-vectors": faults_block,
    "session": lambda: frames_shown("session"),
}


def filled(text: str) -> str:
    """Return the page with every marked block made anew; every block must stand in it once."""
    for name, make in BLOCKS.items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"docs/protocol.md: the markers of {name!r} must stand in it once")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{make()}\n{end}{rest.split(end)[1]}"
    return text


def pages(docs: Path) -> dict[Path, str]:
    """Return every page as it should be."""
    statuses, mechanisms, protocol = (docs / f"{name}.md" for name in ("statuses", "mechanisms", "protocol"))
    offered = "INFO says which of these a cluster offers."
    return {
        statuses: f"# Statuses\n\n{NOTICE}The high byte of a status is its class.\n\n{statuses_block()}",
        mechanisms: f"# Mechanisms\n\n{NOTICE}{offered}\n\n{mechanisms_block()}{MECHANISM_NOTES}",
        protocol: filled(protocol.read_text(encoding="utf-8")),
    }


def main(arguments: list[str], docs: Path = DOCS) -> int:
    """Write or check the pages; return the exit code."""
    return write_or_check(pages(docs), arguments, "tools/make_wire_docs.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
