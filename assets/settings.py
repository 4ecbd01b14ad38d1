"""Settings: environment variables named QUANTLAKE_*, then an optional `quantlake.yaml`, then defaults.

Secrets are never settings: vendor keys are read from the environment where they are used.
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from engine.errors import QuantlakeError, nearest
from lakehouse.errors import SourceError
from lakehouse.lake import SQL_MEMORY_GB
from lakehouse.sources.catalogue import CATALOGUE, entry_of

CONFIG_FILE = "quantlake.yaml"
PREFIX = "QUANTLAKE_"
# What pydantic's types of error mean here, and whether quotes would not help.
KINDS = {
    "string_type": ("text", False),
    "path_type": ("a folder", False),
    "tuple_type": ("a list", True),
    **dict.fromkeys(("float_type", "float_parsing"), ("a number", True)),
    **dict.fromkeys(("greater_than_equal", "less_than"), ("from 0 to below 1", True)),
    **dict.fromkeys(("greater_than", "finite_number"), ("above 0", True)),
}
# Read where they are used; they say nothing about data or where it lies.
OTHER_VARIABLES = (
    "QUANTLAKE_CONFIG",
    "QUANTLAKE_DEBUG",
    "QUANTLAKE_EDGAR_CONTACT",
    "QUANTLAKE_KERNELS",
    "QUANTLAKE_SHARED_DATA",
)
_SECRET = re.compile(r"(.*[_-])?(api)?(keys?|secrets?|tokens?|passwords?|passwd|credentials?)([_-].*)?", re.IGNORECASE)


class SettingsError(QuantlakeError):
    """A setting is unknown or has an unusable value."""


class Settings(BaseSettings):
    """Where the state lives and which data fills it.

    Attributes
    ----------
    home : the one folder all state lives under.
    sources : data sources in order, as "polygon" or, with a dataset, "polygon/splits"; where two carry a symbol,
        the later one supplies it whole.
    options : of sources by name, such as {"membership": {"path": "sp500.csv"}}; never secrets.
    symbols : symbols asked of sources that serve any symbol (`yahoo`).
    exchange : calendar name of exchange_calendars, such as XNYS, or 24/7.
    start : first month partition, `YYYY-MM`.
    most_bad_rows : share of a month's bars of a source that may break a rule and be set aside in core/quarantine;
        more fail the month. One bar of a month may always be bad, unless this is 0.
    sql_memory_gb : memory that an SQL query may use, in gigabytes; one that needs more is refused.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    home: Path = Path(".quantlake")
    sources: Annotated[tuple[str, ...], NoDecode] = ("sample", "files")
    symbols: Annotated[tuple[str, ...], NoDecode] = ()
    exchange: str = "XNYS"
    start: str = "2000-01"
    most_bad_rows: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.001
    sql_memory_gb: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = SQL_MEMORY_GB
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().resolve()

    @field_validator("sources", "symbols", mode="before")
    @classmethod
    def _names(cls, names: Any) -> Any:
        # The environment carries lists as `AAPL,MSFT`.
        if isinstance(names, str):
            return tuple(name.strip() for name in names.split(",") if name.strip())
        return names

    @field_validator("sources")
    @classmethod
    def _known_sources(cls, sources: tuple[str, ...]) -> tuple[str, ...]:
        if not sources:
            raise ValueError("sources must name at least one source")
        named: dict[tuple[str, str], str] = {}
        for name in sources:
            try:
                entry = entry_of(name)
            except SourceError as error:
                raise ValueError(str(error)) from None
            before = named.setdefault((entry.source, entry.dataset), name)
            if list(sources).count(name) > 1 or before != name:
                raise ValueError(f"sources name {before!r} twice" + (f", as {name!r} too" if before != name else ""))
        return sources

    @field_validator("options")
    @classmethod
    def _known_options(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for source, given in options.items():
            if source not in CATALOGUE:
                raise ValueError(f"options name an unknown source {source!r}{nearest(source, CATALOGUE)}")
            for name in given:
                if _SECRET.fullmatch(name):
                    raise ValueError(
                        f"option {name!r} of source {source!r} looks like a secret: set the vendor's environment"
                        " variable instead, secrets are never settings"
                    )
                if name == "dataset":
                    raise ValueError(f"a dataset of {source!r} is named in sources, as {source}/NAME")
        return options

    @field_validator("start")
    @classmethod
    def _month(cls, start: str) -> str:
        if not re.fullmatch(r"(19|20)\d\d-(0[1-9]|1[0-2])", start):
            raise ValueError(f"start must be a month YYYY-MM, was {start!r}")
        return start

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence: arguments, environment, file."""
        values, _ = _file_values(config_path())
        return init_settings, env_settings, InitSettingsSource(settings_cls, values)


def config_path() -> Path:
    """Return the settings file in force: QUANTLAKE_CONFIG, or quantlake.yaml in the working folder."""
    return Path(os.environ.get("QUANTLAKE_CONFIG") or CONFIG_FILE)


def load_settings(**overrides: Any) -> Settings:
    """Return the settings in force.

    Raises
    ------
    SettingsError : an unknown setting (the nearest right one is named) or a value that does not fit.
    """
    path = config_path()
    if os.environ.get("QUANTLAKE_CONFIG") and not path.is_file():
        raise SettingsError(f"QUANTLAKE_CONFIG names {path}, which is no file")
    _check_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None
    except (ValueError, TypeError) as error:
        raise SettingsError(f"settings cannot be read: {error}") from None


@cache
def settings() -> Settings:
    """Return this process's settings, read once, and keep its compiled kernels in their home."""
    found = load_settings()
    # The engine knows the environment only: without this a home named in the file would leave its kernels elsewhere.
    os.environ.setdefault("QUANTLAKE_KERNELS", str(found.home / "numba"))
    return found


def _check_variables() -> None:
    """Refuse an environment variable that is nearly one of ours; others may belong to somebody else."""
    known = [*(f"{PREFIX}{name.upper()}" for name in Settings.model_fields), *OTHER_VARIABLES]
    bare = [name.removeprefix(PREFIX) for name in known]
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=0.7)
            if near:
                raise SettingsError(f"unknown environment variable {name!r}; did you mean {PREFIX + near[0]!r}?")


def _file_values(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """Return the settings a file holds and the lines they are on; nothing where there is no file."""
    from strategies.errors import SpecError
    from strategies.spec_yaml import read_yaml

    if not path.exists():
        return {}, {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as UTF-8 text: {error}") from None
    if not any(line.partition("#")[0].strip() for line in text.splitlines()):
        return {}, {}
    try:
        return read_yaml(text, str(path))
    except SpecError as error:
        raise SettingsError(str(error).replace("a spec must", "the settings must")) from None


def _explain(error: ValidationError, path: Path) -> str:
    _, lines = _file_values(path)
    texts = []
    for item in error.errors():
        setting, *rest = (str(part) for part in item["loc"])
        name = ".".join((setting, *rest))
        variable = f"{PREFIX}{setting.upper()}"
        where = f"{path}, line {lines[(setting,)]}: " if (setting,) in lines else ""
        if os.environ.get(variable):
            where = f"{variable}: "
        if item["type"] == "extra_forbidden":
            texts.append(f"{where}unknown setting {name!r}{nearest(name, Settings.model_fields)}")
        elif item["type"] == "value_error":
            texts.append(where + item["msg"].removeprefix("Value error, "))
        else:
            kind, is_quoted = KINDS.get(item["type"], (item["msg"], True))
            texts.append(f"{where}{name} must be {kind}, was {item['input']!r}{'' if is_quoted else ': quote it'}")
    return "\n".join(texts)
