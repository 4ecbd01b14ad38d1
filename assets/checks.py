"""Checks of the stored tables: those their schemas imply, and the market's own. A failed blocking check stops what
reads the table."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from assets.core import ACTIONS, BARS, UNIVERSE
from assets.features import FEATURES
from assets.metadata import picture_metadata, sample_table
from assets.resources import LakeResource, VendorsResource

if TYPE_CHECKING:
    from lakehouse.checks import CheckOutcome

BARS_KEY = dg.AssetKey(BARS.split("/"))
BLOCKING = {
    "keys_unique": "No symbol has two bars of one session.",
    "positive_prices": "Every price is finite and above zero.",
    "ohlc_order": "No bar's open or close lies outside its high and low.",
    "sessions_on_calendar": "Every bar is of a session of the exchange.",
}
WARNING = {
    "calendar_gaps": "Sessions missing between a symbol's first and last bar.",
    "unexplained_jumps": "Moves so large that a split nobody announced is more likely than a market.",
    "one_source_a_symbol": "Symbols whose history mixes sources.",
}


@dg.multi_asset_check(
    name="daily_bars_checks",
    specs=[
        *(dg.AssetCheckSpec(name, asset=BARS_KEY, blocking=True, description=text) for name, text in BLOCKING.items()),
        *(dg.AssetCheckSpec(name, asset=BARS_KEY, description=text) for name, text in WARNING.items()),
    ],
)
def daily_bars_checks(lake: LakeResource, vendors: VendorsResource) -> Iterator[dg.AssetCheckResult]:
    """Check all stored bars against the calendar, the actions and common sense."""
    from lakehouse.checks import check_bars
    from lakehouse.source_checks import one_source_a_symbol

    opened = lake.open()
    pins = opened.pins([BARS, ACTIONS])
    bars, actions = (opened.scan(table, version=version) for table, version in pins.items())
    for outcome in (*check_bars(bars, actions, exchange=vendors.exchange), one_source_a_symbol(bars)):
        yield _result(outcome, BARS_KEY, severity_of(outcome))


@dg.asset_check(
    asset=BARS_KEY,
    name="stale_symbols",
    additional_deps=[dg.AssetKey(ACTIONS.split("/"))],
    description="Symbols whose bars stopped, and of which no delisting is known.",
    required_resource_keys={"duckdb"},
)
def stale_symbols_check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Ask the tables, in SQL, which symbols fell behind."""
    from lakehouse.stale import stale_symbols

    with context.resources.duckdb.get_connection() as connection:
        outcome = stale_symbols(connection)
    return _result(outcome, BARS_KEY, dg.AssetCheckSeverity.WARN)


@dg.asset_check(
    asset=dg.AssetKey(ACTIONS.split("/")),
    name="sources_agree",
    additional_deps=[BARS_KEY],
    description="Splits and dividends that one source in force tells otherwise than another.",
)
def sources_agree_check(lake: LakeResource, vendors: VendorsResource) -> dg.AssetCheckResult:
    """Compare what the answers of all sources say, whichever of them supplies the symbol."""
    from assets.action_sources import compare_sources

    outcome = compare_sources(lake.open(), vendors)
    return _result(outcome, dg.AssetKey(ACTIONS.split("/")), dg.AssetCheckSeverity.WARN)


def severity_of(outcome: "CheckOutcome") -> dg.AssetCheckSeverity:
    """Return ERROR for what must stop a run, WARN for what a market can really do."""
    return dg.AssetCheckSeverity.ERROR if outcome.name in BLOCKING else dg.AssetCheckSeverity.WARN


def schema_check(table: str) -> dg.AssetChecksDefinition:
    """Return the blocking check that a table's stored rows are as its schema declares: types, key, nulls."""

    @dg.asset_check(
        asset=dg.AssetKey(table.split("/")),
        name="schema",
        blocking=True,
        description="Columns and types are as declared, the key is unique, and only nullable columns hold nulls.",
    )
    def check(lake: LakeResource) -> dg.AssetCheckResult:
        from lakehouse.checks import schema_holds

        opened = lake.open()
        return _result(schema_holds(opened.scan(table), table), dg.AssetKey(table.split("/")))

    return check


def _result(
    outcome: "CheckOutcome",
    key: dg.AssetKey,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    from assets.check_pictures import picture

    metadata: dict[str, dg.MetadataValue | int] = {
        "failed_rows": outcome.n_failed,
        **picture_metadata(picture(outcome), outcome.description),
    }
    if outcome.sample:
        metadata["sample"] = sample_table(outcome.sample)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=outcome.name,
        passed=outcome.passed,
        severity=severity,
        description=outcome.description,
        metadata=metadata,
    )


CHECKS = [
    daily_bars_checks,
    stale_symbols_check,
    sources_agree_check,
    *(schema_check(table) for table in (BARS, ACTIONS, UNIVERSE, FEATURES)),
]
