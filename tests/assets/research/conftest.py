"""Homes filled once, and the command line."""

from tests.homes import home, quantlake, sample_folder, sample_home

__all__ = ["home", "quantlake", "sample_folder", "sample_home"]
