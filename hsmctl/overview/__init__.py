"""The cluster as `status`, `top` and `events` show it.

`observer` asks the proxies again and again; `merging` makes one view of what they say; `figures` writes numbers;
`header`, `package`, `nodes`, `paths` and `events` each make a part of a page from a view, with neither I/O nor clock.
"""
