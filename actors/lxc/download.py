"""What downloads the files of deploy blocks, whoever knows how to."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from callboard.definition.model import Image


class Download(Protocol):
    """Makes an image a file of this machine, which is there as long as the context is open.

    Entering it raises ActionError when the image can't be had, and OSError when this machine can't
    keep it.
    """

    def __call__(
        self, image: Image, said: Callable[[str], None]
    ) -> AbstractAsyncContextManager[Path]:
        """The image as a file, checked and unpacked; `said` is told how it goes."""
        ...
