"""Research on the lake: backtest, sweep, walk-forward, report, replay. Only `graph.py` knows Dagster."""
