"""The LXC protocol of one job: the actor that creates, keeps and removes its container."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from attrs import frozen

from callboard.actors.drivers import Container, Creation
from callboard.actors.drivers.device_commands import run_device_commands
from callboard.actors.errand import Errand, Perform
from callboard.actors.errors import ActionError, InfrastructureError, JobError
from callboard.actors.lxc.messages import (
    Abandon,
    CreateContainer,
    LxcMessage,
    LxcRequest,
    Operated,
    PutFiles,
    RemoveContainer,
    RunDeviceCommands,
    RunInContainer,
    StartContainer,
    StopContainer,
)
from callboard.events import LogLevel, Message
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, Outcome, Reply, Request

Commands = Mapping[str, Sequence[Sequence[str]]]
"""A device's commands of this machine, by the request that runs them."""

_COMMAND_S = 300.0
"""Limit of one of them; that of the action can be shorter."""

_State = Literal["defined", "stopped", "running", "gone"]
_Operation = Callable[[], Awaitable[object]]


@frozen
class _Task:
    """What is under way.

    Attributes:
        number: Which it is.
        worker: The actor that does it.
        reply: The slot for its result.
        state: What the container is when it has succeeded.
    """

    number: int
    worker: "ActorRef[Perform]"
    reply: Reply[object]
    state: _State


class Lxc(Actor[LxcMessage]):
    """Does one thing after the other with a container.

    What takes long a child does, so that this actor hears at once when nobody waits any more.

    Args:
        job: Id of the job.
        container: Nobody else creates, starts or ends it.
        commands: What the device's commands are; None where none is ever run, as in rehearsals.
        journal: Where it is recorded what happens.
    """

    def __init__(
        self, job: int, container: Container, commands: Commands | None, journal: Journal
    ) -> None:
        self._job = job
        self._container = container
        self._commands = commands
        self._journal = journal
        self._state: _State = "defined"
        self._task: _Task | None = None
        self._tasks = 0

    async def started(self) -> None:
        """Record from now on what tools print."""
        self._container.attend(lambda line: self._say("debug", line))

    async def stopped(self) -> None:
        """Leave no container behind, even if the job could not finalise."""
        await self._container.remove()

    async def receive(self, message: LxcMessage) -> None:
        """Handle one message; never waits for the container."""
        match message:
            case Operated(number, outcome):
                self._operated(number, outcome)
            case Abandon():
                await self._end_task()
            case RemoveContainer():
                await self._end_task()
                self._begin(message, self._container.remove, "gone")
            case _:
                await self._end_task()  # two at once: whoever asked for the first has gone
                self._serve(message)

    def _operation(self, request: LxcRequest) -> tuple[_Operation, _State]:
        """What a request asks for, and what the container is afterwards.

        Raises:
            ActionError: It can't be done with the container as it is.
        """
        container = self._container
        match request:
            case CreateContainer(packages):
                return lambda: container.create(packages), "stopped"
            case RunDeviceCommands(name):
                return self._device_commands(name), self._state
            case StartContainer():
                self._demand("start")
                return container.start, "running"
            case StopContainer():
                self._demand("be stopped")
                return container.stop, "stopped"
            case PutFiles(files, folder):
                self._demand("take files")
                return lambda: container.put(files, folder), self._state
            case RunInContainer(command):
                self._demand(f"run {command[0]}", running=True)
                return lambda: container.run(command), self._state

    def _demand(self, what: str, *, running: bool = False) -> None:
        """See that the container is there, and runs if it must; raises ActionError."""
        unable = f"the container {self._container.name} can't {what}"
        if self._state == "defined":
            raise JobError(f"{unable}: it isn't made yet; `deploy` with `to: lxc` comes first")
        if self._state == "gone":
            raise InfrastructureError(f"{unable}: it is gone")
        if running and self._state != "running":
            raise JobError(f"{unable}: it doesn't run")

    def _device_commands(self, name: str) -> _Operation:
        """Runs what the devices file has for a request (LAVA: LXC protocol, requests)."""
        if self._commands is None:
            return _nothing
        commands, key = self._commands.get(name), name.replace("-", "_")
        if not commands:
            raise JobError(f"the devices file has no `{key}` for the device")
        return lambda: run_device_commands(
            commands,
            f"`{key}` of the device",
            limit_s=_COMMAND_S,
            said=lambda line: self._say("info", line),
        )

    # What is under way

    def _serve(self, request: LxcRequest) -> None:
        try:
            operation, state = self._operation(request)
        except ActionError as error:
            self.context.defer(request).fail(error)
        else:
            self._begin(request, operation, state)

    def _begin(self, request: Request[object], operation: _Operation, state: _State) -> None:
        self._tasks = number = self._tasks + 1
        worker = self.context.spawn(Errand, f"operation-{number}")
        self._task = _Task(number, worker, self.context.defer(request), state)
        self.context.pipe(worker, Perform(operation), lambda outcome: Operated(number, outcome))

    def _operated(self, number: int, outcome: Outcome[Outcome[object]]) -> None:
        task = self._task
        if task is None or task.number != number:
            return  # it was ended
        self._task = None
        done = outcome.value or Outcome(error=outcome.error)
        if done.error is not None:
            task.reply.fail(done.error)
            return
        self._state = task.state
        match done.value:
            case Creation(name, how):
                self._say("info", f"the container {name} was {how}")
            case str(address):
                self._say("info", f"the container runs, with the address {address}")
            case _:
                pass
        task.reply.send(done.value)

    async def _end_task(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await task.worker.cancel()
            task.reply.fail(InfrastructureError("nobody waited for the container any more"))

    def _say(self, level: LogLevel, text: str) -> None:
        self._journal.emit(self.context.address, Message(self._job, level, text))


async def _nothing() -> None:
    """What is done where nothing real is."""
