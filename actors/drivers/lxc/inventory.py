"""What containers and bases there are."""

import contextlib
import os
from pathlib import Path

from attrs import frozen

from callboard.actors.drivers.lock import is_held
from callboard.actors.drivers.lxc import configuration
from callboard.actors.drivers.lxc.bases import clones, is_ready, recipe_document
from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.recipe import Recipe, read_recipe
from callboard.actors.drivers.lxc.tools import Tools

_BLOCK_BYTES = 512


@frozen
class Listed:
    """A container.

    Attributes:
        name: Its name.
        state: As LXC says it, in lower case; `unfinished` where its creation was cut short.
        run: The run that made it or used it last, None where that is not known.
        job: That run's job.
        since_s: When that was, in seconds since 1970.
        persistent: Whether it stays when its job has ended.
        alive: Whether its job still runs.
        base: The base that it is a clone of.
    """

    name: str
    state: str
    run: str | None
    job: int | None
    since_s: int | None
    persistent: bool
    alive: bool
    base: str | None


@frozen
class ListedBase:
    """A base.

    Attributes:
        name: Its name.
        recipe: What it is made from; None while it is not finished.
        bytes: What it takes of the disk.
        clones: How many containers share its files.
    """

    name: str
    recipe: Recipe | None
    bytes: int
    clones: int


async def containers(tools: Tools) -> list[Listed]:
    """Every container; raises OSError."""
    names = [name for name in tools.store.names() if not name.is_base]
    found = [await _container(tools, name) for name in names]
    # Their jobs go on meanwhile: one may have been removed.
    return [
        each for name, each in zip(names, found, strict=True) if tools.store.path(name).exists()
    ]


async def _container(tools: Tools, name: ContainerName) -> Listed:
    store = tools.store
    state = (await tools.state(name) or "broken").lower()
    found = None
    with contextlib.suppress(OSError):
        found = configuration.find(store, name)
    label = found.label if found else None
    base = found.base if found and label else None
    if found is None or found.is_unfinished or (store.path(name) / "partial").exists():
        state = "unfinished"
    return Listed(
        name=name.text,
        state=state,
        run=label.run if label else None,
        job=label.job if label else None,
        since_s=label.since_s if label else None,
        persistent=label is not None and label.persistent,
        alive=is_held(store.lock(name)),
        base=base.text if base else None,
    )


def bases(tools: Tools) -> list[ListedBase]:
    """Every base; raises OSError."""
    return [_base(tools, name) for name in tools.store.names() if name.is_base]


def _base(tools: Tools, name: ContainerName) -> ListedBase:
    recipe = read_recipe(recipe_document(tools, name)) if is_ready(tools, name) else None
    size = _size(tools.store.path(name))
    return ListedBase(name.text, recipe, size, clones(tools, name))


def _size(folder: Path) -> int:
    """Bytes of the disk that a folder takes."""
    blocks = 0
    for top, folders, names in os.walk(folder):
        for name in (*folders, *names):
            try:
                blocks += os.lstat(os.path.join(top, name)).st_blocks  # noqa: PTH118 - many of them
            except FileNotFoundError:
                continue
    return blocks * _BLOCK_BYTES
