"""A client that is connected once, and signs again and again with one key, whatever happens to the cluster."""

import threading
import time
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from run_steps import DemoError

from hsm_client import sync
from hsm_client.errors import HsmError

PAUSE_S: Final = 0.2
"""Between two signatures."""
CALL_S: Final = 60.0
"""For one signature: so long the library waits for somebody who serves, and tells nobody that it waits."""
POLL_S: Final = 0.05


class LastingClient:
    """Use as a context manager: it signs from `with` to its end, in a thread of its own."""

    def __init__(self, config: Path) -> None:
        """Connect to nobody yet."""
        self._config = config
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sign, name="client")
        self._lock = threading.Lock()
        self._signed = 0
        self._slowest_s = 0.0
        self._fault = ""

    def __enter__(self) -> "LastingClient":
        try:
            self._hsm = sync.connect(self._config, timeout_s=CALL_S).open()
            self._key = self._hsm.generate_key("ec-p256", label="demo-client", durability="dr")
        except HsmError as error:
            raise DemoError(f"the client does not begin: {error}") from None
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._hsm.close()

    def goes_on(self) -> None:
        """Say what it has done since this was called last; wait for a signature that was asked for by now.

        Raises:
            DemoError: one has failed, or none comes.
        """
        before = self._signed
        deadline = time.monotonic() + CALL_S
        while not self._fault and self._signed < before + 2:  # The next one may have been asked for before.
            if time.monotonic() > deadline:
                raise DemoError(f"the client has no signature after {CALL_S:g} s")
            time.sleep(POLL_S)
        with self._lock:
            signed, slowest_s, fault = self._signed, self._slowest_s, self._fault
            self._slowest_s = 0.0
        if fault:
            raise DemoError(f"a signature of the client failed: {fault}")
        print(
            f"    the client: {signed} signatures by now, none failed; since the last time one took {slowest_s:.1f} s"
        )

    def _sign(self) -> None:
        public = self._key.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        while not self._stop.wait(PAUSE_S):
            began = time.monotonic()
            data = str(self._signed).encode()
            try:
                public.verify(self._key.sign(data, "ecdsa-sha256"), data, ec.ECDSA(SHA256()))
            except (HsmError, InvalidSignature) as error:
                self._fault = self._fault or str(error) or "its signature is wrong"
                return
            with self._lock:
                self._signed += 1
                self._slowest_s = max(self._slowest_s, time.monotonic() - began)
