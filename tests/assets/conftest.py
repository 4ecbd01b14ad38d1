"""Homes, empty and filled once."""

from tests.homes import home, sample_folder, sample_home

__all__ = ["home", "sample_folder", "sample_home"]
