"""Which token is meant: by its label, its serial number or its slot, and exactly one."""

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.device import UnusableError
from hsm_node.backends.pkcs11.messages import Look
from hsm_node.backends.pkcs11.module import Module, Token


def find_token(module: Module, look: Look) -> Token:
    """Return the token.

    Raises:
        UnusableError: there is none, there are several, or it is not initialised.
    """
    tokens = [module.token(slot) for slot in module.slots()]
    fitting = [token for token in tokens if _fits(token, look)]
    if len(fitting) > 1:
        raise UnusableError(f"{len(fitting)} tokens are {_wanted(look)}; name one by its serial number")
    if not fitting:
        raise UnusableError(f"no token is {_wanted(look)}; the module has {_listed(tokens)}")
    [token] = fitting
    if not token.flags & ck.CKF_TOKEN_INITIALIZED:
        raise UnusableError(f"the token in slot {token.slot} is not initialised; initialise it with its maker's tool")
    if not token.flags & ck.CKF_USER_PIN_INITIALIZED:
        raise UnusableError(f"the token {token.label!r} has no user PIN yet; set it with its maker's tool")
    return token


def _fits(token: Token, look: Look) -> bool:
    return (
        (not look.label or token.label == look.label)
        and (not look.serial or token.serial == look.serial)
        and (look.slot is None or token.slot == look.slot)
    )


def _wanted(look: Look) -> str:
    parts = []
    if look.label:
        parts.append(f"labelled {look.label!r}")
    if look.serial:
        parts.append(f"of serial number {look.serial!r}")
    if look.slot is not None:
        parts.append(f"in slot {look.slot}")
    return " and ".join(parts)


def _listed(tokens: list[Token]) -> str:
    initialised = [token for token in tokens if token.flags & ck.CKF_TOKEN_INITIALIZED]
    return ", ".join(f"{token.label!r} ({token.serial}) in slot {token.slot}" for token in initialised) or "none"
