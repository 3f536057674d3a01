"""Definitions run as those of the system's tests do, and nothing may be left of them either."""

from tests.system.conftest import callboard

__all__ = ["callboard"]
