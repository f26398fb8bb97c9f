"""What `hsmctl doctor` looks for, one module a kind of fault, each a function from what was seen to findings.

`examining` asks and reads, check by check; `certificates`, `clocks`, `agreement`, `rotation` and `told` judge and do no
I/O but for the certificates' files; `reachability` finds out why a proxy does not answer, `software` which versions
run; `host` looks at a daemon's own files, and with `listening` at its ports. A `finding` says what is wrong and what to
do; `page` shows them; nothing here mends anything.
"""
