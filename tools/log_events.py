"""Which lines the daemons can write, read from their code: event, logger, levels, fields.

An event is fixed words, so every one stands in the source: at the call that writes it, in a name assigned nearby, or
in a table of the module. One that cannot be found there is an error of this program or of the one it reads.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

PACKAGES: Final = ("hsm_daemon", "proxy", "hsm_node")
WRITERS: Final = frozenset(
    {
        "hsm_daemon/logs.py",
        "hsm_daemon/log_limit.py",
        "proxy/core/notices.py",
        "proxy/net/journal.py",
        "proxy/workers/journal.py",
        "proxy/request_log.py",
    }
)
"""They write what others say."""
CORE_LOGGER: Final = "proxy.nodes"
"""Of what `Notices` of the core keep."""
REQUESTS_LOGGER: Final = "proxy.requests"
"""Of what `RequestNotes` keep."""
BY_WRITERS: Final = (
    ("node changed", CORE_LOGGER, "info warning", "node before after reason"),
    ("path changed", CORE_LOGGER, "info warning", "node path before after reason"),
    ("the log's settings have changed", "daemon.logs", "info", "format default_level levels slow_request_s"),
)
"""What these say themselves: event, logger, levels, fields."""
HANDED_ON: Final = {"hsm_node.requests": ("status", "queued_s", "device_s", "store_s", "together")}
"""Fields that reach the call as a mapping of a caller's, by logger."""


class Event(NamedTuple):
    """One kind of line."""

    text: str
    logger: str


class Line(NamedTuple):
    """What such lines have, wherever they are written."""

    levels: tuple[str, ...]
    fields: tuple[str, ...]


class NotFoundError(Exception):
    """An event's words, its level or its logger are not constants that this program finds."""


def events(root: Path) -> dict[Event, Line]:
    """Return all events of the daemons."""
    found: dict[Event, list[Line]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if name not in WRITERS:
                module = _Module(root, name)
                for event, line in module.lines():
                    found[event].append(line)
    for text, logger, levels, fields in BY_WRITERS:
        found[Event(text, logger)].append(Line(tuple(levels.split()), tuple(fields.split())))
    return {event: _joined(lines) for event, lines in sorted(found.items(), key=lambda item: item[0][::-1])}


def _joined(lines: list[Line]) -> Line:
    levels = sorted({level for line in lines for level in line.levels})
    fields = dict.fromkeys(field for line in lines for field in line.fields)
    return Line(tuple(levels), tuple(fields))


class _Module:
    """One file of the code."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = name
        self._tree = ast.parse((root / name).read_text(encoding="utf-8"))
        self._loggers = self._found_loggers()

    def lines(self) -> Iterator[tuple[Event, Line]]:
        """Yield what it writes."""
        for scope, call in _calls(self._tree):
            match call.func:
                case ast.Attribute(value=ast.Name(id="logs"), attr="event"):
                    yield from self._all(scope, call, call.args[0], call.args[1], call.args[2])
                case ast.Attribute(attr="tell") if len(call.args) == 3:
                    yield from self._all(scope, call, call.args[0], call.args[1], call.args[2])
                case ast.Attribute(value=log, attr="event") if self._is_log(log):
                    yield from self._all(scope, call, log, call.args[0], call.args[1])
                case ast.Attribute(value=log, attr="exception") if self._is_log(log):
                    yield from self._all(scope, call, log, ast.Constant("error"), call.args[0], "traceback")
                case ast.Attribute(value=notices, attr="add") if ast.unparse(notices).endswith("notices"):
                    level = next((each.value for each in call.keywords if each.arg == "level"), ast.Constant("warning"))
                    yield from self._all(scope, call, ast.Constant(CORE_LOGGER), level, call.args[0])
                case ast.Name(id="Notice") if len(call.args) == 3:
                    text, fields, level = call.args
                    more = self._keys(scope, fields)
                    yield from self._all(scope, call, ast.Constant(REQUESTS_LOGGER), level, text, *more)

    def _all(
        self, scope: ast.AST, call: ast.Call, log: ast.expr, level: ast.expr, text: ast.expr, *more: str
    ) -> Iterator[tuple[Event, Line]]:
        logger = log.value if isinstance(log, ast.Constant) else self._loggers.get(ast.unparse(log), "")
        texts, levels = self._words(scope, text), self._words(scope, level)
        if not (logger and texts and levels):
            raise NotFoundError(f"{self._name}:{call.lineno}: {ast.unparse(call)[:100]}")
        fields: list[str] = []
        for keyword in call.keywords:
            if keyword.arg is None:
                fields += self._keys(scope, keyword.value)
            elif keyword.arg not in ("level", "extra"):
                fields.append(keyword.arg)
        more += HANDED_ON.get(str(logger), ())
        for found in texts:
            yield Event(found, str(logger)), Line(tuple(levels), (*fields, *more))

    def _words(self, scope: ast.AST, node: ast.expr) -> list[str]:
        """Return the constants that this may be."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.IfExp(body=body, orelse=other):
                return [*self._words(scope, body), *self._words(scope, other)]
            case ast.Name(id=name):
                return [word for value in self._assigned(scope, name) for word in self._words(scope, value)]
            case _:
                return []

    def _keys(self, scope: ast.AST, node: ast.expr) -> list[str]:
        """Return the field names of a mapping that is handed on as keywords."""
        match node:
            case ast.Dict(keys=keys, values=values):
                found: list[str] = []
                for key, value in zip(keys, values, strict=True):
                    found += self._keys(scope, value) if key is None else self._words(scope, key)
                return found
            case ast.Name(id=name):
                return [key for value in self._assigned(scope, name) for key in self._keys(scope, value)]
            case ast.Attribute():
                values = [value for each in ast.walk(self._tree) for value in self._values(each, ast.unparse(node))]
                return [key for value in values for key in self._keys(scope, value)]
            case _:
                return []

    def _assigned(self, scope: ast.AST, name: str) -> Iterator[ast.expr]:
        """Yield what is assigned to a name in this function, or else in the module."""
        here = [value for node in ast.walk(scope) for value in self._values(node, name)]
        here = here or [value for node in self._tree.body for value in self._values(node, name)]
        yield from here or self._imported(name)

    def _imported(self, name: str) -> Iterator[ast.expr]:
        """Yield what is assigned to a name in the module that it is imported from."""
        for node in self._tree.body:
            if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
                path = f"{(node.module or '').replace('.', '/')}.py"
                if (self._root / path).exists():
                    module = _Module(self._root, path)
                    yield from module._assigned(module._tree, name)

    def _values(self, node: ast.AST, name: str) -> Iterator[ast.expr]:
        match node:
            case ast.Assign(targets=[ast.Name() | ast.Attribute() as found], value=value) if ast.unparse(found) == name:
                yield value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == name:
                yield value
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=found), slice=ast.Constant() as key)]) if (
                found == name
            ):
                yield ast.Dict([key], [key])
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Subscript(value=ast.Name(id=table))):
                for place, target in enumerate(names):
                    if isinstance(target, ast.Name) and target.id == name:
                        for rows in self._assigned(self._tree, table):
                            yield from _column(rows, place)
            case _:
                return

    def _is_log(self, node: ast.expr) -> bool:
        return ast.unparse(node) in self._loggers

    def _found_loggers(self) -> dict[str, str]:
        """Return name -> logger, of the names in this module that hold one, or a limited one of it."""
        found: dict[str, str] = {"failures": "daemon.tls", "handshake.failures": "daemon.tls"}
        for node in ast.walk(self._tree):
            match node:
                case (
                    ast.Assign(targets=[target], value=ast.Call() as call)
                    | ast.AnnAssign(target=target, value=ast.Call() as call)
                ):
                    name = self._logger_of(call, found)
                    if name:
                        found[ast.unparse(target)] = name
                case _:
                    continue
        return found

    @staticmethod
    def _logger_of(call: ast.Call, known: dict[str, str]) -> str:
        match call:
            case ast.Call(func=ast.Attribute(attr="logger"), args=[ast.Constant(value=str(name))]):
                return name
            case ast.Call(func=ast.Name(id="LimitedLog"), args=[ast.Call() as inner, *_]):
                return _Module._logger_of(inner, known)
            case ast.Call(func=ast.Name(id="LimitedLog"), args=[ast.Name(id=name), *_]):
                return known.get(name, "")
            case _:
                return ""


def _calls(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.Call]]:
    """Yield each call with the function that it is in, or the module."""

    def inside(scope: ast.AST, node: ast.AST) -> Iterator[tuple[ast.AST, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield scope, child
            within = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from inside(child if within else scope, child)

    return inside(tree, tree)


def _column(rows: ast.expr, place: int) -> Iterator[ast.expr]:
    """Yield one column of a table that is written as a dictionary of tuples."""
    if isinstance(rows, ast.Dict):
        for row in rows.values:
            if isinstance(row, ast.Tuple):
                yield row.elts[place]
