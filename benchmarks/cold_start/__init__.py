"""Whole programs, timed as processes: each makes 2,520 bars, runs W1 and prints the Sharpe ratio."""
