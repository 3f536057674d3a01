"""What is asked of a job's container."""

from attrs import frozen

from callboard.actors.drivers import Creation
from callboard.actors.overlay import File
from callboard.runtime import Outcome, Request


@frozen
class CreateContainer(Request[Creation]):
    """Have the container, with `packages` in it if they cost nothing."""

    packages: tuple[str, ...] = ()


@frozen
class StartContainer(Request[str]):
    """Have it run; the answer is its IPv4 address."""


@frozen
class RunInContainer(Request[int]):
    """Run a command inside to its end; the answer is its exit status."""

    command: tuple[str, ...]


@frozen
class StopContainer(Request[None]):
    """Have it stopped."""


@frozen
class PutFiles(Request[None]):
    """Write files below a folder of it."""

    files: tuple[File, ...]
    folder: str


@frozen
class RunDeviceCommands(Request[None]):
    """Run the device's commands of that name on this machine (LAVA: pre-os-command)."""

    request: str


@frozen
class RemoveContainer(Request[None]):
    """End what is under way, and leave nothing that isn't to be kept; always answered."""


@frozen
class Abandon:
    """Nobody waits for what is under way any more: end it."""


@frozen
class Operated:
    """What was under way as that number has ended; for the actor itself."""

    number: int
    outcome: Outcome[Outcome[object]]


LxcRequest = (
    CreateContainer | StartContainer | RunInContainer | StopContainer | PutFiles | RunDeviceCommands
)

LxcMessage = LxcRequest | RemoveContainer | Abandon | Operated
