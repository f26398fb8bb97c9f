"""The master key's successor: held beside it from the start, or from a SIGHUP on."""

from hsm_daemon.errors import StartError
from hsm_node.config import KeystoreConfig
from hsm_node.core.keyring import Keyring
from hsm_node.core.succession import Change, SuccessionError, change_of
from hsm_node.master_key import is_within_reach, read_master_key


def hold_next(keyring: Keyring, config: KeystoreConfig) -> None:
    """Have the keyring of the configured master key hold the next one too, where there is one.

    Raises:
        StartError: it cannot be read, or is the same key.
    """
    if config.next_master_key is None:
        return
    following = read_master_key(config.next_master_key)
    if Keyring(following).fingerprint() == keyring.fingerprint():
        raise StartError("master_key and next_master_key are the same key; correct [keystore]")
    keyring.hold(following, keyring.version + 1)


def check_master_keys(config: KeystoreConfig) -> None:
    """Look whether the configured master keys are there; of shares nothing can be looked at, nor of a credential where
    systemd has not given it to this process, as in a check by hand.

    Raises:
        StartError: one cannot be read, or they are the same.
    """
    master, following = config.master_key, config.next_master_key
    if is_within_reach(master) and (following is None or is_within_reach(following)):
        hold_next(Keyring(read_master_key(master)), config)
        return
    for source in (master, following):
        if source is not None and is_within_reach(source):
            read_master_key(source)


class Succession:
    """What a new configuration changes, decided before anything is changed."""

    def __init__(self, keyring: Keyring, config: KeystoreConfig, *, settled: bool) -> None:
        """Read the keys and decide.

        Args:
            keyring: of the running node.
            config: the new one.
            settled: whether all rows are under the master key in use, and all nodes seal under that.

        Raises:
            StartError: a key cannot be read, or cannot be held now.
        """
        self._keyring = keyring
        # Shares are in people's hands, so what they make is taken to be as it was.
        master = None if config.master_key.shares is not None else _fingerprint(read_master_key(config.master_key))
        self._following = None if config.next_master_key is None else read_master_key(config.next_master_key)
        following = None if self._following is None else _fingerprint(self._following)
        try:
            self.change: Change = change_of(keyring, master, following, settled=settled)
        except SuccessionError as error:
            raise StartError(str(error)) from None

    def apply(self) -> tuple[str, ...]:
        """Forget and hold what was decided; return the settings that wait for a restart."""
        if self.change.drop:
            self._keyring.drop(self.change.drop)
        if self.change.hold and self._following is not None:
            self._keyring.hold(self._following, self._keyring.version + 1)
        return ("keystore.next_master_key",) if self.change.restart else ()


def _fingerprint(master_key: bytes) -> bytes:
    return Keyring(master_key).fingerprint()
