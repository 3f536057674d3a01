"""A simulated device while a job uses it: the driver `simulated`."""

from collections.abc import Awaitable, Callable, Mapping
from random import Random

import anyio

from callboard.actors.drivers import Console
from callboard.actors.overlay import Overlay
from callboard.actors.overlay.builder import LAVA_CACHE
from callboard.definition.model import NodeJob, PipelineAction
from callboard.flow.program import Scope
from callboard.simulation.clock import DeviceClock
from callboard.simulation.fate import NodeFate
from callboard.simulation.faults import LinkFault
from callboard.simulation.network import Disturbance, Line
from callboard.simulation.script import Surroundings
from callboard.simulation.shell import Shell
from callboard.simulation.tempo import Passage, Tempo
from callboard.simulation.vocabulary import Vocabulary
from callboard.simulation.wires import Plug

_ENDING = frozenset({"finalize", "power-off", "read-feedback"})
"""Actions that go on without the device."""


class SimulatedNode:
    """A device that is nothing but a model.

    Args:
        job: The job that uses it.
        programs: What the definitions of its role do, by their suites.
        tempo: How long things take.
        vocabulary: What words may be that only the run knows.
        fate: What befalls it.
        random: What is drawn for it.
        plug: Where it is plugged into the group's network.
        line: What its messages go over, None where nothing ever disturbs them.

    Attributes:
        line: As above.
    """

    cache = LAVA_CACHE

    def __init__(
        self,
        job: NodeJob,
        programs: Mapping[str, Scope],
        tempo: Tempo,
        vocabulary: Vocabulary,
        fate: NodeFate,
        random: Random,
        plug: Plug,
        line: Line | None = None,
    ) -> None:
        self._role = job.role.name if job.role else ""
        self._contained = job.container is not None
        self._programs = programs
        self._tempo = tempo
        self._fate = fate
        self._random = random
        self.line = line
        self._plug = plug
        self._around = Surroundings(self._role, tempo, vocabulary, random, fate, plug)
        self._clock = DeviceClock()
        self._overlays: dict[str, Overlay] = {}
        self._shells: list[Shell] = []
        self._acting: anyio.Event | None = None
        self._dead = False
        self._down = False
        self.after = self._clock.after

    def begin(self) -> None:
        """The rehearsal begins: from now on things may befall the device."""
        self._fate.befall(self)
        if self._tempo.dies_s is not None:
            self._fate.later(self._tempo.dies_s, self.kill)

    # What every driver does

    def overlay_root(self, job_id: int) -> str:
        """LAVA's path."""
        return f"/lava-{job_id}"

    def shell(self, os: str | None) -> str:  # noqa: ARG002 - a model has one shell
        """A shell of the model."""
        return "/bin/sh"

    def unable(self, action: str) -> str | None:
        """Nothing is skipped in a rehearsal, but what a recorded run has skipped."""
        return self._tempo.unable(self._role, action)

    async def prepare(self) -> None:
        """Have the device from now on; raises OSError where a fault refuses it."""
        if not self._contained:
            self._fate.take("the device")
        passage = self._tempo.readiness()
        if passage.takes_s or passage.fails:
            await self._spend("its preparation", passage)

    def perform(self, action: PipelineAction) -> Awaitable[None] | None:
        """Take the time that the model has for an action; raises OSError when it fails."""
        name = action.name
        if name in _ENDING and self._dead:
            return None
        if self._contained and name == "lxc-create-action":
            self._fate.take("the container")
        self._fate.at_action(name)
        passage = self._tempo.action(self._role, name, self._random, action.level)
        at_once = not (passage.takes_s or passage.fails or self._clock.stopped or self._dead)
        return None if at_once else self._spend(name, passage)

    def idles(self, action: PipelineAction) -> bool:
        """Whether an action takes no time, and nothing can befall the device before it."""
        disturbed = self._dead or self._clock.stopped or self._fate.pending
        return not disturbed and self._tempo.idles(self._role, action.name, action.level)

    def call(self, written: str) -> None:
        """Something may befall the device just before; raises OSError when it is dead then."""
        self._fate.at_call(written)
        if self._dead:
            raise OSError(f"the device died before {written}")

    async def install(self, overlay: Overlay) -> None:
        """Keep the overlay; its files are not needed."""
        self._overlays[overlay.root] = overlay

    async def open_shell(self) -> Console:
        """A session with a shell; raises OSError when the device is dead."""
        if self._dead:
            raise OSError("the device is dead")
        shell = Shell(self, self._programs, self._around)
        self._shells.append(shell)
        return shell.console

    async def busy(self) -> bool:
        """Whether a process runs besides the calls that wait."""
        return any(shell.busy for shell in self._shells)

    def kill(self) -> None:
        """End everything on the device at once, and for good."""
        self._dead = True
        self._end()
        if self._acting is not None:
            self._acting.set()

    async def release(self) -> None:
        """End everything on the device."""
        self._dead = True
        self._end()

    # What its shells need

    def hear(self, act: Callable[[], None]) -> None:
        """Act on input: at once, later when the device hangs, never when it is down."""
        if self._clock.stopped:
            self.after(0.0, act)
        elif not self._down:
            act()

    def overlay(self, root: str) -> Overlay | None:
        """The overlay that lies at `root`, if one does."""
        return self._overlays.get(root)

    # What befalls it

    def hang(self, lasts_s: float | None) -> None:
        """Do nothing for so long, with None for ever."""
        self._clock.stop()
        if lasts_s is not None:
            self._fate.later(lasts_s, self._clock.start)

    def slow(self, factor: float, lasts_s: float | None) -> None:
        """Take `factor` times as long for everything."""
        self._clock.slow(factor)
        if lasts_s is not None:
            self._fate.later(lasts_s, lambda: self._clock.slow(1 / factor))

    def reboot(self, takes_s: float) -> None:
        """Lose what runs, and be back after so many seconds; the console stays open."""
        for shell in self._shells:
            shell.stop()
        self._down = True
        self._fate.later(takes_s, self._return)

    def relink(self, fault: LinkFault, lasts_s: float | None) -> None:
        """Have something happen to its links for so many seconds, with None for good."""
        self._plug.suffer(fault, lasts_s)

    def disturb(self, disturbance: Disturbance, lasts_s: float | None) -> None:
        """Have its messages disturbed for so many seconds, with None to the end."""
        line = self.line
        assert line is not None, "a node whose messages may be disturbed has a line"
        line.begin(disturbance)
        if lasts_s is not None:
            self._fate.later(lasts_s, lambda: line.end(disturbance))

    def _return(self) -> None:
        self._down = False

    def _end(self) -> None:
        self._clock.clear()
        for shell in self._shells:
            shell.stop()
            shell.console.close()

    async def _spend(self, name: str, passage: Passage) -> None:
        if not self._dead and (passage.takes_s or self._clock.stopped):
            self._acting = anyio.Event()
            self.after(passage.takes_s, self._acting.set)
            await self._acting.wait()
            self._acting = None
        if self._dead:
            raise OSError(f"the device died before {name} had ended")
        if passage.fails:
            raise passage.error or OSError(f"{name} failed, as the model has it")
