"""Research on the lake: backtest, sweep, walk-forward, report and replay, free of Dagster; `graph.py` has the assets."""
