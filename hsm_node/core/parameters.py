"""The parameters of a mechanism, out of a request."""

from typing import Final

import msgspec

from hsm_node.core.refusal import Refusal
from hsm_wire.forms import NIL_PARAMETERS
from hsm_wire.mechanisms import Mechanism
from hsm_wire.messages import decode_body
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status

_NIL: Final = bytes(NIL_PARAMETERS)


def decode_parameters(mechanism: Mechanism, raw: msgspec.Raw) -> Parameters | None:
    """Return the decoded parameters; None where they are nil and may be.

    Raises:
        Refusal: they are missing, or there are none for this mechanism.
        BodyError: they are not of its form.
    """
    if bytes(raw) == _NIL:
        if mechanism.parameters_required:
            raise Refusal(Status.BAD_REQUEST, f"{mechanism.name} needs its parameters")
        return None
    if mechanism.parameters is None:
        raise Refusal(Status.BAD_REQUEST, f"{mechanism.name} has no parameters: send nil")
    return decode_body(mechanism.parameters, raw)
