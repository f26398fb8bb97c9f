"""What both daemons share, and what is neither protocol nor crypto.

exit_codes  what the process ends with          errors     why a daemon cannot start
lifecycle   event loop, signals                 tasks      the only way to start a task
service_manager  what systemd is told, and its watchdog
handover    listeners inherited; hot restart    listening  listeners made, or taken over
accepting   connections, at a bounded pace      pace       the token bucket under it
tls         contexts, and who is at the other end
tls_opening  connections with TLS of our own: tls_transport over tls_session; layered_transport and read_buffer
            are parts of it, handshake knows what to say of a failed one
logs        lines on standard error             log_limit  lines that peers can cause at will
log_format  logfmt or JSON                      log_settings  the table [log]
clock       the only place that asks for time   stall      did the event loop stand still?
release     which version of this software runs
admin       the small HTTP server for metrics and state; http_head reads what it is asked
metrics     the page /metrics, and what a process tells of itself
hardening   keys stay in this memory            memory     what is free goes back to the system
silence     who connects and says nothing       ending     a process whose threads hang
reaping     the end of a process that was started

What this package does not do: it knows no frame, no key and no node.
"""
