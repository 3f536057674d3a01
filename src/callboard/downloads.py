"""Downloads for containers: the files of deploy blocks, under the policy for sources."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from callboard.actors.errors import ActionError, InfrastructureError, JobError
from callboard.actors.lxc.download import Download
from callboard.definition.model import Image
from callboard.sources import Policy, SourceError, fetch_image


def downloads(folder: Path, policy: Policy) -> Download:
    """What downloads for the jobs of a definition.

    Args:
        folder: Where the definition lies.
        policy: What it may name; its time-out is for sources, a download has its action's.
    """

    @contextlib.asynccontextmanager
    async def download(image: Image, said: Callable[[str], None]) -> AsyncIterator[Path]:
        allow_local = policy.allow_local
        try:
            async with fetch_image(image, folder, said, allow_local=allow_local) as path:
                yield path
        except SourceError as error:
            raise _failure(error) from error

    return download


def _failure(error: SourceError) -> ActionError:
    """The lab's fault or the definition's, as LAVA tells them apart."""
    text = error.message if error.hint is None else f"{error.message}; {error.hint}"
    return InfrastructureError(text) if error.unreachable else JobError(text)
