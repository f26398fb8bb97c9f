"""Eight threads at one token, each in its own session: generate, wrap, unwrap, sign. Prints how many signatures.

`python pkcs11_stress.py right|naive SECONDS` with SOFTHSM2_CONF set. `naive` initialises the module as one that will
never see a thread, which is what C_Initialize(NULL) says: then SoftHSM2 crashes or answers with errors.
"""

import sys
import threading
import time
from typing import Any, Final

from softhsm import MODULE, PIN, WRAP_MECHANISM

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11 import key_templates, module
from hsm_node.backends.pkcs11.structures import Template, mechanism
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import CKM_ECDSA

THREADS: Final = 8
UNWRAP_EVERY: Final = 20
"""Signatures between two keys that are unwrapped, used and destroyed."""
_KEY_TYPE: Final = KEY_TYPES["ec-p256"]
_TRANSPORT: Final[Template] = {
    ck.CKA_CLASS: ck.CKO_SECRET_KEY,
    ck.CKA_KEY_TYPE: ck.CKK_AES,
    ck.CKA_VALUE: bytes(32),
    ck.CKA_TOKEN: False,
    ck.CKA_WRAP: True,
    ck.CKA_UNWRAP: True,
}


class NaiveModule(module.Module):
    """Initialised without a word about threads."""

    def _done(self, name: str, *arguments: Any) -> None:
        super()._done(name, *((None,) if name == "C_Initialize" else arguments))


def work(loaded: module.Module, slot: int, kek: int, end: float, count: list[int]) -> None:
    """Work in a session until it is time."""
    session = loaded.open_session(slot)
    sign, kwp = mechanism(CKM_ECDSA), mechanism(WRAP_MECHANISM)
    templates = key_templates.generated_public(_KEY_TYPE), key_templates.generated(_KEY_TYPE)
    _, key = loaded.generate_pair(session, key_templates.generation(_KEY_TYPE), *templates)
    wrapped = loaded.wrap(session, kwp, kek, key)
    while time.monotonic() < end:
        for _ in range(UNWRAP_EVERY):
            loaded.sign(session, sign, key, bytes(32), 64)
        again = loaded.unwrap(session, kwp, kek, wrapped, key_templates.unwrapped(_KEY_TYPE))
        loaded.sign(session, sign, again, bytes(32), 64)
        loaded.destroy(session, again)
        count[0] += UNWRAP_EVERY + 1


def main(how: str, seconds: float) -> None:
    """Run the threads; whatever one of them raises ends the process with status 1."""
    loaded = (NaiveModule if how == "naive" else module.Module)(MODULE)
    [slot] = [slot for slot in loaded.slots() if loaded.token(slot).label == "one"]
    keeper = loaded.open_session(slot)
    loaded.login(keeper, PIN.encode())
    kek = loaded.create(keeper, _TRANSPORT)
    counts = [[0] for _ in range(THREADS)]
    failed: list[BaseException] = []
    threading.excepthook = lambda arguments: failed.append(arguments.exc_value or RuntimeError())
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=(loaded, slot, kek, end, count)) for count in counts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit(f"{len(failed)} of {THREADS} threads failed, the first by: {failed[0]}")
    print(sum(count[0] for count in counts))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
