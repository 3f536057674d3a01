"""The overlay: what is put on a node so that it can run a job's tests (LAVA: test shell)."""

from callboard.actors.overlay.access import Access
from callboard.actors.overlay.builder import LAVA_CACHE, Definition, Overlay, archive, build
from callboard.actors.overlay.files import File, Link, pack, write

__all__ = [
    "LAVA_CACHE",
    "Access",
    "Definition",
    "File",
    "Link",
    "Overlay",
    "archive",
    "build",
    "pack",
    "write",
]
