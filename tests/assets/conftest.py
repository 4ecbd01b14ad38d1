"""Homes filled once."""

from tests.homes import sample_folder, sample_home

__all__ = ["sample_folder", "sample_home"]
