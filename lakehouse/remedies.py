"""What to do about damage, with the exact command: written once, for every text that names it."""

from __future__ import annotations

from lakehouse.core_schemas import RESTATEMENTS

MANIFEST = "raw/snapshots"
BACKUP = "restore the file from a backup"


ORIGINS_REMEDY = (
    f"restore `tables/{MANIFEST}` from a backup, or fetch and import the same requests again: the files of snapshots "
    "that are there are then adopted"
)


def note(table: str) -> str:
    """Return the file, below the home, that notes a table's last version outside of its folder."""
    return f"heads/{table.replace('/', '.')}"


def rebuild_command(table: str, partition_by: str | None = None, partition: str | None = None) -> str:
    """Return the command that makes a table, or one partition of it, anew."""
    where = "" if partition_by is None or partition is None else f" --where {partition_by}={partition}"
    return f"quantlake rebuild {table}{where}"


def why_not_made(table: str) -> str | None:
    """Return why a table cannot be made anew, and what can be done instead; None for one that can."""
    if table == MANIFEST:
        return (
            "the files of snapshots do not say what was asked and when; restore the table's folder from a backup, or "
            f"move it and its note `{note(table)}` away and fetch the same requests again (materialize the raw assets, "
            "import the files): snapshots that are there are then adopted, known from the new answer on"
        )
    if table.startswith("research/"):
        return (
            "its rows are results, not made of snapshots; `quantlake reproduce RUN` replays a run, and the spec run "
            "again (`quantlake backtest SPEC`, `sweep`, `walkforward`) records it anew. To go on with what is left, "
            f"delete the notes of what there was, `{note(table)}` and `tables/{table}/_quantlake/head`"
        )
    if table == RESTATEMENTS:
        return (
            "it tells what writes changed when they were made; without a backup, move its folder and its note "
            f"`{note(table)}` away to begin anew"
        )
    return None


def log_remedy(table: str) -> str:
    """Return what to do about a damaged commit of a table."""
    why = why_not_made(table)
    if why is not None:
        return f"{BACKUP}; without one: {why}"
    return (
        f"{BACKUP}, which keeps every old version; without one `{rebuild_command(table)}` makes the table anew from "
        "its snapshots and keeps the damaged files aside"
    )


def file_remedy(table: str, partition_by: str | None = None, partition: str | None = None) -> str:
    """Return what to do about a damaged data file of a partition."""
    why = why_not_made(table)
    if why is not None:
        return f"{BACKUP}; without one: {why}"
    where = "" if partition is None else f" ({partition_by} {partition})"
    command = rebuild_command(table, partition_by, partition)
    return f"materialize the partition again from its snapshots{where}: `{command}`"


def foreign_remedy(table: str, is_loose: bool) -> str:
    """Return what to do about a commit of another tool that took away or added files.

    Parameters
    ----------
    is_loose : it is the last one, and no write of the lake's own has followed
    """
    anew = log_remedy(table) if why_not_made(table) else f"`{rebuild_command(table)}` replaces what differs"
    if is_loose:
        return (
            "move the commit, and checkpoints that are later, out of the table's folder while nothing runs: the table "
            f"is then as it was before. Else: {anew}"
        )
    return anew


def anew_remedy(table: str) -> str:
    """Return how to give a table up for a new one."""
    if why_not_made(table) is None:
        return f"move the table's folder away, then `{rebuild_command(table)}` makes it anew"
    return f"move the table's folder and its note `{note(table)}` away to begin anew"
