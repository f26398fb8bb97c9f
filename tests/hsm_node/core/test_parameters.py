import msgspec
import pytest

from hsm_node.core.parameters import decode_parameters
from hsm_node.core.refusal import Refusal
from hsm_wire.errors import BodyError
from hsm_wire.mechanisms import MECHANISMS, Mechanism
from hsm_wire.messages import NIL_PARAMETERS, encode_body
from hsm_wire.parameters import EddsaParameters, Parameters
from hsm_wire.statuses import Status


@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=lambda row: row.alias)
def test_nil_is_refused_where_parameters_are_needed_and_the_default_elsewhere(mechanism: Mechanism) -> None:
    if not mechanism.parameters_required:
        assert decode_parameters(mechanism, NIL_PARAMETERS) is None
        return
    with pytest.raises(Refusal, match=mechanism.name) as refused:
        decode_parameters(mechanism, NIL_PARAMETERS)
    assert refused.value.status is Status.BAD_REQUEST


@pytest.mark.parametrize("mechanism", [row for row in MECHANISMS.values() if not row.parameters], ids=lambda r: r.alias)
def test_parameters_are_refused_where_there_are_none(mechanism: Mechanism) -> None:
    with pytest.raises(Refusal, match="send nil"):
        decode_parameters(mechanism, msgspec.Raw(encode_body(EddsaParameters())))


@pytest.mark.parametrize("mechanism", [row for row in MECHANISMS.values() if row.parameters], ids=lambda r: r.alias)
@pytest.mark.parametrize("raw", [b"\x01", b"\xc1", b"\x94\x01\x02\x03\x04", b"\x9f" + bytes(15), b"\x91" * 3000])
def test_parameters_of_another_form_are_refused(mechanism: Mechanism, raw: bytes) -> None:
    with pytest.raises(BodyError):
        decode_parameters(mechanism, msgspec.Raw(raw))


def test_parameters_of_its_form_are_taken() -> None:
    for mechanism in MECHANISMS.values():
        if mechanism.parameters is EddsaParameters:
            made: Parameters | None = decode_parameters(
                mechanism, msgspec.Raw(encode_body(EddsaParameters(True, b"c")))
            )
            assert made == EddsaParameters(True, b"c")
