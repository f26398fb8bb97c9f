from dr_answers import BAD, GOOD

from hsmctl.commands.dr.drill_texts import document_of, keys_text, lag_text, rto_text


def test_what_nobody_knows_is_said_so_and_null_for_programs() -> None:
    assert lag_text(None, None) == "unknown"
    assert lag_text(None, 1500) == "unknown; it was complete 1.5 s ago"
    assert lag_text(3, None) == "3 records"
    assert rto_text(BAD) == "not everything was served"
    assert (document_of(BAD)["rpo_seconds"], document_of(BAD)["rto_seconds"]) == (None, None)


def test_a_drill_with_every_key_says_so() -> None:
    assert "(a sample)" in keys_text(GOOD)
    assert "(all keys), 0 failed; 1000 records read, 1 refused" in keys_text(BAD)
