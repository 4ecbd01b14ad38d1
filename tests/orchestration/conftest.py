"""Homes filled once, and the command line."""

from tests.homes import home, quantlake, sample_folder, sample_home
from tests.orchestration.command_line import command

__all__ = ["command", "home", "quantlake", "sample_folder", "sample_home"]
