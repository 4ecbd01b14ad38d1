"""Fixtures of the fault suite."""

from tests.homes import home, sample_folder, sample_home
from tests.orchestration.command_line import command

__all__ = ["command", "home", "sample_folder", "sample_home"]
