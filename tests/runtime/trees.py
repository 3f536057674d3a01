"""Random trees of actors that wait, fail, hang, and are stopped and cancelled; with their course.

`python -m tests.runtime.trees SEED` prints the course of one.
"""

import asyncio
import random
import sys
from collections.abc import Callable

import anyio
from attrs import field, frozen

from callboard.runtime import (
    Actor,
    ActorError,
    ActorRef,
    ActorSystem,
    ChildFailed,
    Outcome,
    Request,
    Supervision,
    Terminated,
)


@frozen
class Grow(Request[ActorRef["Understood"]]):
    """Spawn a child."""

    name: str
    supervision: Supervision
    tidy: bool


@frozen
class Do(Request[str]):
    """Wait for so many turns, then do something."""

    deed: str
    turns: int = 0
    to: "ActorRef[Understood] | None" = None


@frozen
class Piped:
    outcome: Outcome[str]


@frozen
class Tick:
    """A timer's message."""


Understood = Grow | Do | Piped | Tick


@frozen
class Course:
    """What happens, in order, and what should not have."""

    lines: list[str] = field(factory=list)
    wrong: list[str] = field(factory=list)
    alive: dict[str, None] = field(factory=dict)
    gate: anyio.Event = field(factory=anyio.Event)
    """What hangs waits for this."""

    def started(self, address: str) -> None:
        self.lines.append(f"+{address}")
        if address in self.alive:
            self.wrong.append(f"{address} started twice")
        self.alive[address] = None

    def stopped(self, address: str) -> None:
        self.lines.append(f"-{address}")
        if address not in self.alive:
            self.wrong.append(f"{address} stopped twice")
        self.alive.pop(address, None)
        self.wrong.extend(
            f"{each} outlived {address}" for each in self.alive if each.startswith(f"{address}/")
        )


class Twig(Actor[Understood]):
    """Has no clean-up of its own."""

    def __init__(self, course: Course) -> None:
        self.course = course

    async def receive(self, message: Understood) -> object:
        self.course.lines.append(f"{self.context.address} {type(message).__name__}")
        match message:
            case Grow(name, supervision, tidy):
                kind = Branch if tidy else Twig
                return self.context.spawn(
                    lambda: kind(self.course), name, supervision=supervision, mailbox_size=2
                )
            case Do():
                for _ in range(message.turns):
                    await asyncio.sleep(0)
                return await self.do(message)
            case Piped() | Tick():
                return None

    async def do(self, message: Do) -> object:
        match message.deed:
            case "answer":
                return "done"
            case "fail":
                raise ValueError("told to fail")
            case "hang":
                await self.course.gate.wait()
            case "defer":
                return self.context.defer(message)
            case "stop":
                self.context.stop()
            case "tick":
                self.context.call_after(0, Tick())
            case "pipe" if message.to is not None:
                self.context.pipe(message.to, Do("answer", 1), Piped)
            case "watch" if message.to is not None:
                self.context.watch(message.to)
        return "done"

    async def signalled(self, signal: Terminated | ChildFailed) -> None:
        told = f"{type(signal).__name__} {signal.ref.address}"
        self.course.lines.append(f"{self.context.address} {told}")


class Branch(Twig):
    """Cleans up, which takes a turn."""

    async def started(self) -> None:
        self.course.started(self.context.address)

    async def stopped(self) -> None:
        await asyncio.sleep(0)  # a clean-up that waits isn't cut short
        self.course.stopped(self.context.address)


DEEDS = ("answer", "fail", "hang", "defer", "stop", "tick", "pipe", "watch")
POLICIES = (Supervision.stop(), Supervision.escalate(), Supervision.restart(2, 60))


@frozen
class Step:
    """Something to do with one actor of the tree; numbers are taken modulo what there is."""

    verb: str
    actor: int
    other: int = 0
    turns: int = 0
    tidy: bool = True


VERBS = ("grow", "stop", "cancel", *DEEDS)


async def live(
    steps: list[Step],
    ending: str,
    order: Callable[[int], int] | None,
    patience_s: float | None = None,
) -> tuple[Course, list[str]]:
    """Grow a tree and let it live; its course, and how each request ended.

    Args:
        steps: What is done, one after the other.
        ending: How the system is left: "leave", "raise" or "cancel".
        order: As in `ActorSystem`.
        patience_s: How long an actor that hangs may take to spawn a child, in seconds.
    """
    course = Course()
    ends: list[str] = []

    async def ask(ref: ActorRef[Understood], request: Do) -> None:
        try:
            ends.append(await ref.ask(request))
        except ActorError as error:
            ends.append(type(error).__name__)

    async with anyio.create_task_group() as tasks:
        try:
            async with ActorSystem(order=order) as system:
                policy = Supervision.restart(3, 60)
                tree: list[ActorRef[Understood]] = [
                    system.spawn(lambda: Branch(course), "0", supervision=policy)
                ]
                for number, step in enumerate(steps, start=1):
                    ref, other = tree[step.actor % len(tree)], tree[step.other % len(tree)]
                    match step.verb:
                        case "grow":
                            policy = POLICIES[step.other % len(POLICIES)]
                            grow = Grow(str(number), policy, step.tidy)
                            try:
                                tree.append(await ref.ask(grow, timeout_s=patience_s))
                            except ActorError as error:
                                course.lines.append(f"grow: {type(error).__name__}")
                        case "stop":
                            tasks.start_soon(ref.stop)
                        case "cancel":
                            tasks.start_soon(ref.cancel)
                        case deed:
                            tasks.start_soon(ask, ref, Do(deed, step.turns, other))
                    for _ in range(step.turns):
                        await asyncio.sleep(0)
                if ending == "raise":
                    raise KeyError("the body")
                if ending == "cancel":
                    for ref in tree:
                        tasks.start_soon(ref.cancel)
                else:
                    course.gate.set()
        except (KeyError, ValueError) as error:
            course.lines.append(f"left by {error!r}")
    return course, ends


def drawn(seed: int) -> tuple[Course, list[str]]:
    """The course of a tree that is drawn, as are the choices who is served next."""
    draw = random.Random(seed)
    verbs = [verb for verb in VERBS if verb not in ("hang", "defer")]
    steps = [
        Step(draw.choice(verbs), draw.randrange(9), draw.randrange(9), draw.randrange(4))
        for _ in range(60)
    ]
    return asyncio.run(live(steps, "leave", draw.randrange))


if __name__ == "__main__":
    lived, answers = drawn(int(sys.argv[1]))
    sys.stdout.write("\n".join([*lived.lines, *answers, ""]))
