"""What each node of a running group is doing, as its events tell."""

from attrs import define, field

from callboard.events import (
    ActionEnded,
    ActionStarted,
    CallAnswered,
    CallMade,
    Event,
    Health,
    JobCreated,
    JobEnded,
    Result,
    TestCaseResult,
    TestRunEnded,
    TestRunStarted,
    WaitHopeless,
)


@define
class Node:
    """A node at one moment.

    Attributes:
        actions: The running actions, the innermost last: level and name.
        suite: The definition that is running.
        waiting: What it waits for, and since when, by the call's `seq`.
        health: Set when its job has ended.
    """

    job: int
    role: str
    device: str
    actions: list[str] = field(factory=list[str])
    suite: str | None = None
    waiting: dict[int, tuple[str, float]] = field(factory=dict[int, tuple[str, float]])
    passed: int = 0
    failed: int = 0
    health: Health | None = None

    @property
    def doing(self) -> str:
        """The definition that is running, or the innermost action."""
        if self.health is not None:
            return self.health
        return self.suite or (self.actions[-1] if self.actions else "-")

    @property
    def wait(self) -> tuple[str, float] | None:
        """What it has been waiting for longest, and since when."""
        return next(iter(self.waiting.values()), None)


class Nodes:
    """Every node of a group; a sink of events."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        body = event.body
        if isinstance(body, JobCreated):
            self.nodes[body.job] = Node(body.job, body.role or "-", body.device)
            return
        node = self.nodes.get(getattr(body, "job", -1))
        if node is None:
            return
        match body:
            case ActionStarted(level=level, name=name):
                node.actions.append(f"{level} {name}")
            case ActionEnded(level=level, name=name):
                if f"{level} {name}" in node.actions:
                    node.actions.remove(f"{level} {name}")
            case TestRunStarted(suite=suite):
                node.suite = suite
            case TestRunEnded(result=result):
                node.suite = None
                self._count(node, result, counts_as_pass=False)
            case TestCaseResult(result=result):
                self._count(node, result)
            case CallMade(limit_s=limit) if limit is not None:
                name = "" if body.call == "start" else f" {body.id}"
                role = f" {body.role}" if body.role else ""
                node.waiting[event.seq] = (f"{body.call}{name}{role}", event.time_s)
            case WaitHopeless() if event.cause in node.waiting:
                what, since_s = node.waiting[event.cause]
                node.waiting[event.cause] = (f"{what} in vain", since_s)
            case CallAnswered():
                node.waiting.pop(event.cause or 0, None)
            case JobEnded(health=health):
                node.health = health
                node.waiting.clear()
            case _:
                pass

    @staticmethod
    def _count(node: Node, result: Result, *, counts_as_pass: bool = True) -> None:
        node.passed += counts_as_pass and result == "pass"
        node.failed += result == "fail"
