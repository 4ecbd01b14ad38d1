"""`python -m orchestration.cli`: the same as the `quantlake` command."""

from orchestration.cli import main

main()
