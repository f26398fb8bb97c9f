"""Whether a node serves, and whether it may.

supervisor  has a `node_watch` for each node, of `path_health`, `silence`, `deep_check`, `progress`, `outliers` and
            `sanction`
agreement   whether the nodes' stores agree: `sightings`
"""
