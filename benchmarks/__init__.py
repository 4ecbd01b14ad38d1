"""Timings of quantlake beside tuned peers, in one process and on the same data; `python -m benchmarks` runs them.

What is measured and what is not is in docs/performance.md.
"""

import os

# A peer draws a progress bar for each of its runs.
os.environ.setdefault("TQDM_DISABLE", "1")
