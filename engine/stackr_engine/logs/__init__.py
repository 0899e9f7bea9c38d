"""Containers' logs: read from either end, and followed without polling."""

from stackr_engine.logs.following import follow
from stackr_engine.logs.reading import read
from stackr_engine.logs.records import Record, Span, stamp_for

__all__ = ["Record", "Span", "follow", "read", "stamp_for"]
