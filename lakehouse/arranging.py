"""Making the copies of whole years that readers use; see `lakehouse.year_copies`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lakehouse.errors import LakeError
from lakehouse.files import make_folder, store
from lakehouse.locks import table_lock
from lakehouse.parquet import dataset, encode
from lakehouse.paths import copies_path, lock_path, table_path
from lakehouse.reading import files_at
from lakehouse.table_schema import TableSchema
from lakehouse.year_copies import INDEX, MIN_MONTHS, by_year, content_key, has_copies, read_index, write_index

# More rows a group make reading all faster, and reading one symbol slower.
_ROW_GROUP_ROWS = 8_192
# Read in 0.6 of the time of zstd, in files 1.4 times as large: copies can be made anew.
_COMPRESSION = "lz4"


def arrange(home: Path, table: TableSchema, *, timeout: float) -> list[str]:
    """Copy each year of the table's last version that has no copy, and return them; see `Lake.arrange`."""
    if not has_copies(table):
        raise LakeError(f"{table.name} is not kept in months of days: there is nothing to arrange")
    folder = copies_path(home, table.name)
    path = table_path(home, table.name)
    made = []
    with table_lock(lock_path(home, f"{table.name}.copies"), f"the copies of {table.name}", timeout=timeout):
        years = by_year(files_at(path, table, None))
        known = read_index(folder)
        index = {
            year: known[year]
            for year, files in years.items()
            if year in known and known[year]["key"] == content_key(files) and (folder / known[year]["path"]).is_file()
        }
        for year, files in years.items():
            if len(files) < MIN_MONTHS or year in index:
                continue
            make_folder(folder)
            rows = dataset(path, files, table).to_table()
            rows = rows.sort_by([(name, "ascending") for name in table.key])
            copy, content = encode(rows, table, None, row_group_rows=_ROW_GROUP_ROWS, compression=_COMPRESSION)
            store(folder / copy.path, content)
            index[year] = {"key": content_key(files), **asdict(copy)}
            write_index(folder, index)
            made.append(year)
        if index != known:
            write_index(folder, index)
        _remove_others(folder, {str(copy["path"]) for copy in index.values()})
    return made


def _remove_others(folder: Path, names: set[str]) -> None:
    if folder.is_dir():
        for file in folder.iterdir():
            if file.name not in names and file.name != INDEX:
                file.unlink(missing_ok=True)
