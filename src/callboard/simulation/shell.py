"""The shell of a simulated device: takes lines from its console, as a real one does."""

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from callboard.actors.overlay import Overlay
from callboard.flow.program import Scope
from callboard.simulation.console import SimulatedConsole
from callboard.simulation.process import Course, Need, Process
from callboard.simulation.script import End, Script, Surroundings

_INTERRUPT = "\x03"
_INTERRUPTED = 130
_REPORT = re.compile(r'echo "<LAVA_SHELL_STATUS (\d+) \$\?>"$')
_RUNNER = re.compile(r"'(?P<root>[^']+)/bin/lava-test-runner' '[^']+/(?P<stage>\d+)'")
_COMPLETE = re.compile(r"<LAVA_[A-Z_]+_COMPLETE(?P<nack> nack)?")


class Machine(Protocol):
    """What a shell needs of the device that it runs on."""

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call a function when so much time has passed on the device."""
        ...

    def hear(self, act: Callable[[], None]) -> None:
        """Have the device act on its input, as soon as it can; one that is down never does."""
        ...

    def overlay(self, root: str) -> Overlay | None:
        """The overlay that lies at `root`, if one does."""
        ...


class Shell:
    """Reads commands from a console and runs them, one at a time.

    It knows those that callboard types, and no others.

    Args:
        machine: The device.
        programs: What each definition does, by its suite.
        around: What scripts have around them.
    """

    def __init__(
        self, machine: Machine, programs: Mapping[str, Scope], around: Surroundings
    ) -> None:
        self.console = SimulatedConsole(self._typed)
        self.print = self.console.print
        self._machine = machine
        self._programs = programs
        self._around = around
        self._token: str | None = None
        self._runner: Process | None = None
        self._background: dict[Process, None] = {}

    @property
    def busy(self) -> bool:
        """Whether something runs besides a call that waits for its answer."""
        runner = self._runner
        return self.forked or (runner is not None and runner.needs is not Need.ANSWER)

    @property
    def forked(self) -> bool:
        """Whether something runs in the background."""
        return bool(self._background)

    def fork(self, course: Course) -> None:
        """Run something in the background."""

        def ended(_status: int) -> None:
            self._background.pop(process, None)
            runner = self._runner
            if not self.forked and runner is not None and runner.needs is Need.OTHERS:
                runner.resume(success=True)

        process = Process(course, self._machine.after, ended)
        self._background[process] = None
        process.start()

    def stop(self) -> None:
        """End whatever runs; nobody is told."""
        for process in (self._runner, *self._background):
            if process is not None:
                process.stop()
        self._runner = None
        self._background.clear()

    def _typed(self, line: str) -> None:
        self._machine.hear(lambda: self._read(line))

    def _read(self, line: str) -> None:
        runner = self._runner
        if runner is None:
            if line != _INTERRUPT:
                self._run(line)
        elif line == _INTERRUPT:
            self.stop()
            self.print("<LAVA_TEST_RUNNER EXIT>")
            self._ended(_INTERRUPTED)
        elif runner.needs is Need.ANSWER and (found := _COMPLETE.search(line)):
            runner.resume(success=found["nack"] is None)

    def _run(self, line: str) -> None:
        report = _REPORT.search(line)
        self._token = report[1] if report else None
        command = _RUNNER.search(line)
        if command is None:
            self._ended(0)
            return
        course = self._stage(command["root"], int(command["stage"]))
        self._runner = Process(course, self._machine.after, self._ended)
        self._runner.start()

    def _ended(self, status: int) -> None:
        self._runner = None
        if self._token is not None:
            self.print(f"<LAVA_SHELL_STATUS {self._token} {status}>")

    def _stage(self, root: str, stage: int) -> Course:
        """The test runner: one definition after the other, unless one ends the job."""
        overlay = self._machine.overlay(root)
        tempo, suite = self._around.tempo, ""
        status = 0
        for definition in overlay.stages[stage] if overlay else ():
            suite = definition.suite
            script = Script(suite, self._around, self, self._programs[suite])
            yield tempo.pause_s(suite, "install")
            end = yield from script.install()
            if end is End.EARLY:
                self.print(
                    f"<LAVA_INSTALL_ERROR {suite} install.sh ended with status 1>",
                    "<LAVA_TEST_RUNNER INSTALL_FAIL>",
                )
                status = 0
            elif end is End.REACHED:
                yield tempo.pause_s(suite, "begin")
                self.print(f"<LAVA_SIGNAL_STARTRUN {suite} {definition.uuid}>")
                end = yield from script.run()
                yield tempo.pause_s(suite, "end")
                if end is End.REACHED:
                    self.print(f"<LAVA_SIGNAL_ENDRUN {suite} {definition.uuid}>")
                status = int(script.failed)
            if end is End.OF_ALL:
                if not script.told:
                    self.print(f"<LAVA_SIGNAL_TESTRAISE {suite} ends the job>")
                break
        yield tempo.pause_s(suite, "exit")
        self.print("<LAVA_TEST_RUNNER EXIT>")
        return status
