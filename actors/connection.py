"""One session with a device: lines and signals in, lines and commands out."""

from collections.abc import AsyncGenerator
from functools import partial

from callboard.actors.drivers import Announcing, Console
from callboard.actors.messages import (
    Attach,
    Closed,
    ConnectionMessage,
    ConnectionNews,
    Detach,
    Execute,
    Hangup,
    OutputReady,
    Printed,
    Received,
    Seen,
    SendLines,
    SetAside,
)
from callboard.actors.signals import CommandEnded, LineReader, Signal, signals
from callboard.events import ConsoleInput, ConsoleOutput, Message
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, Reply

LINE_BYTES = 128
"""What a line takes in the log besides its text, roughly."""

KEPT_BYTES = 64 * 1_048_576
"""Log that a connection's output may fill; a device that floods its console can't fill
the disk. Signals are recognised beyond it."""


class Connection(Actor[ConnectionMessage]):
    """A console as an actor.

    Args:
        job: Id of the job.
        namespace: Namespace of the job that the session belongs to.
        console: The open session; the actor closes it.
        journal: Where input and output are recorded.
    """

    def __init__(self, job: int, namespace: str, console: Console, journal: Journal) -> None:
        self._job = job
        self._namespace = namespace
        self._console = console
        self._announcing = console if isinstance(console, Announcing) else None
        self._journal = journal
        self._reader = LineReader()
        self._listener: ActorRef[ConnectionNews] | None = None
        self._aside = False
        self._closed = False
        self._kept_bytes = 0
        self._commands = 0
        self._executing: dict[int, Reply[int | None]] = {}

    async def started(self) -> None:
        """Begin to read, in a task only where the console has to be waited for."""
        if self._announcing is not None:
            # There is room: one at a time is on its way, and a job sends few messages besides.
            self._announcing.announce(partial(self.context.ref.tell_nowait, OutputReady()))
        else:
            self.context.feed(self._output())

    async def stopped(self) -> None:
        """Close the session."""
        if self._announcing is not None:
            self._announcing.announce(None)
        self._console.close()

    async def receive(self, message: ConnectionMessage) -> object:
        """Handle one message; never waits for the device."""
        match message:
            case Received(data):
                await self._received(data)
            case OutputReady():
                assert self._announcing is not None, "else nothing announces it"
                await self._received(self._announcing.take())
            case SendLines(lines):
                self._send(lines)
            case Execute(command):
                self._execute(command, self.context.defer(message))
            case Attach(listener):
                self._listener = listener
                if self._closed:
                    await listener.tell(Closed())
            case Detach():
                self._listener = None
            case SetAside(aside):
                self._aside = aside
            case Hangup():
                self._console.close()
        return None

    async def _output(self) -> AsyncGenerator[ConnectionMessage, None]:
        while data := await self._console.receive():
            yield Received(data)
        yield Received(b"")

    async def _received(self, data: bytes) -> None:
        found: list[Seen] = []
        for line in self._reader.feed(data):
            said = tuple(signals(line))
            seq = self._record(line, said)
            found.extend(Seen(signal, seq) for signal in said)
        for seen in found:
            match seen.signal:
                case CommandEnded(token, status) if token in self._executing:
                    self._executing.pop(token).send(status)
                case _:
                    pass
        self._closed = self._closed or not data
        if self._closed:
            for reply in self._executing.values():
                reply.send(None)
            self._executing.clear()
        if self._listener is not None and found:
            await self._listener.tell(Printed(tuple(found)))
        if self._listener is not None and self._closed:
            await self._listener.tell(Closed())

    def _record(self, line: str, said: tuple[Signal, ...]) -> int | None:
        """Record a line, unless too much has been; returns the `seq` of its event."""
        if self._kept_bytes > KEPT_BYTES:
            return None
        self._kept_bytes += len(line) + LINE_BYTES
        # What callboard's own commands report may come late, but is never a test's feedback.
        own = any(isinstance(each, CommandEnded) for each in said)
        if self._aside and not own:
            seq = self._emit(Message(self._job, "feedback", line, self._namespace))
        else:
            seq = self._emit(ConsoleOutput(self._job, self._namespace, line))
        if self._kept_bytes > KEPT_BYTES:
            size = KEPT_BYTES // 1_048_576
            text = f"the device has filled {size} MiB of log; the rest of its output is not kept"
            self._emit(Message(self._job, "warning", text, self._namespace))
        return seq

    def _execute(self, command: str, reply: Reply[int | None]) -> None:
        if self._closed:
            reply.send(None)
            return
        self._commands += 1
        self._executing[self._commands] = reply
        status = f'echo "<LAVA_SHELL_STATUS {self._commands} $?>"'
        self._send((f"{command}; {status}",))

    def _send(self, lines: tuple[str, ...]) -> None:
        for line in lines:
            self._emit(ConsoleInput(self._job, self._namespace, line))
        try:
            self._console.send("".join(f"{line}\n" for line in lines).encode())
        except BlockingIOError as error:
            self._emit(Message(self._job, "error", str(error), self._namespace))

    def _emit(self, body: ConsoleInput | ConsoleOutput | Message) -> int:
        return self._journal.emit(self.context.address, body)
