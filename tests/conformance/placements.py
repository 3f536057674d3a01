"""Where the definitions of rules are run, and what can be seen there."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from attrs import evolve, field, frozen
from tests.cluster.server import Server
from tests.commandline import callboard
from tests.conformance.rule import DEFINITIONS, Ends, Rule, run
from tests.conformance.systems import CONTAINERS
from tests.conformance.vlans import VLANS
from tests.coordinator.running import Coordinator
from tests.system.boxes import clear
from tests.system.harness import Callboard, Ran

_HOPELESS = 4
_HOPELESS_THERE = (
    *("call-of-the-ended", "inessential-failure", "start-not-after-failure"),
    *("sync-fails-for-all", "waits-in-a-circle"),
)
_NAMING = ("start-time-out", "wait-all-includes-caller")


class Placement(Protocol):
    """Where groups run."""

    @property
    def excepted(self) -> Mapping[str, str]:
        """Rules that can't be seen there, and why."""
        ...

    def run(self, rule: Rule, board: Callboard) -> Ran:
        """Run the definition of a rule to its end."""
        ...

    def expected(self, rule: Rule, ran: Ran) -> Rule:
        """What of a rule can be seen there."""
        ...


class OneProcess:
    """The group and its nodes in one process of this machine."""

    excepted: Mapping[str, str] = {}

    def run(self, rule: Rule, board: Callboard) -> Ran:
        """See `Placement.run`."""
        return run(rule, board)

    def expected(self, rule: Rule, ran: Ran) -> Rule:  # noqa: ARG002 - all of it can be seen
        """See `Placement.expected`."""
        return rule


class VirtualTime:
    """The same actors on simulated devices."""

    excepted: Mapping[str, str] = {
        "action-time-out-first": "a wait that nobody can satisfy ends there before any time-out",
        "call-of-no-action-strict": "nothing is skipped there, so that there is no --strict",
        "essential-infrastructure-error": "its node kills its own shell, which is a model there",
        "placeholder-first-sender": "its nodes go by their ids, and the seed decides instead",
        "start-after-all": "its nodes go by their ids, and the seed decides instead",
    }

    def run(self, rule: Rule, board: Callboard) -> Ran:
        """See `Placement.run`."""
        directory = board.folder / "run"
        directory.mkdir()
        words = ("simulate", rule.path, "--json", "--trace", directory / "events.jsonl")
        check = () if rule.errors and not rule.ends else ("--no-check",)
        ran = callboard(board.folder, *words, *check, **board.environment)
        return Ran(ran.returncode, json.loads(ran.stdout), directory, ran.stderr)

    def expected(self, rule: Rule, ran: Ran) -> Rule:
        """Nodes print nothing that their own commands would, and no time is waited in vain."""
        ends = {node: Ends(each.health, each.error) for node, each in rule.ends.items()}
        code = _HOPELESS if ran.document.get("hopeless") else rule.exit_code
        return evolve(rule, printed={}, log={}, under_s=None, ends=ends, exit_code=code)


@frozen
class Machines:
    """A cluster: the group on one worker, its nodes on several.

    Attributes:
        url: Of its server.
        excepted: See `Placement.excepted`.
    """

    url: str
    excepted: Mapping[str, str] = field(
        factory=lambda: {each.name: "VLANs are for groups on one machine" for each in VLANS.rules}
    )

    def run(self, rule: Rule, board: Callboard) -> Ran:
        """See `Placement.run`; devices are those of the workers."""
        options = list(rule.options)
        if "--devices" in options:
            at = options.index("--devices")
            del options[at : at + 2]
        return board.run(rule.path, "--first-id", "1", "--nats", self.url, *options)

    def expected(self, rule: Rule, ran: Ran) -> Rule:  # noqa: ARG002 - all of it can be seen
        """See `Placement.expected`."""
        return rule


@frozen
class Elsewhere:
    """The nodes on this machine, and their coordinator in a server of its own.

    Attributes:
        url: Of the server, which takes the protocol as LAVA documents it.
        excepted: See `Placement.excepted`.
    """

    url: str
    excepted: Mapping[str, str] = field(
        factory=lambda: {
            **{each.name: "no coordinator has to do with containers" for each in CONTAINERS.rules},
            **dict.fromkeys(_NAMING, "the protocol doesn't tell who has not called"),
            **dict.fromkeys(_HOPELESS_THERE, "waits are given up at their limits only"),
            "start-of-named-roles": "the protocol has one start for all",
        }
    )

    def run(self, rule: Rule, board: Callboard) -> Ran:
        """See `Placement.run`."""
        options = ("--first-id", "1", "--coordinator", self.url, "--poll-delay", "0.2")
        return board.run(rule.path, *options, *rule.options)

    def expected(self, rule: Rule, ran: Ran) -> Rule:  # noqa: ARG002 - all of it can be seen
        """See `Placement.expected`."""
        return rule


@contextlib.contextmanager
def open_coordinator(folder: Path) -> Iterator[str]:
    """A server of LAVA's protocol, for definitions that run one after the other; its URL."""
    with Coordinator(folder, ("--semantics", "documented", "--hold")) as server:
        yield f"lava://127.0.0.1:{server.port}"


@contextlib.contextmanager
def open_cluster(folder: Path) -> Iterator[str]:
    """A server and three workers, for definitions that run one after the other; its URL."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(folder / "nats"))
        for name in ("rack-1", "rack-2"):
            stack.enter_context(_worker(folder, server.url, name, "--nodes", "4"))
        devices = str(DEFINITIONS.with_name("devices.yaml"))
        stack.enter_context(_worker(folder, server.url, "bench", "--devices", devices))
        yield server.url


@contextlib.contextmanager
def _worker(folder: Path, url: str, name: str, *options: str) -> Iterator[None]:
    own = folder / name
    temporary = own / "tmp"
    temporary.mkdir(parents=True)
    variables = {
        "CALLBOARD_NATS": url,
        "CALLBOARD_STATE": str(own / "state"),
        "CALLBOARD_CACHE": str(own / "cache"),
        "TMPDIR": str(temporary),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "callboard", "worker", "--json", "--name", name, *options],
        stdout=subprocess.PIPE,
        env=os.environ | variables,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            for line in process.stdout:
                if json.loads(line)["fact"] == "ready":
                    break
            yield
        finally:
            process.terminate()
            process.stdout.read()
            code = process.wait()
            clear(Callboard(own, temporary, state=own / "state"))
    assert code == 0
    assert list(temporary.iterdir()) == []
