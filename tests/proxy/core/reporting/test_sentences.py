"""Log lines as sentences."""

import ast
from pathlib import Path

import proxy.core
from proxy.core.checks.agreement import _LINES
from proxy.core.reporting.expiry import EXPIRED, EXPIRES
from proxy.core.reporting.sentences import SENTENCES, sentence

FOLDER = Path(proxy.core.__file__).parent


def notices():
    """Give the fixed words of each notice in the core's source, and its fields where they are known."""
    for path in sorted(FOLDER.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(attr="add"), args=[ast.Constant(value=str(text))], keywords=fields):
                    yield text, {word.arg: 1 for word in fields if word.arg != "level"}
                case ast.Assign(targets=[ast.Name(id="text")], value=ast.Constant(value=str(text))):
                    yield text, None
    yield from ((text, None) for text in (*(text for text, _ in _LINES.values()), EXPIRES, EXPIRED))


def test_each_notice_of_the_core_has_a_sentence_and_the_fields_that_it_needs():
    found = list(notices())
    assert len(found) > 10
    for text, fields in found:
        assert text in SENTENCES
        assert fields is None or sentence(text, fields) != text


def test_times_have_their_unit_and_what_is_for_the_log_only_is_not_in_the_sentence():
    fields = {"node": "n1", "mean_s": 0.0123, "others_s": 1.5}
    assert sentence("a node is slow and gets less", fields) == (
        "n1 is slow and gets fewer requests: 12 ms for one, 1.5 s elsewhere"
    )
    banned = {"operation": "sign", "partition": 3, "key": "0a0b", "nodes": "n1, n2", "seconds": 60.0}
    text = sentence("a request is refused from now on: nodes were lost with it", banned)
    assert text == "a request is refused for 60 s: n1, n2 were lost while they worked on it"
    assert "h:1" not in sentence("path unreachable", {"node": "n", "path": "p", "address": "h:1", "reason": "r"})


def test_words_without_a_row_are_shown_as_they_are():
    assert sentence("something else", {"node": "n1"}) == "something else"
