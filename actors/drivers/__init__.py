"""Drivers: what makes a node out of a device. Nothing above them knows which driver it has."""

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    # the sandbox's processes, which start with every run, need none of it
    from callboard.actors.overlay import File, Overlay
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


class System(Protocol):
    """What has files and shells: a device, or a container beside it."""

    @property
    def cache(self) -> str:
        """Path of the MultiNode cache file, as the system sees it."""
        ...

    def overlay_root(self, job_id: int) -> str:
        """Path of the job's overlay, as the system sees it."""
        ...

    def shell(self, os: str | None) -> str:
        """Path of the shell that runs tests of the operating system `os`."""
        ...

    def perform(self, action: "PipelineAction") -> "Awaitable[None] | None":
        """What an action asks of the system, before callboard's own work and its children.

        Returns:
            None when that is nothing.

        Raises:
            OSError: The system can't; also when it is awaited, when it fails.
        """
        ...

    def idles(self, action: "PipelineAction") -> bool:
        """Whether `perform` is sure to find nothing to do for an action now."""
        ...

    async def install(self, overlay: "Overlay") -> None:
        """Put a job's overlay there.

        Raises:
            ValueError: The overlay can't be built.
            OSError: The system can't take it.
        """
        ...

    async def open_shell(self) -> Console:
        """A new session with a shell that reads commands, echoes nothing and has no prompt."""
        ...

    async def busy(self) -> bool | None:
        """Whether a process runs there besides its shells and the calls they wait for.

        Nothing runs on a system that is not prepared or has ended. None where it is never seen.

        Raises:
            OSError: It can't be told.
        """
        ...

    def kill(self) -> None:
        """End every process there now; used when there is no time for an orderly end."""
        ...


class Node(System, Protocol):
    """A device while one job uses it."""

    def unable(self, action: str) -> str | None:
        """Why this driver can't execute the action of that name, None when it can."""
        ...

    async def prepare(self) -> None:
        """Make the device ready for its job. Raises OSError when this machine can't."""
        ...

    def call(self, written: str) -> None:
        """An action is about to make a MultiNode call, as it is written, for the node.

        Raises:
            OSError: The device is gone, so nobody calls for it any more.
        """
        ...

    async def release(self) -> None:
        """End every process of the node and remove what it left; always called once."""
        ...


@runtime_checkable
class Attended(Protocol):
    """A node with a story of its own, before any of its shells is there."""

    def attend(self, heard: "Callable[[str], None]", said: "Callable[[str], None]") -> None:
        """From now on give `heard` what its console shows, and `said` what is said of it."""
        ...


@runtime_checkable
class Reachable(Protocol):
    """A node whose address is only known when another node has sent it."""

    async def reach(self, address: str) -> None:
        """Log in at an address, and put there what was installed.

        Raises:
            ValueError: It is no address.
            OSError: The host lets nobody in, or can't take the files.
        """
        ...


@frozen
class Creation:
    """How a container came to be there.

    Attributes:
        name: What it is called.
        how: `created` by its template, `cloned` from a base that was there, or `reused`.
        packages: Whether the packages that were asked for are installed in it.
    """

    name: str
    how: Literal["created", "cloned", "reused"]
    packages: bool


class Container(System, Protocol):
    """The container of one job (LAVA: LXC protocol).

    What goes wrong is an `ActionError`, which says who must act, or an OSError.
    """

    @property
    def name(self) -> str:
        """What it is called in the end."""
        ...

    def attend(self, said: "Callable[[str], None]") -> None:
        """Give `said` each line that a tool prints from now on."""
        ...

    async def create(self, packages: "Sequence[str]") -> Creation:
        """Have the container, stopped; with `packages` in it where that costs nothing."""
        ...

    async def start(self) -> str:
        """Start it unless it runs, and wait for its IPv4 address, which is returned."""
        ...

    async def run(self, command: "Sequence[str]") -> int:
        """Run a command inside as root, to its end; returns its exit status."""
        ...

    async def stop(self) -> None:
        """Stop it, if it runs."""
        ...

    async def put(self, files: "Iterable[File]", folder: str) -> None:
        """Write files below a folder of it, whether it runs or not."""
        ...

    async def remove(self) -> None:
        """Stop it, and destroy it unless it is persistent; the second time there is nothing to do.

        It takes bounded time, can't be cancelled, and says what goes wrong instead of raising it.
        """
        ...
