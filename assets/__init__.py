"""The graph's assets, and what they do: data in layers, research runs, tracking, reports."""

import warnings

# Partition mappings and backfill policies are in beta since 2022; a user can do nothing about it.
warnings.filterwarnings("ignore", message=".*is currently in beta, and may have breaking changes")
