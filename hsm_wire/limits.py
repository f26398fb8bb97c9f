"""Every number that bounds something on the wire, with its unit and its reason."""

from typing import Final

PROTOCOL_VERSION: Final = 1

HEADER_BYTES: Final = 32
LENGTH_FIELD_BYTES: Final = 4
MIN_LENGTH: Final = HEADER_BYTES - LENGTH_FIELD_BYTES
"""Smallest legal value of the length field: a frame without a body."""

DEFAULT_MAX_FRAME_BYTES: Final = 1 << 20
"""Largest value of the length field that an end takes unless configured otherwise: 1 MiB."""
HARD_MAX_FRAME_BYTES: Final = 16 << 20
"""Nobody may configure more: a frame is held in memory whole on every hop."""
GREETING_MAX_FRAME_BYTES: Final = 4096
"""Until WELCOME the peer has not agreed to anything: a stranger costs at most one page."""

DEFAULT_MAX_IN_FLIGHT: Final = 256
"""Requests in flight on one connection of a client."""
LINK_MAX_IN_FLIGHT: Final = 8192
"""Requests in flight on one connection between a proxy and a node, which carries many clients."""

REQUEST_ID_REUSE_DISTANCE: Final = 1 << 31
"""A sender counts its ids up and wraps at 2^32, so an id is not used again within 2^31 requests."""
CONNECTION_REQUEST_ID: Final = 0
"""Answers under this id speak of the connection, not of a request; requests start at 1."""

DEFAULT_TIMEOUT_MS: Final = 10_000
"""What a receiver assumes where the timeout field is 0."""
KEY_GENERATION_TIMEOUT_MS: Final = 60_000
"""The same for GENERATE_KEY: an RSA-8192 key takes tens of seconds."""
BACKUP_TIMEOUT_MS: Final = 50_000
"""The same for one part of a backup: a hundred keys are used or made for it, each over several sites."""
DRILL_TIMEOUT_MS: Final = 120_000
"""The same for DR_DRILL: it reads and authenticates every record, and 100,000 take seconds."""
MAX_TIMEOUT_MS: Final = 600_000
"""Longer times are taken as this: a request may not occupy a slot for ever."""

MAX_KEY_ID_BYTES: Final = 16
MAX_LABEL_CHARACTERS: Final = 128
MAX_NAME_CHARACTERS: Final = 256
"""Of a name, a reason or any other text of one sentence."""
MAX_NODES_OUT: Final = 64
"""Nodes that did not confirm a change, in one PONG or STATUS: more than a cluster has."""
MAX_STORE_MEMBERS: Final = 9
"""Members of a store that a node is told of, and tells of."""
MAX_RANDOM_BYTES: Final = 65_536
"""Bytes in one answer to RANDOM."""
MAX_FIND_LIMIT: Final = 256
"""Keys in one answer to FIND_KEYS; the caller pages on."""
MAX_EVENTS_LIMIT: Final = 500
"""Events in one answer to EVENTS: 128 KiB of sentences; proxies keep no more."""
DEFAULT_EVENTS_LIMIT: Final = 50
"""The same where the caller does not say."""
MAX_USAGE_ROWS: Final = 4096
"""Counts in one USAGE: 350 KB at most. There is more where more is known; it is asked for in turn."""
MAX_DETAIL_CHARACTERS: Final = 300
"""Text of a failed answer."""
MAX_ALLOWED_MECHANISMS: Final = 64
"""Entries in a key policy's list of mechanisms."""
MAX_DESTRUCTION_WAIT_S: Final = 3650 * 86_400
"""Ten years: a longer wait is a mistake, and would outlive the cluster."""
MAX_OBJECT_BYTES: Final = 65_536
"""Value of one object: nodes hold all of them in memory."""
MAX_SHARE_CHARACTERS: Final = 1024
"""One share of the master key, as words."""
