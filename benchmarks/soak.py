"""A coordinator for ten minutes: many groups come, talk and end, or don't, and it is killed.

    python -m benchmarks.soak [--minutes 10] [--groups 100]

The coordinator keeps its groups on the disk, holds answers back and forgets groups that nobody
asks for. Of some groups all clients vanish. What was acknowledged is checked wherever it comes
back: an answer that contradicts it ends the run. A line a minute says how it does.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from statistics import mean, quantiles
from typing import Any, TypeAlias

from attrs import define, field, frozen

from benchmarks.clients import Clients, request
from benchmarks.coordinators import free_port

Asking: TypeAlias = Generator[bytes, Any, None]
"""What a client does: yields requests, is sent the documents of their replies."""

_POLL_DELAY_S = 0.5
_FORGET_AFTER_S = 20
_KILLS_EVERY_S = 75.0
_SAMPLES_EVERY_S = 1.0
_VANISHING = 0.02
_SIZES = (2, 2, 3, 4, 6, 10, 40)
_ROUNDS = 3
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class WrongError(Exception):
    """The coordinator has contradicted what it had acknowledged."""


@frozen
class Sample:
    """The coordinator at one moment.

    Attributes:
        at_s: When, since the beginning.
        memory_bytes: Its resident memory.
        descriptors: How many files it had open.
        disk_bytes: What its directory took.
        segments: How many files were in there.
    """

    at_s: float
    memory_bytes: int
    descriptors: int
    disk_bytes: int
    segments: int


@define
class Tally:
    """What was counted.

    Attributes:
        answers: How many requests were answered.
        lost: How many were not, since the coordinator was killed.
        begun: How many groups have begun.
        ended: How many have ended in order.
        abandoned: How many were left by their clients, which vanished.
        latencies_s: How long a `lava_send` took until it was acknowledged, on the disk.
        samples: How the coordinator did.
        kills: How often it was killed.
    """

    answers: int = 0
    lost: int = 0
    begun: int = 0
    ended: int = 0
    abandoned: int = 0
    latencies_s: list[float] = field(factory=list[float])
    samples: list[Sample] = field(factory=list[Sample])
    kills: int = 0


@define(eq=False)
class Coordinator:
    """The process, which keeps its port and its directory."""

    folder: Path
    port: int = field(factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it; it serves a little later."""
        options = ["--port", str(self.port), "--socket", str(self.folder / "status")]
        durable = ["--state", str(self.state), "--forget-after", str(_FORGET_AFTER_S), "--hold"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "callboard", "coordinator", *options, *durable],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self, number: signal.Signals) -> None:
        """Send it a signal, and wait for its end."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)

    @property
    def state(self) -> Path:
        """Where its groups are."""
        return self.folder / "state"

    def sample(self, at_s: float) -> Sample | None:
        """How it does; None if it has just ended."""
        assert self._process is not None
        own = Path(f"/proc/{self._process.pid}")
        try:
            memory = int((own / "statm").read_text().split()[1]) * _PAGE_BYTES
            descriptors = len(list((own / "fd").iterdir()))
            sizes = [each.stat().st_size for each in self.state.glob("*.log")]
        except (OSError, IndexError):
            return None
        return Sample(at_s, memory, descriptors, sum(sizes), len(sizes))


@define(eq=False)
class Crowd:
    """All clients of all groups.

    Attributes:
        clients: Their connections.
        tally: What they have seen.
        at_a_time: How many groups there are.
        parties: The groups that have not ended.
    """

    clients: Clients
    tally: Tally
    at_a_time: int
    parties: "dict[str, Party]" = field(factory=dict)
    _chance: random.Random = field(factory=lambda: random.Random(1))
    _ending: bool = False

    def begin(self) -> None:
        """Have as many groups as there are to be."""
        for _ in range(self.at_a_time):
            self.clients.later(self._chance.random() * 5, self.have_another)

    def end(self) -> bool:
        """Begin no more groups; whether the last has ended."""
        self._ending = True
        return not self.parties

    def have_another(self) -> None:
        """Begin a group, unless it is enough."""
        if self._ending:
            return
        size = self._chance.choice(_SIZES)
        vanishing = self._chance.random() < _VANISHING * size
        steps = self._chance.randrange(2, 9) if vanishing else None
        party = Party(self, f"soak-{self.tally.begun}", size, steps)
        self.tally.begun += 1
        self.parties[party.name] = party
        party.begin()


@define(eq=False)
class Party:
    """The clients of a group.

    Attributes:
        crowd: Where it belongs.
        name: The group's.
        size: How many clients it has.
        steps: After how many requests each of them vanishes; None if they don't.
        asked: What each client asks, those that have ended excepted.
    """

    crowd: Crowd
    name: str
    size: int
    steps: int | None
    asked: dict[int, bytes] = field(factory=dict[int, bytes])
    _lives: dict[int, Asking] = field(factory=dict[int, Asking])
    _taken: dict[int, int] = field(factory=dict[int, int])
    _ends: bool = False

    def begin(self) -> None:
        """Have all clients ask for the first time."""
        for client in range(self.size):
            self._lives[client] = asking = life(self.name, client, self.size)
            self._ask(client, next(asking))

    def _ask(self, client: int, asked: bytes) -> None:
        self.asked[client] = asked
        self._taken[client] = self._taken.get(client, 0) + 1
        if self._taken[client] == self.steps:
            self._leave(client)
            return
        began_s = time.monotonic()
        self.crowd.clients.ask(asked, lambda reply: self._told(client, asked, reply, began_s))

    def _told(self, client: int, asked: bytes, reply: bytes, began_s: float) -> None:
        crowd, tally = self.crowd, self.crowd.tally
        document = json.loads(reply) if reply else {"response": "wait"}
        tally.answers += bool(reply)
        tally.lost += not reply
        if not reply and b"clear_group" in asked:
            self._ends = True  # it may count twice, so that the group ends before all have left
        if b"lava_send" in asked and reply:
            tally.latencies_s.append(time.monotonic() - began_s)
        if document["response"] == "wait":
            crowd.clients.later(_POLL_DELAY_S, lambda: self._ask(client, asked))
            return
        try:
            following = self._lives[client].send(document)
        except StopIteration:
            self._leave(client)
        except WrongError:
            if not self._ends:
                raise
            self._leave(client)
        else:
            self._ask(client, following)

    def _leave(self, client: int) -> None:
        crowd = self.crowd
        del self.asked[client]
        if self.asked:
            return
        if self.steps is None:
            crowd.tally.ended += 1
        else:
            crowd.tally.abandoned += 1
        del crowd.parties[self.name]
        crowd.have_another()


def life(group: str, client: int, size: int) -> Asking:
    """What a client does in its group, and what it has to be told.

    Raises:
        WrongError: It was told something else.
    """

    def asked(name: str, id_: str, **fields: object) -> bytes:
        return request(group, client, name, 0, messageID=id_, poll_delay=_POLL_DELAY_S, **fields)

    def check(what: str, found: Any, expected: object) -> None:
        if found != expected:
            raise WrongError(f"{group}, {client}: {what} gave {found}, not {expected}")

    reply = yield request(group, client, "group_data", size=size, poll_delay=_POLL_DELAY_S)
    check("group_data", reply.get("roles"), {str(each): "client" for each in range(size)})
    for turn in range(_ROUNDS):
        own = {"turn": turn, "by": client}
        reply = yield asked("lava_send", f"all-{turn}", message=own)
        check("lava_send", reply, {"response": "ack"})
        reply = yield asked("lava_wait_all", f"all-{turn}")
        everybody = {str(each): {"turn": turn, "by": each} for each in range(size)}
        check("lava_wait_all", reply.get("message"), everybody)
        if client == turn % size:
            reply = yield asked("lava_send", f"one-{turn}", message=own)
            check("lava_send", reply, {"response": "ack"})
        reply = yield asked("lava_wait", f"one-{turn}")
        check(
            "lava_wait", reply.get("message"), {str(turn % size): {"turn": turn, "by": turn % size}}
        )
        reply = yield asked("lava_sync", f"sync-{turn}")
        check("lava_sync", reply, {"response": "ack", "message": f"sync-{turn}"})
    reply = yield request(group, client, "clear_group", size=size)
    check("clear_group", reply, {"response": "ack"})


def soak(minutes: float, groups: int) -> Tally:
    """Do all of it; prints a line a minute."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        coordinator = Coordinator(Path(folder))
        coordinator.start()
        clients = Clients(coordinator.port)
        crowd = Crowd(clients, tally, groups)
        began_s = time.monotonic()

        def sample() -> None:
            found = coordinator.sample(time.monotonic() - began_s)
            if found is not None:
                tally.samples.append(found)
            clients.later(_SAMPLES_EVERY_S, sample)

        def kill() -> None:
            coordinator.end(signal.SIGKILL)
            coordinator.start()
            tally.kills += 1
            clients.later(_KILLS_EVERY_S, kill)

        def say() -> None:
            print(_line(tally, time.monotonic() - began_s), flush=True)
            clients.later(60.0, say)

        try:
            crowd.begin()
            clients.later(5.0, sample)
            clients.later(_KILLS_EVERY_S, kill)
            clients.later(60.0, say)
            end_s = began_s + minutes * 60
            clients.run(lambda: time.monotonic() > end_s, minutes * 60 + 60)
            try:
                clients.run(crowd.end, 60)
            except TimeoutError:
                for party in crowd.parties.values():
                    print(f"not ended: {party.name} of {party.size}, {party.asked}")
            print(_line(tally, time.monotonic() - began_s), flush=True)
        finally:
            clients.close()
            coordinator.end(signal.SIGTERM)
            print((Path(folder) / "log").read_text()[-1500:])
    return tally


def _line(tally: Tally, at_s: float) -> str:
    recent = [each for each in tally.samples if each.at_s > at_s - 60] or tally.samples[-1:]
    latencies = tally.latencies_s[-20_000:]
    hundredths = quantiles(latencies, n=100) if len(latencies) > 1 else [0.0] * 99
    return (
        f"{at_s:5.0f} s  {tally.answers:>9,} answers  {tally.begun:>6,} groups begun, "
        f"{tally.ended:,} ended, {tally.abandoned:,} abandoned  {tally.kills} kills  "
        f"memory {mean(each.memory_bytes for each in recent) / 2**20:.1f} MiB, "
        f"{max(each.descriptors for each in recent)} descriptors, "
        f"disk {max(each.disk_bytes for each in recent) / 2**20:.1f} MiB "
        f"in {max(each.segments for each in recent)} files  "
        f"send p50 {hundredths[49] * 1e3:.1f} ms, p99 {hundredths[98] * 1e3:.1f} ms"
    )


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--groups", type=int, default=100, help="how many there are at a time")
    options = parser.parse_args()
    soak(options.minutes, options.groups)


if __name__ == "__main__":
    main()
