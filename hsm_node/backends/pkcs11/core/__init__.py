"""What the back end decides: no module, no process, no clock, no chance."""
