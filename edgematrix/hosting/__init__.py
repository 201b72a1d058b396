"""Many hosts as pure machines and data: what a host can carry, who runs what, revisions of a definition, leases."""
