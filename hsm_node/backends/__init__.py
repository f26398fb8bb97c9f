"""Keys at work: what makes, loads and uses them."""
