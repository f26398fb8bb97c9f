"""What `hsmctl doctor` looks for, one module a kind of fault, each a function from what was seen to findings.

`looked_at` asks and reads; `certificates`, `clocks`, `agreement` and `rotation` judge and do no I/O but for the
certificates' files; `reachability` finds out why a proxy does not answer; `host` looks at a daemon's own files and
ports. A finding says what is wrong and what to do; nothing here mends anything.
"""
