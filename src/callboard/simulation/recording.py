"""What a real run did and how long it took, read from its event log."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import define, field, frozen

from callboard.actors import signals
from callboard.actors.signals import Signal
from callboard.actors.testshell import RUNNER_TOKEN, TEST_SHELLS
from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.model import Definition, Place
from callboard.events import (
    LOG_NAME,
    ActionEnded,
    ActionStarted,
    CallAnswered,
    CallMade,
    ConsoleInput,
    ConsoleOutput,
    Event,
    Failure,
    JobCreated,
    JobEnded,
    JobStarted,
    LogError,
    read_log,
)

Close = Literal["whole", "early", "raised", "cut", "uninstalled"]
"""How a run of a test ended: at its end, by its script, with its job, by others, or never began."""

CLOSED = "the device closed its connection"
_UNREADY = "the node could not be prepared: "
_HEARD = (
    signals.ApiCall,
    signals.CaseStarted,
    signals.CaseEnded,
    signals.CaseResult,
    signals.CaseReference,
    signals.SetStarted,
    signals.SetStopped,
    signals.CommandEnded,
    signals.Noted,
)


@define
class Mark:
    """A line by which a test was heard.

    Attributes:
        gap_s: Seconds since what was heard, or answered, before it.
        line: The line as it stood on the console.
        signal: What it says.
        passed: How the call in it was answered; None if it wasn't, or doesn't wait.
    """

    gap_s: float
    line: str
    signal: Signal
    passed: bool | None = None

    @property
    def waits(self) -> bool:
        """Whether it is a call that waits for its answer."""
        return isinstance(self.signal, signals.ApiCall) and self.signal.call != "send"


@define
class Take:
    """One run of a test definition.

    Attributes:
        lead_s: Seconds before it, to what was heard before.
        marks: What was heard of it; last, perhaps, that the runner was killed.
        tail_s: Seconds from the last mark to its end.
        close: How it ended.
        exit_s: Seconds from there to the end of the test runner, if nothing followed.
    """

    lead_s: float
    marks: list[Mark] = field(factory=list[Mark])
    tail_s: float = 0.0
    close: Close = "cut"
    exit_s: float = 0.0


@frozen
class Deed:
    """An action that was run.

    Attributes:
        takes_s: How long its own work took, in seconds.
        failure: How it failed by itself, None if it didn't.
        cut: Whether others ended it before it had ended.
    """

    takes_s: float
    failure: Failure | None = None
    cut: bool = False


@define
class Tape:
    """What one node did.

    Attributes:
        ready_s: How long it took to make the device ready.
        unready: Why the device could not be made ready.
        dies_s: When the device closed its connection, in seconds of the run.
        deeds: The actions by level and name, each attempt in order.
        skipped: Why the driver skipped actions, by their names.
        takes: The runs of each test (`0_serve`).
    """

    ready_s: float = 0.0
    unready: str | None = None
    dies_s: float | None = None
    deeds: dict[tuple[str, str], list[Deed]] = field(factory=dict[tuple[str, str], list[Deed]])
    skipped: dict[str, str] = field(factory=dict[str, str])
    takes: dict[str, list[Take]] = field(factory=dict[str, list[Take]])


@frozen
class Recording:
    """What a run did.

    Attributes:
        log: The file that it is from.
        roles: What the nodes of each role did; the role of a job without roles is empty.
    """

    log: str
    roles: Mapping[str, tuple[Tape, ...]] = field(repr=False)

    def fit(self, definition: Definition) -> None:
        """See that every role of a definition has been recorded.

        Raises:
            DefinitionError: One has not (CB231).
        """
        wanted = [role.name for role in definition.roles if role.count] or [""]
        if strange := [role for role in wanted if role not in self.roles]:
            recorded = ", ".join(filter(None, self.roles))
            missing = ", ".join(filter(None, strange))
            what = f"no role {missing}" if missing else "no job without roles"
            there = f"it has {recorded}" if recorded else "it has a job without roles"
            text = f"the run has {what} to replay: {there}"
            raise _refusal("CB231", self.log, text, "name a run of this definition")


def read_recording(directory: str | os.PathLike[str]) -> Recording:
    """Read what a run did from its directory.

    Raises:
        DefinitionError: There is no event log that can be read (CB230).
    """
    log = Path(directory) / LOG_NAME
    listeners: dict[int, _Listener] = {}
    roles: dict[str, list[Tape]] = {}
    try:
        for event in read_log(log):
            body = event.body
            if isinstance(body, JobCreated):
                listener = listeners[body.job] = _Listener()
                roles.setdefault(body.role or "", []).append(listener.tape)
            elif (found := listeners.get(getattr(body, "job", 0))) is not None:
                found.take(event)
    except FileNotFoundError as error:
        hint = f"name a directory that `callboard run` has written: it holds {LOG_NAME}"
        raise _refusal("CB230", str(directory), f"there is no {LOG_NAME}", hint) from error
    except LogError as error:
        where, _, text = str(error).rpartition(": ")
        line = where.removeprefix(f"{log}:")
        place = Place(str(log), int(line) if line.isdecimal() else 1, 1)
        raise DefinitionError([Diagnostic("CB230", "error", text, place)]) from error
    except OSError as error:
        text = f"it can't be read: {error.strerror}"
        raise _refusal("CB230", str(log), text) from error
    if not roles:
        raise _refusal("CB230", str(log), "no job was begun, so there is nothing to replay")
    return Recording(str(log), {role: tuple(tapes) for role, tapes in roles.items()})


def _refusal(code: str, file: str, text: str, hint: str | None = None) -> DefinitionError:
    return DefinitionError([Diagnostic(code, "error", text, Place(file, 1, 1), hint)])


@define
class _Open:
    """An action that runs; `from_s` is None once its own work is over."""

    started: ActionStarted
    began_s: float
    from_s: float | None
    takes_s: float = 0.0

    def pause(self, time_s: float) -> None:
        """Its own work rests, or is over."""
        if self.from_s is not None:
            self.takes_s += time_s - self.from_s
            self.from_s = None


class _Listener:
    """Makes a tape of what is heard of one job."""

    def __init__(self) -> None:
        self.tape = Tape()
        self._open: list[_Open] = []
        self._free_s: float | None = None
        self._asked_s = 0.0
        self._heard_s: dict[str, float] = {}
        self._last: dict[str, Take] = {}
        self._running: dict[str, Take] = {}
        self._calls: set[int] = set()

    def take(self, event: Event) -> None:
        """The next event of the job."""
        time_s, body = event.time_s, event.body
        match body:
            case JobStarted():
                self.tape.ready_s = time_s - self._asked_s
                self._free_s = time_s
            case JobEnded(error=error):
                if error is not None and error.message.startswith(_UNREADY):
                    self.tape.unready = error.message.removeprefix(_UNREADY)
            case ActionStarted():
                self._start(body, time_s)
            case ActionEnded():
                self._end(body, time_s)
            case CallMade() if event.cause is None:
                self._calls.add(event.seq)
                if self._open:
                    self._open[-1].pause(time_s)
            case CallAnswered() if event.cause in self._calls:
                self._asked_s = time_s
                if self._open:
                    self._open[-1].from_s = time_s
            case ConsoleOutput(namespace=namespace, text=text):
                for signal in signals.signals(text):
                    self._hear(namespace, text, signal, time_s)
            case ConsoleInput(namespace=namespace, text=text) if "_COMPLETE" in text:
                self._answer(namespace, text, time_s)
            case _:
                pass

    # Actions

    def _start(self, started: ActionStarted, time_s: float) -> None:
        """Its own work begins when what came before has ended; that of the one above is over."""
        if self._open:
            self._open[-1].pause(time_s)
        began_s = time_s if self._free_s is None else self._free_s
        self._free_s = None
        self._open.append(_Open(started, began_s, began_s))
        if started.name in TEST_SHELLS:
            self._heard_s = dict.fromkeys(self._heard_s, began_s)

    def _end(self, ended: ActionEnded, time_s: float) -> None:
        opened = self._open.pop()
        opened.pause(time_s)
        self._free_s = None if ended.result == "fail" else time_s
        if ended.name in TEST_SHELLS:
            self._cut(ended, time_s)
        if ended.result == "skip":
            self.tape.skipped[ended.name] = ended.reason or ""
            return
        error = ended.error
        own = error is not None and error.action == f"{ended.level} {ended.name}"
        cut = own and (error is None or error.type == "Canceled" or self._late(opened, time_s))
        deed = Deed(opened.takes_s, error if own and not cut else None, cut)
        self.tape.deeds.setdefault((ended.level, ended.name), []).append(deed)

    def _late(self, opened: _Open, time_s: float) -> bool:
        """Whether the time was up, that of the action or of one above it."""
        return any(
            time_s - each.began_s >= each.started.timeout_s for each in (*self._open, opened)
        )

    # Tests

    def _hear(self, namespace: str, line: str, signal: Signal, time_s: float) -> None:
        running = self._running.get(namespace)
        match signal:
            case signals.RunStarted(suite):
                self._close(namespace, "early", time_s)
                take = Take(self._since(namespace, time_s))
                self.tape.takes.setdefault(suite, []).append(take)
                self._running[namespace] = self._last[namespace] = take
            case signals.InstallError(suite):
                take = Take(self._since(namespace, time_s), close="uninstalled")
                self.tape.takes.setdefault(suite, []).append(take)
                self._last[namespace] = take
            case signals.RunEnded():
                self._close(namespace, "whole", time_s)
            case signals.Raised():
                self._close(namespace, "raised", time_s)
            case signals.RunnerExited():
                self._close(namespace, "early", time_s)
                if (last := self._last.pop(namespace, None)) is not None:
                    last.exit_s = self._since(namespace, time_s)
            case signals.CommandEnded(token) if token != RUNNER_TOKEN:
                pass
            case _ if running is not None and isinstance(signal, _HEARD):
                running.marks.append(Mark(self._since(namespace, time_s), line, signal))

    def _since(self, namespace: str, time_s: float) -> float:
        """Seconds since the last thing that was heard, or since the test action began."""
        before_s = self._heard_s.get(namespace)
        self._heard_s[namespace] = time_s
        if before_s is None:
            before_s = self._open[-1].began_s if self._open else time_s
        return time_s - before_s

    def _close(self, namespace: str, close: Close, time_s: float) -> None:
        if (take := self._running.pop(namespace, None)) is not None:
            take.close = close
            take.tail_s = self._since(namespace, time_s)

    def _cut(self, ended: ActionEnded, time_s: float) -> None:
        """The test action is over, so whatever still runs has been cut short."""
        for namespace in list(self._running):
            self._close(namespace, "cut", time_s)
        if ended.error is not None and ended.error.message == CLOSED:
            self.tape.dies_s = time_s

    def _answer(self, namespace: str, text: str, time_s: float) -> None:
        self._heard_s[namespace] = time_s
        take = self._running.get(namespace)
        for mark in reversed(take.marks if take else ()):
            if mark.waits and mark.passed is None:
                mark.passed = "_COMPLETE nack" not in text
                return
