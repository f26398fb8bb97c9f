"""What a new configuration changes in the master keys that a running node holds.

Theory. `master_key` is the key that the store is under, or was until a rotation that the configuration does not know of
yet; `next_master_key` is its successor. A node may take a successor in and, once nothing is under the predecessor any
more, forget that one, both without a restart. To take a successor back needs one: another node may be about to use it.
"""

from typing import NamedTuple

from hsm_node.core.keyring import Keyring

_PATIENCE = "keep the old key as master_key and the new one as next_master_key until `hsmctl master-key status` says so"


class SuccessionError(Exception):
    """The configured master keys cannot be held now; the text says why and what to do."""


class Change(NamedTuple):
    """What is to be done, in this order."""

    drop: int = 0
    """Version of a master key to forget; 0 = none."""
    hold: bool = False
    """Whether the next master key is new here."""
    restart: bool = False
    """Whether the node goes on holding a master key that is configured no more."""


def change_of(keyring: Keyring, master: bytes | None, following: bytes | None, *, settled: bool) -> Change:
    """Return what a configuration changes.

    Args:
        keyring: of the node.
        master: fingerprint of the configured master key; None: it is not at hand (shares), and so as before.
        following: fingerprint of the configured next one; None: there is none.
        settled: whether all rows of the store are under the master key in use, and all nodes seal under that.

    Raises:
        SuccessionError: these keys cannot be held now.
    """
    held = {keyring.fingerprint(version): version for version in keyring.versions}
    used = keyring.version
    version = used if master is None else held.get(master, 0)
    next_version = 0 if following is None else held.get(following, 0)
    if master is None and following == keyring.fingerprint():
        return Change()  # The shares make its predecessor: the configuration of before the rotation.
    if following is not None and following == master:
        raise SuccessionError("master_key and next_master_key are the same key; correct [keystore]")
    if next_version and next_version < version:
        raise SuccessionError("next_master_key is older than master_key; exchange them in [keystore]")
    if version > used:
        raise SuccessionError("master_key is the successor of the one in use; `hsmctl master-key rotate` comes first")
    if used not in (version, next_version):
        raise SuccessionError(
            "neither master_key nor next_master_key is the one in use; name that, and its successor as next_master_key"
        )
    if version < used:
        return Change()  # The configuration of before the rotation: it holds what it names.
    others = [other for other in keyring.versions if other not in (used, next_version)]
    if any(other > used for other in others):
        return Change(restart=True)
    if others and not settled:
        raise SuccessionError(f"something may be under the old master key yet; {_PATIENCE}")
    return Change(drop=others[0] if others else 0, hold=following is not None and not next_version)
