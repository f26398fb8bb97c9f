"""One handler an operation; the table that finds it."""
