"""Files of other machines, copied with the system's scp."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import anyio

from callboard.sources.address import shown
from callboard.sources.errors import MISSING, REFUSED, UNREACHABLE, SourceError
from callboard.sources.git import run
from callboard.sources.transfer import Measure, Wanted

_PLACE = re.compile(
    r"scp://(?P<host>(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[A-Za-z0-9._+=,@-]+)+)",
    re.IGNORECASE,
)
"""Nothing that a shell or a pattern at the other end would take for more than a path."""

_LOOK_S = 1.0
_UNREACHED = 255
_UNREACHED_TEXTS = ("Connection closed", "Connection refused", "lost connection")


async def copy_from_host(wanted: Wanted, target: Path, *, allow_local: bool) -> None:
    """Copy a file with the keys of the user who runs callboard.

    Args:
        wanted: What is wanted; no headers are sent.
        target: Where to write it.
        allow_local: Whether a definition may have what this user can read anywhere.

    Raises:
        SourceError: It can't be had.
        OSError: This machine can't start scp.
    """
    where = shown(wanted.url)
    place = _PLACE.fullmatch(wanted.url)
    if place is None:
        message = f"{where} is nothing that is copied with scp"
        hint = "write scp://user@host:port/path, with letters, digits and ._+=,@- in the path"
        raise SourceError(REFUSED, message, hint)
    if not allow_local:
        message = f"{where} would be copied with the keys of the user who runs callboard"
        raise SourceError(REFUSED, message, "allow that with --allow-local, or serve it over http")
    if shutil.which("scp") is None:
        message = f"{where} can't be copied: this machine has no scp"
        raise SourceError(UNREACHABLE, message, "install openssh-client")
    port = ("-P", place["port"]) if place["port"] else ()
    command = ["scp", "-q", "-B", *port, "--", f"{place['host']}:{place['path']}", str(target)]
    status, errors = await _watched(command, wanted, target)
    if status:
        raise _failure(where, status, errors)
    Measure(wanted).count(_size(target))


async def _watched(command: Sequence[str], wanted: Wanted, target: Path) -> tuple[int, str]:
    """Run a command while what it writes isn't too much; returns its status and complaints."""
    failed: SourceError | OSError | None = None
    ran = (0, "", "")

    async def watch() -> None:
        nonlocal failed
        measure, seen_bytes = Measure(wanted, "copied"), 0
        while True:
            await anyio.sleep(_LOOK_S)
            size_bytes = _size(target)
            try:
                line = measure.count(size_bytes - seen_bytes)
            except SourceError as error:
                failed = error
                tasks.cancel_scope.cancel()
                return
            seen_bytes = size_bytes
            if line:
                wanted.said(line)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            ran = await run(command, None, dict(os.environ))
        except OSError as error:
            failed = error
        tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed
    status, _, errors = ran
    return status, errors


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _failure(where: str, status: int, errors: str) -> SourceError:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    said = "; ".join(lines[-2:]) or f"scp ended with the status {status}"
    unreached = status == _UNREACHED or any(text in errors for text in _UNREACHED_TEXTS)
    if unreached:
        hint = "see whether `ssh` with BatchMode=yes gets there"
        return SourceError(UNREACHABLE, f"{where} can't be reached: {said}", hint)
    return SourceError(MISSING, f"{where} can't be copied: {said}")
