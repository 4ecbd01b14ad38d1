"""Which features of which months are as stored: a key names what a feature is and all it was computed from.

The key of a feature in a month is the hash of its definition (`strategies.features.definition`), of the code that cuts
out the month, of the data files of the month and its warm-up, and of what listings tell of those days; of filings, of
what was known of them by the month's end. Keys lie in the commit that wrote the month's rows. So a feature whose key is
the stored one is read, not computed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assets.code_versions import code_version
from assets.feature_filings import Filings
from assets.feature_months import FEATURES, KEYS, WARM_UP_MONTHS, months_before
from lakehouse.sources.catalogue import BARS, FUNDAMENTALS

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.lake import Lake
    from lakehouse.records import Commit

CONTEXT = "feature_keys"
CONFIRMED = "feature_files"
_LENGTH = 32  # hex digits: a commit of ten years holds thousands of keys

Contents = Mapping[str, Mapping[str | None, Sequence[str]]]
"""Names of data files by table and partition; see `Lake.contents`."""


@dataclass(frozen=True)
class Plan:
    """What a materialization has to do.

    keys : by month and feature, of what the rows will hold
    stored : rows of features/daily of the months that have some worth reading
    missing : features to be computed, by month; months without any are absent
    """

    keys: Mapping[str, Mapping[str, str]]
    stored: Mapping[str, pa.Table]
    missing: Mapping[str, Sequence[str]]

    @property
    def n_computed(self) -> int:
        """How many features of months have to be computed."""
        return sum(map(len, self.missing.values()))

    @property
    def n_reused(self) -> int:
        """How many features of months are as stored."""
        return sum(map(len, self.keys.values())) - self.n_computed

    @property
    def computed_names(self) -> list[str]:
        """The features that have to be computed in some month, in the registry's order."""
        from strategies import features

        wanted = {name for names in self.missing.values() for name in names}
        return [name for name in features.FEATURES if name in wanted]


def plan(lake: Lake, months: Sequence[str], contents: Contents, filings: Filings) -> Plan:
    """Return what is to be computed for the months, and what is as stored; a month without bars has no features.

    Parameters
    ----------
    contents : of the tables of prices, at the versions that will be read
    """
    with_bars = [month for month in months if month in contents[BARS]]
    keys = feature_keys(with_bars, contents, filings)
    known = stored_keys(lake, with_bars)
    missing = {
        month: [name for name, key in own.items() if known.get(month, {}).get(name) != key]
        for month, own in keys.items()
    }
    # A month of which nothing is as before is not worth reading.
    read = [month for month in with_bars if len(missing[month]) < len(keys[month])]
    rows = lake.scan(FEATURES, where=[("month", "in", read)]) if read else None
    stored = {} if rows is None else {month: _of_month(rows, month) for month in read}
    return Plan(keys, stored, {month: names for month, names in missing.items() if names})


def feature_keys(months: Iterable[str], contents: Contents, filings: Filings) -> dict[str, dict[str, str]]:
    """Return the key of each feature by month."""
    from strategies import features
    from strategies.features.definition import definition_hash

    own = code_version("assets/feature_months.py", "lakehouse/market_assets.py")
    # Figures are made before a window sees them, so by code that no definition names.
    of_filings = code_version(
        "assets/feature_filings.py",
        "lakehouse/companies.py",
        "strategies/features/filed.py",
        "strategies/features/trailing.py",
    )
    definitions = {name: definition_hash(feature) for name, feature in features.FEATURES.items()}
    keys: dict[str, dict[str, str]] = {}
    for month in months:
        reach = [months_before(month, n) for n in range(WARM_UP_MONTHS, -1, -1)]
        files = {table: [list(found.get(part, ())) for part in reach] for table, found in sorted(contents.items())}
        prices = _hash(own, files, filings.listed_hash(reach[0], month))
        filed = _hash(of_filings, filings.known_hash(month))
        keys[month] = {
            name: _hash(definitions[name], prices, filed if FUNDAMENTALS in feature.reads else "")
            for name, feature in features.FEATURES.items()
        }
    return keys


def stored_keys(lake: Lake, months: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the keys of the months' stored rows, by month and feature.

    They are looked for by the name of the month's file, in the commit that wrote or confirmed it last: rows that came
    otherwise, also by another tool, have none.
    """
    if not lake.exists(FEATURES):
        return {}
    present = lake.contents(FEATURES)
    wanted = {month: set(present[month]) for month in months if month in present}
    found: dict[str, dict[str, str]] = {}
    for entry in lake.history(FEATURES):
        if not wanted:
            break
        context = entry["context"]
        names = {path.rpartition("/")[2] for path in (*entry["files"], *context.get(CONFIRMED, ()))}
        for month in [month for month, files in wanted.items() if files <= names]:
            del wanted[month]
            found[month] = context.get(CONTEXT, {}).get(month, {})
    return found


def confirm(lake: Lake, plan: Plan, commit: Commit, *, batch_id: str, context: Mapping[str, Any]) -> Commit:
    """Keep the keys of months that were computed anew and came out as they were, and return the last commit.

    Without them they would be computed again and again.

    Parameters
    ----------
    commit : of the rows, which are written by now
    """
    known = stored_keys(lake, plan.missing)
    keys = {month: plan.keys[month] for month in plan.missing if known.get(month) != plan.keys[month]}
    present = lake.contents(FEATURES)
    files = sorted(name for month in keys for name in present.get(month, ()))
    if not files:
        return commit
    kept = {**context, CONTEXT: keys, CONFIRMED: files}
    version = lake.annotate(FEATURES, batch_id=f"confirm {batch_id}", context=kept).version
    return replace(commit, version=version)


def assemble(plan: Plan, computed: Mapping[str, pa.Table]) -> pa.Table:
    """Return the rows of all months: the columns computed now, and beside them the stored ones."""
    import pyarrow as pa

    from lakehouse.errors import CorruptTable
    from lakehouse.schemas import table_schema

    schema = table_schema(FEATURES).schema
    parts = []
    for month in sorted(plan.keys):
        stored, fresh = plan.stored.get(month), computed.get(month)
        if fresh is None:
            if stored is not None:
                parts.append(stored)
            continue
        if stored is not None:
            if not fresh.select(KEYS).equals(stored.select(KEYS).cast(fresh.select(KEYS).schema)):
                raise CorruptTable(
                    f"{FEATURES} of {month} does not have the rows its keys were made of; delete the table's folder "
                    "and materialize it again"
                )
            for name in plan.keys[month]:
                if name not in plan.missing[month]:
                    fresh = fresh.append_column(name, stored.column(name))
        parts.append(fresh.select(schema.names).cast(schema))
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _of_month(rows: pa.Table, month: str) -> pa.Table:
    import pyarrow.compute as pc

    return rows.filter(pc.equal(rows.column("month"), month))


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_LENGTH]
