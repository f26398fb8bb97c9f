"""When a silent proxy is asked, and when it is given up."""

from hsm_client.silence import PONG_S, SILENCE_S, STALL_S, Silence, Verdict


def test_silence_is_asked_about_once_and_then_ends_the_connection():
    silence = Silence()
    silence.broken(10.0)
    assert silence.look(10.0 + SILENCE_S, 0.0) is Verdict.WAIT
    pinged = 10.1 + SILENCE_S
    assert silence.look(pinged, 0.0) is Verdict.PING
    assert silence.look(pinged + PONG_S, 0.0) is Verdict.WAIT
    assert silence.look(pinged + PONG_S + 0.1, 0.0) is Verdict.LOST


def test_any_word_after_the_ping_begins_anew():
    silence = Silence()
    assert silence.look(10.0, 0.0) is Verdict.PING
    silence.broken(11.0)
    assert silence.look(11.1, 0.0) is Verdict.WAIT
    assert silence.look(11.1 + SILENCE_S, 0.0) is Verdict.PING


def test_a_look_that_we_held_up_ourselves_is_no_silence_of_the_proxy():
    silence = Silence()
    assert silence.look(10.0, 0.0) is Verdict.PING
    assert silence.look(20.0, STALL_S + 0.1) is Verdict.WAIT
    assert silence.look(20.1 + SILENCE_S, 0.0) is Verdict.PING
