"""`hsmctl top`: `controls` and `frame` decide what a key does and what is shown, `keyboard` and `live` do it."""
