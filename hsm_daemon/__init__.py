"""What both daemons share, and what is neither protocol nor crypto.

exit_codes  what the process ends with          errors     why a daemon cannot start
lifecycle   event loop, signals, systemd        tasks      the only way to start a task
handover    listeners inherited; hot restart    listening  listeners made, or taken over
accepting   connections, at a bounded pace      pace       the token bucket under it
tls         contexts, and who is at the other end
handshake   a failed one, told to the peer and the log
logs        logfmt on standard error            log_limit  lines that peers can cause at will
clock       the only place that asks for time   stall      did the event loop stand still?
admin       the small HTTP server for metrics and state

What this package does not do: it knows no frame, no key and no node.
"""
