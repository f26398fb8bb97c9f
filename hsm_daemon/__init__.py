"""What both daemons share and neither protocol nor crypto.

lifecycle   start, stop, signals, systemd     admin   read-only HTTP: metrics, health, status
tls         contexts, and who the peer is     logs    logfmt lines
tasks       named tasks that are kept         clock   the only place that asks for the time
errors      why a daemon cannot start         exit_codes

What it does not do: it knows nothing of frames, keys or nodes.
"""
