"""Every source in the graph: settings, keys, and answers that end up in their tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.settings import Settings, SettingsError, load_settings
from lakehouse.errors import SourceError
from lakehouse.sources import SOURCES, get_source
from lakehouse.sources.catalogue import CATALOGUE, entry_of
from orchestration.definitions import definitions_for
from orchestration.materialize import materialize
from tests.homes import Home, open_home

EVERY = tuple(
    source if at == 0 else f"{source}/{dataset}"
    for source, vendor in CATALOGUE.items()
    for at, dataset in enumerate(vendor.datasets)
)
MEMBERS = "ticker,start_date,end_date\nSYN00000,2023-01-03,\nSYN00001,2023-01-03,2024-02-01\n"
SERIES = "time,score\n2024-01-10T12:00:00Z,1.5\n2024-02-10T12:00:00Z,2.5\n"


def test_the_catalogue_tells_every_source_and_dataset_as_it_is() -> None:
    assert set(CATALOGUE) == set(SOURCES)
    for source, vendor in CATALOGUE.items():
        assert get_source(source).dataset == next(iter(vendor.datasets))
        for dataset in vendor.datasets:
            entry = entry_of(f"{source}/{dataset}")
            assert get_source(source, entry.options).dataset == dataset
        if vendor.has_option:
            with pytest.raises(SourceError) as error:
                get_source(source, {"dataset": "?"})
            assert "has no dataset" in str(error.value)


def test_the_graph_loads_with_every_source_and_each_has_its_key(tmp_path: Path) -> None:
    graph = definitions_for(Settings(home=tmp_path, sources=EVERY))
    dg.Definitions.validate_loadable(graph)
    keys = {key.to_user_string() for key in graph.resolve_asset_graph().get_all_asset_keys()}
    assert {f"raw/{name.replace('/', '_')}" for name in EVERY} <= keys
    tables = {"core/minute_bars", "core/trades", "core/quotes", "core/fundamentals", "core/series"}
    assert tables <= keys
    plain = definitions_for(Settings(home=tmp_path)).resolve_asset_graph().get_all_asset_keys()
    assert not tables & {key.to_user_string() for key in plain}


def test_a_table_hangs_on_the_entries_that_can_fill_it(tmp_path: Path) -> None:
    config = Settings(home=tmp_path, sources=("sample", "polygon", "polygon/splits", "polygon/minute", "edgar"))
    graph = definitions_for(config).resolve_asset_graph()

    def parents(table: str) -> set[str]:
        return {key.to_user_string() for key in graph.get(dg.AssetKey(table.split("/"))).parent_keys}

    assert parents("core/daily_bars") == {"raw/sample", "raw/polygon", "raw/polygon_splits"}
    assert parents("core/minute_bars") == {"raw/polygon_minute"}
    assert parents("core/fundamentals") == {"raw/edgar"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources: [polygon/split]", "has no dataset 'split'; did you mean 'splits'?"),
        ("sources: [polgon/splits]", "unknown source 'polgon'; did you mean 'polygon'?"),
        ("sources: [polygon, polygon/day]", "sources name 'polygon' twice, as 'polygon/day' too"),
        ("sources: [sample, sample]", "sources name 'sample' twice"),
        ("options: {edgr: {timeout: 1}}", "options name an unknown source 'edgr'; did you mean 'edgar'?"),
        ("options: {polygon: {api_key: HUSH}}", "option 'api_key' of source 'polygon' looks like a secret"),
        ("options: {alpaca: {secret: HUSH}}", "looks like a secret"),
        ("options: {alpaca: {accessToken: HUSH, password: HUSH}}", "looks like a secret"),
        ("options: {polygon: {dataset: day}}", "named in sources, as polygon/NAME"),
    ],
)
def test_a_wrong_entry_or_option_is_told(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quantlake.yaml").write_text(text + "\n")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert message in str(error.value) and "HUSH" not in str(error.value)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, dg.Definitions]]:
    """A home with two months of a small market, its members and a series, made by one run of Dagster's."""
    folder = tmp_path_factory.mktemp("vendors")
    (folder / "members.csv").write_text(MEMBERS)
    (folder / "series.csv").write_text(SERIES)
    config = Settings(
        home=folder / "home",
        sources=("synthetic", "synthetic/minute", "membership", "alternative"),
        options={
            "synthetic": {"n_symbols": 2, "begin": "2023-01-01", "delisting_rate": 0.0},
            "membership": {"path": str(folder / "members.csv")},
            "alternative": {
                "path": str(folder / "series.csv"),
                "columns": {"known_at": "time", "value": "score", "name": "=mood"},
            },
        },
    )
    for home in open_home(folder / "home"):
        graph = definitions_for(config)
        refresh(home, graph)
        yield home, graph


def refresh(home: Home, graph: dg.Definitions) -> None:
    keys = graph.resolve_asset_graph().get_all_asset_keys()
    chosen = [key.to_user_string() for key in keys if key.path[0] in ("raw", "core")]
    materialize(home.instance, chosen, definitions=graph, partition_range=("2024-01", "2024-02"))


def test_answers_end_up_in_their_tables(filled: tuple[Home, dg.Definitions]) -> None:
    lake = filled[0].lake
    bars = lake.scan("core/daily_bars").to_pandas()
    minutes = lake.scan("core/minute_bars").to_pandas()
    assert set(bars["month"]) == set(minutes["month"]) == {"2024-01", "2024-02"}
    assert set(minutes["source"]) == {"synthetic"}
    assert minutes["snapshot_id"].nunique() == 2 * bars["symbol"].nunique()  # a symbol's month is an answer
    # A daily bar of the synthetic market is what its minutes make up.
    volume = minutes.groupby(["symbol", minutes["bar_end"].dt.date])["volume"].sum()
    assert (volume.to_numpy() == bars.set_index(["symbol", "session"])["volume"].sort_index().to_numpy()).all()
    universe = lake.scan("core/universe", where=[("universe", "=", "sp500")]).to_pylist()
    assert [(row["symbol"], str(row["end"]), row["source"]) for row in universe] == [
        ("SYN00000", "None", "membership"),
        ("SYN00001", "2024-02-01", "membership"),
    ]
    assert {row["universe"] for row in lake.scan("core/universe").to_pylist()} == {"all", "synthetic", "sp500"}
    series = lake.scan("core/series").to_pylist()
    assert [(row["name"], str(row["about"]), row["value"]) for row in series] == [
        ("mood", "2024-01-10", 1.5),
        ("mood", "2024-02-10", 2.5),
    ]


@pytest.mark.slow
def test_a_second_run_writes_nothing_and_a_later_file_wins(filled: tuple[Home, dg.Definitions]) -> None:
    home, graph = filled
    tables = ["core/daily_bars", "core/minute_bars", "core/universe", "core/series"]
    before = home.lake.pins(tables)
    refresh(home, graph)
    assert home.lake.pins(tables) == before
    folder = home.path.parent
    (folder / "members.csv").write_text("ticker,start_date,end_date\nSYN00001,2023-02-01,\n")
    (folder / "series.csv").write_text(SERIES.replace("2.5", "3.5"))
    refresh(home, graph)
    universe = home.lake.scan("core/universe", where=[("universe", "=", "sp500")]).to_pylist()
    assert [(row["symbol"], str(row["start"])) for row in universe] == [("SYN00001", "2023-02-01")]
    assert home.lake.scan("core/series").column("value").to_pylist() == [1.5, 3.5]
