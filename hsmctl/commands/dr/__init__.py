"""hsmctl dr: the DR site. `group` has the commands, one module each; `asking` says whom they ask."""
