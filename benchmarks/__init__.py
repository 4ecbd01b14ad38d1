"""Timings of quantlake beside tuned peers, in one process and on the same data; `python -m benchmarks` runs them.

What is measured and what is not is in docs/performance.md.
"""
