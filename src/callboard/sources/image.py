"""What a deploy block downloads, as a file of this machine (LAVA: deploy, download)."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import anyio

from callboard.definition.model import Image
from callboard.sources.address import local_path, shown
from callboard.sources.cache import Cache, cache_directory
from callboard.sources.compression import expand, opener_of
from callboard.sources.errors import BAD_CHECKSUM, REFUSED, SourceError
from callboard.sources.scp import copy_from_host
from callboard.sources.transfer import Wanted, transfer

IMAGE_BYTES = 8 * 2**30
"""The largest file that may be downloaded, and the largest that may come out of it."""

SILENCE_S = 60.0
"""How long a server may say nothing, in seconds."""

_PIECE_BYTES = 1_048_576
_LONGEST_NAME_BYTES = 255


@contextlib.asynccontextmanager
async def fetch_image(
    image: Image, folder: Path, said: Callable[[str], None], *, allow_local: bool
) -> AsyncIterator[Path]:
    """An image as a file with its name, checked and unpacked; it is removed at the end.

    Args:
        image: The image.
        folder: Where the definition lies; relative paths begin there.
        said: Is told now and then how far it is, in a line of text.
        allow_local: Whether files outside of that folder are allowed too, and those that this
            user can copy from other machines.

    Raises:
        SourceError: It can't be had.
        OSError: It can't be kept on this machine.
    """
    wanted = Wanted(image.url, IMAGE_BYTES, image.headers, SILENCE_S, said)
    local = local_path(image.url, "image", folder, allow_local=allow_local)
    opener = None if image.compression is None else opener_of(image.compression)
    name = _checked_name(image)
    with Cache(cache_directory()).making() as made:
        packed, ready = made / "packed", made / "ready" / name
        ready.parent.mkdir()
        if local is None and image.url.lower().startswith("scp:"):
            await copy_from_host(wanted, packed, allow_local=allow_local)
        else:
            await transfer(wanted, local, packed)
        await anyio.to_thread.run_sync(_check, packed, image.url, image.sums)
        if opener is None:
            packed.rename(ready)
        else:
            await anyio.to_thread.run_sync(expand, packed, ready, opener, wanted)
            packed.unlink()
        yield ready


def _checked_name(image: Image) -> str:
    name = image.name
    is_name = name not in {"", ".", ".."} and len(name.encode()) <= _LONGEST_NAME_BYTES
    if is_name and name.isprintable():
        return name
    message = f"the file of {shown(image.url)[:300]} can't be called `{name[:60]}`"
    raise SourceError(REFUSED, message, "the URL must end with the name of a file")


def _check(path: Path, url: str, sums: Mapping[str, str]) -> None:
    """See that a file is what was meant; raises SourceError."""
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in sums}
    if not hashes:
        return
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            anyio.from_thread.check_cancelled()
            for each in hashes.values():
                each.update(data)
    for name, each in hashes.items():
        if each.hexdigest() != sums[name].strip().lower():
            message = f"{shown(url)} has the {name}sum {each.hexdigest()}, not {sums[name][:200]}"
            raise SourceError(BAD_CHECKSUM, message, "it has changed, or is not what was meant")
