"""Published fee schedules of brokers and exchanges, as `Costs`.

A schedule is what one page said at one time: brokers change theirs, and regulators change fees about once a
year. A preset holds no spread and no slippage, which are the market's: add them with `dataclasses.replace`.

Sources, and when their figures held:

- Interactive Brokers, "Commissions: Stocks, ETFs, Warrants and Structured Products", United States table
  (interactivebrokers.co.uk/en/pricing/commissions-stocks.php), the version with the regulatory fees that were
  in force until 13 May 2025.
- SEC Section 31: 27.80 per million of sales until 13 May 2025, 0.00 from 14 May 2025 (order 34-102779 of
  8 April 2025) for the rest of that fiscal year; set anew about once a year. The presets take the former, since
  a rate of zero would hide a cost that is there in most years.
- FINRA trading activity fee: 0.000166 a share sold, at most 8.30 a trade, as commonly published for 2024
  and 2025 (FINRA By-Laws, Schedule A, section 1, has the present one).
- Kraken Pro, spot, lowest tier of 30-day volume: maker 0.25 %, taker 0.40 %, as commonly published in 2025 and
  2026 of kraken.com/features/fee-schedule; until 2023 it was 0.16 % and 0.26 %. Check your own tier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine.costs import Costs
from engine.settings import listed, shown

SEC_FEE_RATE = 27.80 / 1_000_000.0
TAF_PER_SHARE = 0.000166
TAF_MAX = 8.30
_US_STOCKS = Costs(sell_fee_rate=SEC_FEE_RATE, sell_fee_per_share=TAF_PER_SHARE, sell_fee_max=TAF_MAX)


def interactive_brokers_fixed() -> Costs:
    """Return the fixed plan for US stocks: 0.005 a share, at least 1.00 and at most 1 % of the value an order.

    The maximum beats the minimum (1,000 shares at 0.25 pay 2.50). Regulators' fees on sales come on top, for
    2024 to May 2025 (see the module); the consolidated audit trail's, under 0.0001 a share, is left out.
    """
    return replace(_US_STOCKS, commission_per_share=0.005, commission_min=1.0, commission_max_rate=0.01)


def interactive_brokers_tiered() -> Costs:
    """Return the tiered plan for US stocks: 0.0035 a share, less from 300,000 shares a month on.

    At least 0.35 and at most 1 % of the value an order; 0.0020, 0.0015, 0.0010 and 0.0005 a share beyond 300,000,
    3, 20 and 100 million. Regulators' fees on sales come on top, for 2024 to May 2025 (see the module). What
    exchanges charge (taking liquidity, about 0.003 a share) or pay, clearing (0.0002 a share) and pass-through
    fees depend on the route and are left out.
    """
    tiers = ((0.0, 0.0035), (300_000.0, 0.0020), (3e6, 0.0015), (20e6, 0.0010), (100e6, 0.0005))
    return replace(_US_STOCKS, commission_tiers=tiers, commission_min=0.35, commission_max_rate=0.01)


def zero_commission() -> Costs:
    """Return a US broker without commission: regulators' fees on sales only, for 2024 to May 2025.

    What such brokers earn from the routing of orders shows in the fill prices: give a spread.
    """
    return _US_STOCKS


def crypto_taker() -> Costs:
    """Return Kraken Pro's taker fee for spot, 0.40 % of the value at the lowest tier: market and stop orders."""
    return Costs(commission_bps=40.0)


def crypto_maker() -> Costs:
    """Return Kraken Pro's maker fee for spot, 0.25 % of the value at the lowest tier: limit orders that rest."""
    return Costs(commission_bps=25.0)


PRESETS: dict[str, Callable[[], Costs]] = {
    "crypto_maker": crypto_maker,
    "crypto_taker": crypto_taker,
    "interactive_brokers_fixed": interactive_brokers_fixed,
    "interactive_brokers_tiered": interactive_brokers_tiered,
    "zero_commission": zero_commission,
}


def preset(name: str) -> Costs:
    """Return the costs of a preset by name; raises `InputError` with the nearest right one."""
    return PRESETS[listed(f"there is no preset {shown(name)} of costs", name, PRESETS)]()
