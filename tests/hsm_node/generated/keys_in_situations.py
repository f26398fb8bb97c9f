"""Makes keys of situations, through the service: every policy is given and every change is made as a client does it."""

import os
from dataclasses import dataclass, field

from good_requests import Ask
from key_materials import material
from key_rules import Situation
from wire_values import packed

from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

_CHANGES = {
    "disabled": (Opcode.UPDATE_KEY, lambda key_id: [key_id, 0, None, False]),
    "scheduled": (Opcode.DESTROY_KEY, lambda key_id: [key_id, 3600]),
    "destroyed": (Opcode.DESTROY_KEY, lambda key_id: [key_id, 0]),
    "rotated": (Opcode.ROTATE_KEY, lambda key_id: [key_id, os.urandom(16)]),
}


@dataclass
class KeysInSituations:
    """Each is made once."""

    ask: Ask
    _made: dict[tuple[str, Situation], bytes] = field(default_factory=dict)

    def key(self, key_type: str, situation: Situation) -> bytes:
        """Return the id of a key of that type in that situation."""
        known = self._made.get((key_type, situation))
        if known is None:
            known = self._made[key_type, situation] = self.new(key_type, situation)
        return known

    def new(self, key_type: str, situation: Situation) -> bytes:
        """Make one that nobody else has."""
        key_id = os.urandom(16)
        if situation.became == "absent":
            return key_id
        policy = [situation.label, int(situation.usage), situation.policy]
        if situation.imported:
            self._done(Opcode.IMPORT_KEY, [key_id, key_type, material(key_type), *policy])
        else:
            self._done(Opcode.GENERATE_KEY, [key_id, key_type, *policy])
        if situation.became:
            opcode, body = _CHANGES[situation.became]
            self._done(opcode, body(key_id))
        return key_id

    def _done(self, opcode: int, body: list[object]) -> None:
        status, answer = self.ask(opcode, packed(body))
        assert status == Status.OK, (Opcode(opcode).name, body, answer)
