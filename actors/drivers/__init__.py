"""Drivers: what makes a node out of a device. Nothing above them knows which driver it has."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    # the sandbox's processes, which start with every run, need none of it
    from callboard.actors.overlay import Overlay
    from callboard.definition.model import PipelineAction


class Console(Protocol):
    """The byte stream of one session with a device."""

    async def receive(self) -> bytes:
        """The next output; waits for it, and returns nothing at the end of the session."""
        ...

    def send(self, data: bytes) -> None:
        """Send input; never waits, what the device doesn't take yet is kept.

        Raises:
            BlockingIOError: The device has not taken its input for so long that too much is kept.
        """
        ...

    def close(self) -> None:
        """End the session; a waiting `receive` returns nothing. Closing twice is harmless."""
        ...


@runtime_checkable
class Announcing(Protocol):
    """A console that says when it has output, so that nobody has to wait for it."""

    def announce(self, ready: "Callable[[], None] | None") -> None:
        """Call `ready` when there is output to take, or the end, and not again before it is taken.

        With None nobody is told any more.
        """
        ...

    def take(self) -> bytes:
        """The output that there is; nothing at the end of the session."""
        ...


class Node(Protocol):
    """A device while one job uses it."""

    @property
    def cache(self) -> str:
        """Path of the MultiNode cache file, as the node sees it."""
        ...

    def overlay_root(self, job_id: int) -> str:
        """Path of the job's overlay, as the node sees it."""
        ...

    def shell(self, os: str | None) -> str:
        """Path of the shell that runs tests of the operating system `os`."""
        ...

    def unable(self, action: str) -> str | None:
        """Why this driver can't execute the action of that name, None when it can."""
        ...

    async def prepare(self) -> None:
        """Make the device ready for its job. Raises OSError when this machine can't."""
        ...

    def perform(self, action: "PipelineAction") -> "Awaitable[None] | None":
        """What an action asks of the device, before callboard's own work and its children.

        Returns:
            None when that is nothing.

        Raises:
            OSError: The device can't; also when it is awaited, when it fails.
        """
        ...

    def idles(self, action: "PipelineAction") -> bool:
        """Whether `perform` is sure to find nothing to do for an action now."""
        ...

    def call(self, written: str) -> None:
        """An action is about to make a MultiNode call, as it is written, for the node.

        Raises:
            OSError: The device is gone, so nobody calls for it any more.
        """
        ...

    async def install(self, overlay: "Overlay") -> None:
        """Put a job's overlay on the node.

        Raises:
            ValueError: The overlay can't be built.
            OSError: The node can't take it.
        """
        ...

    async def open_shell(self) -> Console:
        """A new session with a shell that reads commands, echoes nothing and has no prompt."""
        ...

    async def busy(self) -> bool:
        """Whether a process runs on the node besides its shells and the calls they wait for.

        Nothing runs on a node that is not prepared or has ended.

        Raises:
            OSError: It can't be told.
        """
        ...

    def kill(self) -> None:
        """End every process of the node now; used when there is no time for an orderly end."""
        ...

    async def release(self) -> None:
        """End every process of the node and remove what it left; always called once."""
        ...
