"""A master key in shares: k of n people have it together."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shamir_mnemonic import generate_mnemonics

from hsm_wire.shares import MASTER_KEY_BYTES, MIN_THRESHOLD, Share, ShareError, combine, read_share
from hsmctl.failures import USAGE, CommandError
from hsmctl.files import read_input

_NO_STRETCHING: Final = 0
"""SLIP-39 stretches a passphrase; a random key has nothing to stretch."""


def new_master_key() -> bytes:
    """Return a key by chance."""
    return secrets.token_bytes(MASTER_KEY_BYTES)


def read_master_key(path: str) -> bytes:
    """Return the key in a node's master key file."""
    digits = read_input(path).strip()
    try:
        key = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        key = b""
    if len(digits) != 2 * MASTER_KEY_BYTES or len(key) != MASTER_KEY_BYTES:
        raise CommandError(
            f"{path} holds no master key: that is {2 * MASTER_KEY_BYTES} hexadecimal digits; name the file that "
            "node.toml names",
            USAGE,
        )
    return key


def master_key_of(shares: Iterator[Share]) -> bytes:
    """Return the key that the next shares make, as many as their set takes."""
    held: dict[int, Share] = {}
    needed = MIN_THRESHOLD
    while len(held) < needed:
        share = next(shares, None)
        if share is None:
            raise CommandError(
                f"{len(held)} different shares were given, the set takes {needed}; give the others too", USAGE
            )
        needed = share.threshold
        other = next(iter(held.values()), share)
        if not share.is_of_the_set_of(other):
            raise CommandError(
                f"a share of set {share.set_name} after one of set {other.set_name}; give those of one set"
            )
        held[share.number] = share
    try:
        return combine(list(held.values()))
    except ShareError as error:
        raise CommandError(f"{error}; give those of one set") from None


def split(master_key: bytes, threshold: int, count: int) -> list[str]:
    """Return the words of each share; it was tried that they make the key again."""
    if threshold > count:
        raise CommandError(
            f"--threshold {threshold} of --shares {count} can never be reached; ask for more shares", USAGE
        )
    [made] = generate_mnemonics(1, [(threshold, count)], master_key, iteration_exponent=_NO_STRETCHING)
    shares = [read_share(words) for words in made]
    if any(combine(some) != master_key for some in (shares[:threshold], shares[-threshold:])):
        raise CommandError("the shares do not make the key again; nothing was written, report this")
    return made


def share_files(folder: Path, count: int) -> list[Path]:
    """Return where each share goes, none of which may be there yet; the folder is made where it is missing."""
    files = [folder / f"share-{number}-of-{count}.txt" for number in range(1, count + 1)]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file in files:
        if file.exists():
            raise CommandError(f"{file} exists; name another --out-dir, or remove it if nobody needs that share", USAGE)
    return files
