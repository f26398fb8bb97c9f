"""What a user types for subjects and alternative names."""

import pytest

from hsmctl.distinguished_names import alternative_names, subject_of
from hsmctl.failures import CommandError


def test_both_ways_to_write_a_subject_mean_the_same() -> None:
    assert subject_of("CN=www,O=Example") == subject_of("/O=Example/CN=www")


@pytest.mark.parametrize("text", ["", "nonsense", "/", "CN"])
def test_what_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="no subject"):
        subject_of(text)


def test_every_kind_of_alternative_name_is_taken() -> None:
    names = alternative_names(("dns:a.example", "ip:127.0.0.1", "uri:spiffe://a/b", "email:a@b.example"))
    assert names is not None
    assert len(list(names)) == 4


@pytest.mark.parametrize("text", ["a.example", "dns:", "ip:300.0.0.1", "what:x"])
def test_what_is_no_alternative_name_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="no alternative name"):
        alternative_names((text,))


def test_no_name_makes_no_extension() -> None:
    assert alternative_names(()) is None
