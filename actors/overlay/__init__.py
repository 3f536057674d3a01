"""The overlay: what is put on a node so that it can run a job's tests (LAVA: test shell)."""

from callboard.actors.overlay.builder import Definition, Overlay, build
from callboard.actors.overlay.files import File, Link, pack, write

__all__ = ["Definition", "File", "Link", "Overlay", "build", "pack", "write"]
