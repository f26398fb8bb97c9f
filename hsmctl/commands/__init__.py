"""The commands, one module a group. Each asks the library, prints the result and nothing else."""
