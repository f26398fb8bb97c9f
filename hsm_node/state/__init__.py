"""What a node keeps on its own host, outside of the store: which store it used, and what it has seen of it."""
