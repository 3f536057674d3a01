"""Fetches what the tests of a definition are made of, before any node starts.

Definitions come from git repositories and archives, as LAVA takes them. What they name is a
stranger's: transports, paths and the members of archives are limited.
"""

from callboard.sources.address import secret_values
from callboard.sources.errors import SourceError, SourcesFailed
from callboard.sources.fetch import Policy, fetch

__all__ = ["Policy", "SourceError", "SourcesFailed", "fetch", "secret_values"]
