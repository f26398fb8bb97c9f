"""The numbers of /metrics: each is read from the part that knows it, when somebody asks."""

from collections.abc import Callable
from typing import Final

from hsm_daemon import hardening
from hsm_node.core.node_states import STATES
from hsm_node.core.unsealing import Unsealing
from hsm_node.keystore import Keystore
from hsm_node.metrics import Gauge, Labels
from hsm_node.net.acceptor import Acceptor
from hsm_node.recovery_gauges import recovery_gauges, recovery_labels
from hsm_node.service.use_meter import UseMeter

OPERATIONAL_STATES: Final = ("up", "stale", "lacking", "down", "sealed", "locked", "standby", "fenced")
"""What a node says of itself in PONG."""


def state_labels(state: str) -> Labels:
    """Return the family of the operational state."""
    values = {name: float(name == state) for name in OPERATIONAL_STATES}
    return Labels("state", "1 for the operational state.", "state", values)


def configuration_labels(configuration_hash: str) -> Labels:
    """Return the family that tells by which cluster.toml the node runs."""
    return Labels("configuration_info", "The cluster configuration in use.", "hash", {configuration_hash: 1.0})


def shell_gauges(
    validity: Callable[[], tuple[int, int] | None],
    store_validity: Callable[[], tuple[int, int] | None],
    reload_successful: Callable[[], bool],
    sealed: Callable[[], bool],
) -> list[Gauge]:
    """Return what the application itself knows.

    Args:
        validity: begin and end of the node's certificate; None without TLS, as it is at the start.
        store_validity: of the one that it shows to the store's members; None without.
        reload_successful: whether the last reload was.
        sealed: whether the node waits for its master key.
    """
    return [
        *_validity_gauges("certificate", "this node's certificate", validity),
        *_validity_gauges("store_certificate", "what this node shows to the store's members", store_validity),
        Gauge(
            "configuration_last_reload_successful",
            "0 after a SIGHUP with a configuration that was refused.",
            lambda: int(reload_successful()),
        ),
        Gauge("sealed", "1 while the node waits for its master key.", lambda: int(sealed())),
    ]


def _validity_gauges(name: str, what: str, validity: Callable[[], tuple[int, int] | None]) -> list[Gauge]:
    if validity() is None:
        return []
    return [
        Gauge(f"{name}_not_before_seconds", f"When {what} begins, since 1970.", lambda: (validity() or (0, 0))[0]),
        Gauge(f"{name}_not_after_seconds", f"When {what} expires, since 1970.", lambda: (validity() or (0, 0))[1]),
    ]


def acceptor_gauges(acceptor: Acceptor) -> list[Gauge]:
    """Return what the connections, the loop and the process tell."""
    return [
        Gauge("last_stall_seconds", "For how long the loop stood still the last time.", lambda: acceptor.last_stall_s),
        Gauge("stale_answers", "Answers marked stale.", lambda: acceptor.stale_answers, counts=True),
        Gauge("links", "Connections of proxies.", lambda: acceptor.proxies),
        Gauge("stalls", "Times that the loop stood still.", lambda: acceptor.stalls, counts=True),
        Gauge("memory_locked", "1 where no page gets into swap.", lambda: int(hardening.memory_is_locked())),
    ]


def unsealing_gauges(unsealing: Unsealing | None) -> list[Gauge]:
    """Return what is told of shares; nothing where the master key never comes as shares."""
    if unsealing is None:
        return []
    return [
        Gauge("unseal_shares_given", "Shares of the master key that are kept.", lambda: unsealing.given),
        Gauge("unseal_shares_needed", "Shares that their set takes, 0 before the first.", lambda: unsealing.needed),
        Gauge("unseal_shares_refused", "Shares that were not taken.", lambda: unsealing.refused, counts=True),
        Gauge("unseal_failures", "Sets that did not open the store.", lambda: unsealing.failed, counts=True),
    ]


def _meter_gauges(meter: UseMeter) -> list[Gauge]:
    """Return what is told of limits of keys."""
    encryptions, paddings = meter.encryptions, meter.paddings
    return [
        Gauge("uses_waiting", "Uses that wait until the store has counted them.", lambda: meter.waiting),
        Gauge("uses_counted", "Uses counted in the store, for max_uses.", lambda: meter.counter.counted, counts=True),
        Gauge("max_uses_refusals", "Uses of keys that had made all.", lambda: meter.counter.refused, counts=True),
        Gauge("gcm_leases", "Blocks of AES-GCM encryptions taken.", lambda: encryptions.taken, counts=True),
        Gauge("gcm_refusals", "AES-GCM encryptions above 2^32 of a key.", lambda: encryptions.refused, counts=True),
        Gauge("cbc_padding_refusals", "CBC padding above a key's rate.", lambda: paddings.refused, counts=True),
    ]


def _store_gauges(k: Keystore) -> list[Gauge]:
    """Return what is told of the store and of what its records are sealed under."""
    return [
        Gauge("store_revision", "Revision of the store that is applied.", lambda: k.follower.applied_revision),
        Gauge("store_current", "1 while the store can be read.", lambda: int(k.follower.current)),
        Gauge("store_contact_age_seconds", "Since the last contact with the store.", lambda: k.follower.contact_age),
        Gauge(
            "store_statements_refused",
            "What nodes seemed to tell each other in the store, and no node had written.",
            lambda: k.store.refused_statements,
            counts=True,
        ),
        Gauge("changes_waiting", "Requests that wait for other nodes or the DR site.", lambda: k.confirmations.waiting),
        Gauge(
            "changes_confirmed", "Changes that every node had in time.", lambda: k.confirmations.confirmed, counts=True
        ),
        Gauge(
            "changes_unconfirmed",
            "Changes that were answered with the names of nodes that may not have them.",
            lambda: k.confirmations.unconfirmed,
            counts=True,
        ),
        Gauge(
            "dr_confirmed",
            "Requests with durability dr whose writing the DR site had when they were answered.",
            lambda: k.confirmations.copied,
            counts=True,
        ),
        Gauge(
            "dr_pending",
            "Requests with durability dr that were answered before the DR site had what was written.",
            lambda: k.confirmations.pending,
            counts=True,
        ),
        Gauge("ledger_rows", "Rows of the store that this node remembers.", lambda: len(k.follower.ledger)),
        Gauge(
            "ledger_write_failures",
            "Times that what was seen could not be written.",
            lambda: 0 if k.recorder is None else k.recorder.failures,
            counts=True,
        ),
        Gauge(
            "usage_write_failures",
            "Times that what partitions have used could not be written.",
            lambda: 0 if k.usage_recorder is None else k.usage_recorder.failures,
            counts=True,
        ),
        Gauge(
            "usage_rows_refused",
            "Counts told by proxies that cannot be: not believed.",
            lambda: k.tally.usage.claims.refused,
            counts=True,
        ),
        Gauge(
            "store_second_looks",
            "Times that the store was asked for what this node did not know.",
            lambda: k.second_looks.looks,
            counts=True,
        ),
        Gauge(
            "store_replaced",
            "Times that another or an older store was found in its place.",
            lambda: k.follower.replaced,
            counts=True,
        ),
        Gauge("master_key_version", "Of the master key that records are sealed under.", lambda: k.keyring.version),
        Gauge("records_old_master_key", "Records under another master key.", lambda: k.rewrapping.left),
        Gauge(
            "records_rewrapped",
            "Records that this node put under a new master key.",
            lambda: k.rewrapping.done,
            counts=True,
        ),
    ]


def _backup_gauges(k: Keystore) -> list[Gauge]:
    """Return what is told of backups that were verified on this node's host."""
    state = k.backups.state
    if state is None:
        return []
    return [
        Gauge(
            "backup_verified_seconds",
            "When a backup was last verified and good, since 1970.",
            lambda: state.last.verified,
        ),
        Gauge("backup_made_seconds", "When that backup was made, since 1970.", lambda: state.last.made),
        Gauge("backup_good", "0 while the last verification of a backup found a fault.", lambda: int(state.last.good)),
    ]


def keystore_gauges(k: Keystore, sessions: Callable[[], int], proxies: Callable[[], int]) -> list[Gauge]:
    """Return what keys, store and pools tell.

    Args:
        k: of a node that is not sealed.
        sessions: how many dear operations can run side by side.
        proxies: how many are connected.
    """
    return [
        Gauge("keys", "Keys that are not destroyed.", lambda: k.table.live),
        Gauge("objects", "Objects that are not destroyed.", lambda: k.objects.live),
        Gauge("object_bytes", "Memory of objects as it is counted for object_bytes.", lambda: k.objects.total_bytes),
        Gauge("keys_scheduled", "Keys whose destruction has a time.", lambda: k.destructions.scheduled),
        Gauge("scheduled_destructions", "Keys destroyed in time.", lambda: k.destructions.done, counts=True),
        *_meter_gauges(k.meter),
        Gauge("queue_depth", "Dear operations that wait for a session.", lambda: k.sessions.waiting),
        Gauge("sessions", "Dear operations that can run side by side.", sessions),
        Gauge(
            "window", "Requests that the node wants from each proxy at once.", lambda: k.window.advertised(proxies())
        ),
        Gauge(
            "service_seconds", "Moving mean of the time that requests are worked on.", lambda: k.window.mean_service_s
        ),
        Gauge("sessions_busy", "Sessions at work.", lambda: k.sessions.running),
        Gauge(
            "key_generations",
            "Key generations at work or waiting.",
            lambda: k.generation.running + k.generation.waiting,
        ),
        *_store_gauges(k),
        *_backup_gauges(k),
        *(recovery_gauges(k.drills) if k.role.recovers else ()),
        Gauge("checks", "Deep checks answered.", lambda: k.checks.served, counts=True),
        Gauge("expired", "Requests whose time ran out in a queue.", lambda: k.expired, counts=True),
        Gauge("internal_errors", "Requests that failed inside.", lambda: k.failures.internal, counts=True),
        Gauge("store_errors", "Changes that the store did not take.", lambda: k.failures.store, counts=True),
    ]


def keystore_labels(k: Keystore, node: str) -> list[Labels]:
    """Return the families by label of a node that is not sealed; `node`: its name."""
    state = k.administration.state_of(node)
    return [
        Labels(
            "administrative_state",
            "1 for what the operator wants of this node.",
            "state",
            {name: int(name == state) for name in STATES},
        ),
        Labels(
            "records_refused",
            "Records of the store that are not used, by what is wrong with them.",
            "reason",
            k.follower.refused_by_reason,
        ),
        *_change_labels(k),
        *_member_labels(k),
        *([recovery_labels(k.drills)] if k.role.recovers else ()),
    ]


def _change_labels(k: Keystore) -> list[Labels]:
    """Return what is told of what partitions write."""
    rate, names = k.change_rate, k.partition_names
    families = (
        ("", "What this node wrote for a partition's clients, one for each begun KiB of a row.", rate.paid),
        ("_refused", "Changes and counted uses refused by partition_changes_per_s.", rate.refused),
    )
    return [
        Labels(f"partition_changes{name}", text, "partition", {names[at]: counts[at] for at in names}, counts=True)
        for name, text, counts in families
    ]


def _member_labels(k: Keystore) -> list[Labels]:
    """Return what is told of a distributed store's members; nothing of a store that has none."""
    usable = {address: float(not wrong) for address, wrong in k.store.members.items()}
    what = "1 for each member of the store that this node could use now, whether it does or not."
    return [Labels("store_member_usable", what, "member", usable)] if usable else []
