"""Fetches what a definition names: its tests before any node starts, files for containers later.

Definitions come from git repositories and archives, as LAVA takes them. What they name is a
stranger's: transports, paths and the members of archives are limited.
"""

from callboard.sources.address import secret_values
from callboard.sources.errors import SourceError, SourcesFailed
from callboard.sources.fetch import Policy, fetch
from callboard.sources.image import fetch_image

__all__ = [
    "Policy",
    "SourceError",
    "SourcesFailed",
    "fetch",
    "fetch_image",
    "secret_values",
]
