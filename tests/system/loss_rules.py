"""What a loss of both productive sites may do, as docs/disaster-recovery.md promises it."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from key_history import GONE, KeyHistory, check
from key_history import Loss as LostSites
from loss_clients import DURABILITIES, PENDING, QUORUM, Made, Used
from scale import SLACK

ALLOWED_S: Final = 1.0
"""Keys that were acknowledged so long before the loss, or later, may be lost under durability `quorum`, and only while
the DR site was behind by less."""
RTO_S: Final = 10.0 * SLACK
"""Of the command, from the start of its process to its end."""
LATE_S: Final = 1.0
"""For an answer that was under way when its sender was killed, to be taken by a client on a busy machine."""
FEW: Final = 10
"""Keys of each durability, below which a loss proves nothing."""


@dataclass
class Loss:
    """What one loss did."""

    seed: int
    keys: Counter[str] = field(default_factory=Counter)
    """Acknowledged before the sites were gone, by their kind."""
    lost: Counter[str] = field(default_factory=Counter)
    lag_s: float | None = None
    """Of the DR site, as it was last shown before the loss; None: nobody knew."""
    ended: Counter[str] = field(default_factory=Counter)
    """Keys whose destruction was answered before the loss, by durability."""
    oldest_lost_s: float = 0.0
    """How long before the loss the first key that is lost was acknowledged."""
    command_s: float = 0.0
    """What the command says of itself."""
    process_s: float = 0.0
    pause_s: float = 0.0
    """Of the client that was without an answer for longest."""
    failed_after: int = 0
    """Requests that failed, of those that were sent after the command's end."""
    broken: list[str] = field(default_factory=list)
    """What must not be."""

    @property
    def follows(self) -> bool:
        """Whether the DR site had everything but the last moment."""
        return self.lag_s is not None and self.lag_s < ALLOWED_S


def judge(loss: Loss, made: list[Made], failed: dict[bytes, str], lost_at: float, gone_at: float) -> None:
    """Judge which keys are lost.

    Args:
        loss: takes what is found.
        made: every key that a client was told of.
        failed: what was said of those that do not work after the promotion.
        lost_at: when the first process was killed.
        gone_at: when the last one was.
    """
    for key in made:
        before = key.at <= gone_at + LATE_S
        loss.keys[key.kind] += before
        if key.key_id not in failed:
            continue
        loss.lost[key.kind] += 1
        if before and key.kind in (QUORUM, PENDING):
            loss.oldest_lost_s = max(loss.oldest_lost_s, lost_at - key.at)
            if key.kind == PENDING or not loss.follows or key.at >= lost_at - ALLOWED_S:
                continue
        when = f"{lost_at - key.at:.3f} s before the loss"
        loss.broken.append(f"key {key.key_id.hex()} ({key.kind}, {when}): {failed[key.key_id]}")
    for durability in DURABILITIES:
        if loss.keys[durability] < FEW:
            loss.broken.append(f"only {loss.keys[durability]} keys were made under {durability}: too few to tell")


def judge_changes(loss: Loss, history: KeyHistory, lost_at: float, promoted_at: float) -> None:
    """Judge what was seen, after the promotion, of keys that were destroyed before.

    Args:
        loss: takes what is found.
        history: of those keys.
        lost_at: when the first process was killed.
        promoted_at: when the command had ended.
    """
    history.loss = LostSites(lost_at, promoted_at, ALLOWED_S if loss.follows else math.inf)
    loss.broken += [f"{found.rule}: key {found.key}: {found.detail}" for found in check(history)]
    for change in history.changes:
        if change.value == GONE and change.answered is not None and change.answered < lost_at:
            loss.ended[change.durability] += 1
    for durability in DURABILITIES:
        if loss.ended[durability] < FEW:
            loss.broken.append(f"only {loss.ended[durability]} keys were destroyed under {durability}: too few to tell")


def judge_clients(loss: Loss, used: list[Used], gone_at: float, promoted_at: float) -> None:
    """Judge whether the clients go on by themselves, and the time that it took.

    Args:
        loss: takes what is found.
        used: by the clients that were there before.
        gone_at: when the last process of the sites was killed.
        promoted_at: when the command had ended.
    """
    again: dict[int, float] = {}
    for use in used:
        if use.sent > gone_at and not use.status:
            again[use.client] = min(use.at, again.get(use.client, use.at))
        if use.sent > promoted_at and use.status:
            loss.failed_after += 1
    loss.pause_s = max(again.values(), default=gone_at) - gone_at
    if missing := {use.client for use in used} - again.keys():
        loss.broken.append(f"{len(missing)} clients did not go on")
    if loss.failed_after:
        loss.broken.append(f"{loss.failed_after} requests failed after the promotion")
    if loss.process_s > RTO_S:
        loss.broken.append(f"the command took {loss.process_s:.1f} s, more than {RTO_S:g} s")
