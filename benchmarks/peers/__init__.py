"""The peers' sides of the workloads: one module a package, imported only where a contender of it is prepared.

A peer executes a row at that row's own prices, so decisions are handed over one row later, to fill at its open.
"""
