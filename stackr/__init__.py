"""Runs multi-container stacks on one Linux host from a declarative file."""
