"""The tables of results; see `lakehouse.schemas`."""

from __future__ import annotations

from lakehouse.table_schema import Column, TableSchema

_RUN_ID = Column("run_id", "string", "the run; see research/runs")
_SPEC = Column("spec", "string", "name of the strategy spec; the partition")
_PARAMETERS = Column("parameters", "string", "the strategy's parameters", "JSON object")

_SYMBOL = Column("symbol", "string", "ticker as the source writes it")

_RUNS = TableSchema(
    "research/runs",
    "One row a run, with all it takes to replay it: data versions, code, parameters, seed and environment.",
    (
        Column("run_id", "string", "the run; the same id in MLflow"),
        _SPEC,
        Column("kind", "string", "backtest, sweep, walk_forward or window (one of a walk-forward's)"),
        Column("parent_run_id", "string", "the walk-forward a window belongs to", nullable=True),
        Column("test_window", "string", "which window of it", nullable=True),
        Column("run_key", "string", "what the run is a run of: equal for a run and its replays"),
        Column("strategy", "string", "registered name of the strategy"),
        Column("spec_hash", "string", "sha256 of the spec", "hex"),
        Column("spec_yaml", "string", "the spec as run", "YAML"),
        _PARAMETERS,
        Column("pins", "string", "version of every table read", "JSON object, -1: never written"),
        Column("seed", "int64", "seed of every random choice"),
        Column("engine_hash", "string", "hash of the engine's source", "hex"),
        Column("strategy_hash", "string", "hash of the strategy's source", "hex"),
        Column("lock_hash", "string", "hash of the locked dependencies", "hex"),
        Column("python_version", "string", "interpreter version"),
        Column("result_hash", "string", "hash of records, equity and positions", "hex"),
        Column("created_at", "timestamp", "when the run was recorded"),
        Column("first_bar_end", "timestamp", "end of the first bar", nullable=True),
        Column("last_bar_end", "timestamp", "end of the last bar", nullable=True),
        Column("n_bars", "int64", "bars simulated"),
        Column("n_assets", "int64", "assets simulated"),
        Column("n_trials", "int64", "trials behind the result, this one included"),
        Column("sharpe", "float64", "annual Sharpe ratio, arithmetic, ddof 1", nullable=True),
        Column("sharpe_error", "float64", "standard error of the annual Sharpe ratio", nullable=True),
        Column("deflated_sharpe", "float64", "deflated Sharpe ratio", "probability", nullable=True),
        Column("max_drawdown", "float64", "deepest drawdown, <= 0", "rate", nullable=True),
        Column("metrics", "string", "every metric; undefined ones are null", "JSON object"),
        Column("mlflow_experiment", "string", "MLflow experiment", nullable=True),
        Column("dagster_run_id", "string", "Dagster run that made it", nullable=True),
    ),
    key=("run_id",),
    partition_by="spec",
)

_EQUITY = TableSchema(
    "research/equity",
    "Equity at every bar's end of a run.",
    (
        _RUN_ID,
        _SPEC,
        Column("bar_end", "timestamp", "end of the bar"),
        Column("equity", "float64", "cash and positions at their marks", "currency"),
        Column("cash", "float64", "cash", "currency"),
        Column("period_return", "float64", "return of the bar; the first against the initial cash", "rate"),
        Column("drawdown", "float64", "equity against its running peak, <= 0", "rate"),
    ),
    key=("run_id", "bar_end"),
    partition_by="spec",
)

_FILLS = TableSchema(
    "research/fills",
    "Every execution of a run.",
    (
        _RUN_ID,
        _SPEC,
        Column("fill", "int64", "number of the fill in the run, from 0"),
        Column("bar_end", "timestamp", "end of the bar it happened in"),
        _SYMBOL,
        Column("kind", "string", "target, order kind, stop_loss, liquidation, delisting, ...", nullable=True),
        Column("quantity", "float64", "units, negative: sold", "shares"),
        Column("price", "float64", "price with spread, slippage and impact", "currency per share"),
        Column("commission", "float64", "fee paid", "currency"),
        Column("fees", "float64", "regulatory fees paid", "currency", nullable=True),
        Column("spread_cost", "float64", "half spread paid", "currency"),
        Column("slippage_cost", "float64", "slippage paid", "currency"),
        Column("impact_cost", "float64", "market impact paid", "currency", nullable=True),
    ),
    key=("run_id", "fill"),
    partition_by="spec",
)

_TRADES = TableSchema(
    "research/trades",
    "Round trips of a run, derived from its fills, first in first out.",
    (
        _RUN_ID,
        _SPEC,
        Column("trade", "int64", "number of the trade in the run, from 0"),
        _SYMBOL,
        Column("quantity", "float64", "units, negative: short", "shares"),
        Column("entry_bar_end", "timestamp", "end of the bar it was opened in"),
        Column("entry_price", "float64", "price it was opened at", "currency per share"),
        Column("exit_bar_end", "timestamp", "end of the bar it was closed in; null: open", nullable=True),
        Column("exit_price", "float64", "price it was closed at; null: open", "currency per share", nullable=True),
        Column("pnl", "float64", "profit after costs; of an open trade at the last mark", "currency"),
        Column("cost", "float64", "all costs of both sides", "currency"),
        Column("mae", "float64", "worst open profit while it was held, <= 0", "currency", nullable=True),
        Column("mfe", "float64", "best open profit while it was held, >= 0", "currency", nullable=True),
        Column("entry_kind", "string", "kind of the fill that opened it", nullable=True),
        Column("exit_kind", "string", "kind of the fill that closed it, or open", nullable=True),
        Column("is_open", "bool", "not closed at the last bar"),
    ),
    key=("run_id", "trade"),
    partition_by="spec",
)

_TRIALS = TableSchema(
    "research/trials",
    "Every point of every search, the bad ones too: what honest statistics count.",
    (
        _RUN_ID,
        _SPEC,
        Column("study", "string", "the search, such as sweep, or the walk-forward window"),
        Column("trial", "int64", "number of the trial in the study, from 0"),
        _PARAMETERS,
        Column("state", "string", "complete, pruned or failed"),
        Column("sharpe_per_bar", "float64", "Sharpe ratio of one bar, not annualised", nullable=True),
        Column("total_return", "float64", "return over all bars", "rate", nullable=True),
        Column("max_drawdown", "float64", "deepest drawdown, <= 0", "rate", nullable=True),
        Column("n_trades", "int64", "trades", nullable=True),
        Column("metrics", "string", "further metrics", "JSON object", nullable=True),
    ),
    key=("run_id", "study", "trial"),
    partition_by="spec",
)

_WINDOWS = TableSchema(
    "research/windows",
    "Walk-forward windows: chosen on the train bars, judged on the test bars. Ranges are [start, end).",
    (
        _RUN_ID,
        _SPEC,
        Column("test_window", "string", "name of the window, such as 2009"),
        Column("train_start", "timestamp", "end of the first train bar"),
        Column("train_end", "timestamp", "end of the first bar after training"),
        Column("test_start", "timestamp", "end of the first test bar"),
        Column("test_end", "timestamp", "end of the first bar after testing; null: none", nullable=True),
        _PARAMETERS,
        Column("is_sharpe", "float64", "annual Sharpe ratio in the sample", nullable=True),
        Column("oos_sharpe", "float64", "annual Sharpe ratio out of the sample", nullable=True),
        Column("oos_return", "float64", "return out of the sample", "rate", nullable=True),
        Column("n_trials", "int64", "trials the parameters were chosen from"),
    ),
    key=("run_id", "test_window"),
    partition_by="spec",
)

RESEARCH_TABLES = (_RUNS, _EQUITY, _FILLS, _TRADES, _TRIALS, _WINDOWS)
