"""INFO and RANDOM: what needs no key."""

from hsm_node import SOFTWARE
from hsm_node.backends.base import Backend
from hsm_node.service.request import Request
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import Empty, InfoResult, MechanismInfo, Random, RandomResult, encode_body


class General:
    """Handlers of the operations without a key."""

    def __init__(self, cluster: str, node: str, backend: Backend) -> None:
        self._backend = backend
        self._info = encode_body(
            InfoResult(
                cluster,
                node,
                SOFTWARE,
                [
                    MechanismInfo(number, MECHANISMS[number].name, int(usages))
                    for number, usages in sorted(backend.offered.items())
                ],
                sorted(backend.key_types),
            )
        )

    def info(self, _request: Request, _body: Empty) -> bytes | None:
        """INFO."""
        return self._info

    def random(self, _request: Request, body: Random) -> bytes | None:
        """RANDOM."""
        return encode_body(RandomResult(self._backend.random(body.length)))
