"""Settings: environment variables named QUANTLAKE_*, then an optional `quantlake.yaml`, then defaults.

Secrets are never settings: vendor keys are read from the environment where they are used.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from engine.errors import QuantlakeError, nearest

CONFIG_FILE = "quantlake.yaml"
KNOWN_SOURCES = ("sample", "yahoo", "files")


class SettingsError(QuantlakeError):
    """A setting is unknown or has an unusable value."""


class Settings(BaseSettings):
    """Where the state lives and which data fills it.

    Attributes
    ----------
    home : the one folder all state lives under.
    sources : data sources in order; where two carry a symbol, the later one supplies it whole.
    symbols : symbols asked of sources that serve any symbol (`yahoo`).
    exchange : calendar name of exchange_calendars, such as XNYS, or 24/7.
    start : first month partition, `YYYY-MM`.
    """

    model_config = SettingsConfigDict(env_prefix="QUANTLAKE_", extra="forbid", frozen=True)

    home: Path = Path(".quantlake")
    sources: Annotated[tuple[str, ...], NoDecode] = ("sample", "files")
    symbols: Annotated[tuple[str, ...], NoDecode] = ()
    exchange: str = "XNYS"
    start: str = "2000-01"

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
        for name in sources:
            if name not in KNOWN_SOURCES:
                raise ValueError(f"unknown source {name!r}{nearest(name, KNOWN_SOURCES)}")
        return sources

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
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, config_path())


def config_path() -> Path:
    """Return the settings file in force: QUANTLAKE_CONFIG, or quantlake.yaml in the working folder."""
    return Path(os.environ.get("QUANTLAKE_CONFIG", CONFIG_FILE))


def load_settings(**overrides: Any) -> Settings:
    """Return the settings in force.

    Raises
    ------
    SettingsError : an unknown setting (the nearest right one is named) or a value that does not fit.
    """
    path = config_path()
    if "QUANTLAKE_CONFIG" in os.environ and not path.is_file():
        raise SettingsError(f"QUANTLAKE_CONFIG names {path}, which does not exist")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None
    except (ValueError, TypeError) as error:
        raise SettingsError(f"settings cannot be read: {error}") from None


@cache
def settings() -> Settings:
    """Return this process's settings, read once."""
    return load_settings()


def _explain(error: ValidationError, path: Path) -> str:
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"{path}: unknown setting {name!r}{nearest(name, Settings.model_fields)}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"setting {name!r}: {message}")
    return "\n".join(lines)
