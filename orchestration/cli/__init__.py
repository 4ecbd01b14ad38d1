"""The command line. `quantlake --help` lists the commands.

Exit codes: 0 done; 1 the answer is no (a replay differs, verify found damage); 2 wrong usage or unusable input;
3 an error of quantlake itself; 130 interrupted.
"""

from __future__ import annotations

from orchestration.cli.app import main

__all__ = ["main"]
