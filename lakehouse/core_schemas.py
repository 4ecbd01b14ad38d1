"""The tables of `core`: what is known of markets and companies, one convention for every source."""

from __future__ import annotations

from lakehouse.table_schema import KNOWN_AT, MONTH, SNAPSHOT, SOURCE, SYMBOL, Column, TableSchema

QUARANTINE, RESTATEMENTS = "core/quarantine", "core/restatements"
MINUTE_QUARANTINE = "core/minute_quarantine"

_DAILY_BARS = TableSchema(
    "core/daily_bars",
    "Daily bars as traded: adjusted for neither splits nor dividends.",
    (
        SYMBOL,
        Column("session", "date", "trading day of the exchange"),
        Column("open", "float64", "first price", "currency per share"),
        Column("high", "float64", "highest price", "currency per share"),
        Column("low", "float64", "lowest price", "currency per share"),
        Column("close", "float64", "last price", "currency per share"),
        Column("volume", "float64", "units traded", "shares"),
        Column("bar_end", "timestamp", "the session's close, half days included; the bar is knowable from here"),
        KNOWN_AT,
        SOURCE,
        SNAPSHOT,
        MONTH,
    ),
    key=("symbol", "session"),
    partition_by="month",
    month_of="session",
    known="at the close of its session, half days included",
)

_MINUTE_BARS = TableSchema(
    "core/minute_bars",
    "Minute bars as traded, extended hours included; a minute without a trade has no row.",
    (
        SYMBOL,
        Column("bar_end", "timestamp", "end of the minute; the bar is knowable from here"),
        Column("open", "float64", "first price", "currency per share"),
        Column("high", "float64", "highest price", "currency per share"),
        Column("low", "float64", "lowest price", "currency per share"),
        Column("close", "float64", "last price", "currency per share"),
        Column("volume", "float64", "units traded", "shares"),
        KNOWN_AT,
        SOURCE,
        SNAPSHOT,
        MONTH,
    ),
    key=("symbol", "bar_end"),
    partition_by="month",
    month_of="bar_end",
    known="at the end of its minute",
)

_TRADES = TableSchema(
    "core/trades",
    "Trades as the consolidated tape published them, extended hours included.",
    (
        SYMBOL,
        Column("time", "timestamp", "when the tape published the trade, cut to microseconds"),
        Column("sequence", "int64", "number in the order of the symbol's session, with gaps"),
        Column("trade_id", "string", "the exchange's name of the trade; empty where it has none"),
        Column("price", "float64", "price", "currency per share"),
        Column("size", "float64", "units traded", "shares"),
        Column("exchange", "string", "where it traded, as the source codes it; empty where it does not say"),
        Column("conditions", "string", "the source's codes of sale conditions, separated by commas"),
        Column("correction", "int64", "the source's code of a correction or cancellation; 0 where there is none"),
        Column("tape", "string", "A, B or C, by the listing exchange; empty where the source does not say"),
        Column("facility", "string", "the source's code of the facility that reported it; empty on an exchange"),
        Column("made_at", "timestamp", "when the exchange made the trade, cut to microseconds", nullable=True),
        KNOWN_AT,
        SOURCE,
        SNAPSHOT,
        MONTH,
    ),
    key=("symbol", "time", "sequence", "trade_id"),
    partition_by="month",
    month_of="time",
    known="when the tape published it",
)

_QUOTES = TableSchema(
    "core/quotes",
    "Best bid and offer over all exchanges, a row for each change, extended hours included.",
    (
        SYMBOL,
        Column("time", "timestamp", "when the tape published the quote, cut to microseconds"),
        Column("sequence", "int64", "number in the order of the symbol's session, with gaps"),
        Column("bid_price", "float64", "best bid; null where nobody bids", "currency per share", nullable=True),
        Column("bid_size", "float64", "units wanted at the bid, counted as the source counts them"),
        Column("bid_exchange", "string", "where the bid is, as the source codes it; empty where it does not say"),
        Column("ask_price", "float64", "best offer; null where nobody offers", "currency per share", nullable=True),
        Column("ask_size", "float64", "units offered at the ask, counted as the source counts them"),
        Column("ask_exchange", "string", "where the offer is, as the source codes it; empty where it does not say"),
        Column("conditions", "string", "the source's codes of quote conditions, separated by commas"),
        Column("indicators", "string", "the source's codes of indicators, separated by commas"),
        Column("tape", "string", "A, B or C, by the listing exchange; empty where the source does not say"),
        Column("made_at", "timestamp", "when the exchange made the quote, cut to microseconds", nullable=True),
        KNOWN_AT,
        SOURCE,
        SNAPSHOT,
        MONTH,
    ),
    key=("symbol", "time", "sequence"),
    partition_by="month",
    month_of="time",
    known="when the tape published it",
)

_CORPORATE_ACTIONS = TableSchema(
    "core/corporate_actions",
    "Splits, cash dividends and delistings by ex-date.",
    (
        SYMBOL,
        Column("ex_date", "date", "first session that trades without the entitlement"),
        Column("kind", "string", "split, dividend or delisting"),
        Column("value", "float64", "split: new shares per old; dividend: currency per share; delisting: return"),
        Column("pay_date", "date", "when a dividend is paid", nullable=True),
        KNOWN_AT,
        SOURCE,
        SNAPSHOT,
        MONTH,
    ),
    key=("symbol", "ex_date", "kind"),
    partition_by="month",
    month_of="ex_date",
    known="at the open of its ex-date's session, since the sources do not say when it was announced",
)

_UNIVERSE = TableSchema(
    "core/universe",
    "Membership of universes in time, each row over [start, end).",
    (
        Column("universe", "string", "name of the universe"),
        SYMBOL,
        Column("start", "date", "first session as a member"),
        Column("end", "date", "first session no longer a member; null while a member", nullable=True),
        KNOWN_AT,
        SOURCE,
    ),
    key=("universe", "symbol", "start"),
    known="at its start: a membership that a file tells, with its first day; one made of bars, with the first bar",
)

_FUNDAMENTALS = TableSchema(
    "core/fundamentals",
    "Figures of companies as filed; a figure that a later filing restates is a row of its own.",
    (
        Column("cik", "int64", "the company's number with the SEC"),
        Column("taxonomy", "string", "us-gaap, dei, srt or ifrs-full"),
        Column("concept", "string", "name of the figure in the taxonomy"),
        Column("unit", "string", "unit of the value, such as USD or USD/shares"),
        Column("start", "date", "first day the figure is about; the end where it is about a moment"),
        Column("end", "date", "last day the figure is about"),
        Column("filed", "date", "day of the filing"),
        Column("value", "float64", "the figure", "unit"),
        Column("form", "string", "form of the filing, such as 10-K"),
        Column("accession", "string", "number of the filing"),
        Column("fiscal_year", "int64", "fiscal year of the filing, not of the figure", nullable=True),
        Column("fiscal_period", "string", "fiscal period of the filing, not of the figure", nullable=True),
        KNOWN_AT,
        SOURCE,
        SNAPSHOT,
    ),
    key=("cik", "taxonomy", "concept", "unit", "start", "end", "filed"),
    known="at the end of the filing's day in New York",
)

_SERIES = TableSchema(
    "core/series",
    "Any other series: sentiment, ratings, macro-economic figures. A revision is a row of its own, known later.",
    (
        Column("name", "string", "name of the series"),
        Column("symbol", "string", "symbol it is about; empty where it is about none"),
        Column("about", "date", "day the value is about"),
        KNOWN_AT,
        Column("value", "float64", "the value"),
        SOURCE,
        SNAPSHOT,
    ),
    key=("name", "symbol", "about", "known_at"),
    known="when the source says it was published",
)

_LISTINGS = TableSchema(
    "core/listings",
    "Which security a symbol meant when: a row for each symbol of a security, over [start, end).",
    (
        Column("security_id", "string", "permanent name of the security, never given to another"),
        SYMBOL,
        Column("name", "string", "name of the security or its company", nullable=True),
        Column("exchange", "string", "where it is listed, as the source writes it", nullable=True),
        Column("start", "date", "first day under the symbol, as far as is known"),
        Column("end", "date", "first day no longer under the symbol; null while it is", nullable=True),
        KNOWN_AT,
        Column("end_known_at", "timestamp", "when we could first have known the end", nullable=True),
        SOURCE,
    ),
    key=("security_id", "symbol", "start"),
    known="when the source first told it",
)

_QUARANTINE = TableSchema(
    QUARANTINE,
    "Daily bars as answered that are not in core/daily_bars, or there with a mended value, each with the reason.",
    (
        SOURCE,
        SNAPSHOT,
        SYMBOL,
        Column("session", "date", "day the answer gives the bar"),
        Column("reason", "string", "rule it breaks, such as ohlc_order; no_prices; or mended:..., which stays a bar"),
        Column("values", "string", "open, high, low, close and volume; what is not finite as text", "JSON object"),
        KNOWN_AT,
        MONTH,
    ),
    key=("source", "snapshot_id", "symbol", "session", "reason"),
    partition_by="month",
    month_of="session",
    known="when the answer that holds it came",
)

_MINUTE_QUARANTINE = TableSchema(
    MINUTE_QUARANTINE,
    "Minute bars as answered that are not in core/minute_bars, or there with a mended value, each with the reason.",
    (
        SOURCE,
        SNAPSHOT,
        SYMBOL,
        Column("bar_end", "timestamp", "end of the minute that the answer gives"),
        Column("reason", "string", "rule it breaks, such as ohlc_order; no_prices; or mended:..., which stays a bar"),
        Column("values", "string", "open, high, low, close and volume; what is not finite as text", "JSON object"),
        KNOWN_AT,
        MONTH,
    ),
    key=("source", "snapshot_id", "symbol", "bar_end", "reason"),
    partition_by="month",
    month_of="bar_end",
    known="when the answer that holds it came",
)

_RESTATEMENTS = TableSchema(
    RESTATEMENTS,
    "Stored history that changed: a row for each symbol whose stored rows a later write changed or took away.",
    (
        Column("table", "string", "the table, such as core/daily_bars"),
        Column("from_version", "int64", "its last version with the old rows"),
        Column("to_version", "int64", "its first version with the new ones"),
        SYMBOL,
        Column("rows_added", "int64", "rows of keys that were not there", "rows"),
        Column("rows_removed", "int64", "rows of keys no longer there", "rows"),
        Column("rows_changed", "int64", "rows of which a value changed", "rows"),
        Column("first_session", "date", "first session (or ex-date) changed or removed"),
        Column("last_session", "date", "last session (or ex-date) changed or removed"),
        Column("greatest_column", "string", "column of the greatest change; null: none changed", nullable=True),
        Column(
            "greatest_change",
            "float64",
            "the greatest of |new - old| / |old|; null: the change is no number, or from zero",
            "rate",
            nullable=True,
        ),
        Column("detected_at", "timestamp", "when the new rows were written"),
        Column("month", "string", "month of detected_at, as 2000-03; the partition"),
    ),
    key=("table", "from_version", "to_version", "symbol"),
    partition_by="month",
    month_of="detected_at",
)

CORE_TABLES = (
    _DAILY_BARS,
    _MINUTE_BARS,
    _TRADES,
    _QUOTES,
    _CORPORATE_ACTIONS,
    _UNIVERSE,
    _LISTINGS,
    _FUNDAMENTALS,
    _SERIES,
    _QUARANTINE,
    _MINUTE_QUARANTINE,
    _RESTATEMENTS,
)
