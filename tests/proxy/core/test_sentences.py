"""Log lines as sentences."""

import ast
from pathlib import Path

import proxy.core
from proxy.core.agreement import _LINES
from proxy.core.sentences import SENTENCES, sentence

FOLDER = Path(proxy.core.__file__).parent


def notices():
    """Give the fixed words and the fields of each notice in the core's source."""
    for path in sorted(FOLDER.glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("otices.add"):
                fields = {word.arg: 1 for word in call.keywords if word.arg != "level"}
                for words in _words(call.args[0]):
                    yield words, fields


def _words(node):
    if isinstance(node, ast.Constant):
        return [node.value]
    if ast.unparse(node) == "text":
        return [text for text, _ in _LINES.values()]
    return [text for text in SENTENCES if "certificate" in text]


def test_each_notice_of_the_core_has_a_sentence_and_the_fields_that_it_needs():
    found = list(notices())
    assert len(found) > 10
    for text, fields in found:
        assert sentence(text, fields) != text, text


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
