"""What a node and the module's process say to each other."""

import pytest

from hsm_node.backends.pkcs11 import messages

SECRET = b"2718281828"
KEY = messages.KeyRef("aes-256", SECRET, 1)


@pytest.mark.parametrize(
    "question",
    [
        messages.Look("m.so", "one", "", None),
        messages.Begin(SECRET, (messages.MasterKeyObjects(1, "redoubt"),), 0x210A),
        messages.Use("sign", KEY, 0x40, b"", SECRET, 256),
        messages.Generate("ec-p256", 1),
        messages.Take("aes-256", SECRET, SECRET, 1),
        messages.Mac(1, SECRET),
        messages.Random(16),
        messages.Forget(KEY),
    ],
)
def test_questions_arrive_as_they_were_sent_and_show_no_bytes(question: messages.Question) -> None:
    assert messages.questions.decode(messages.encoder.encode(question)) == question
    assert SECRET.decode() not in repr(question)


@pytest.mark.parametrize(
    "answer",
    [
        messages.Done(SECRET),
        messages.Made(SECRET, 0, (SECRET,)),
        messages.Seen("one", "serial", "model", 1, (1, 2)),
        messages.Begun(3, (SECRET,)),
        messages.Failed(0xA0, "C_Login"),
        messages.Unusable("text"),
    ],
)
def test_answers_arrive_as_they_were_sent_and_show_no_bytes(answer: messages.Answer) -> None:
    assert messages.answers.decode(messages.encoder.encode(answer)) == answer
    assert SECRET.decode() not in repr(answer)
