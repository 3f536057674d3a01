"""Workers' processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from tests.cluster.server import Server
from tests.commandline import callboard


@define(eq=False)
class Process:
    """A worker's process, and what it has said."""

    popen: "subprocess.Popen[str]"
    facts: list[dict[str, str]] = field(factory=list[dict[str, str]])

    def until(self, kind: str, text: str = "") -> dict[str, str]:
        """The next fact of this kind with this text; fails at the end of the process."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            fact = json.loads(line)
            self.facts.append(fact)
            if fact["fact"] == kind and text in fact["text"]:
                return dict(fact)
        raise AssertionError((self.facts, self.popen.wait(), self.rest()))

    def rest(self) -> str:
        """What is on standard error."""
        assert self.popen.stderr is not None
        return self.popen.stderr.read()

    def end(self, number: signal.Signals) -> int:
        """Send it a signal, and wait for its end."""
        self.popen.send_signal(number)
        return self.popen.wait(30)


@contextmanager
def a_worker(
    server: Server, *arguments: str, prefix: Sequence[str] = (), **variables: str
) -> Iterator[Process]:
    """A worker of a server's cluster, from when its process is started, by `prefix` if any."""
    command = [sys.executable, "-m", "callboard", "worker", "--nats", server.url, "--json"]
    popen = subprocess.Popen(
        [*prefix, *command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
    )
    try:
        yield Process(popen)
    finally:
        popen.kill()
        popen.communicate()


def cluster_devices(server: Server, folder: Path) -> dict[str, Any]:
    """What `callboard devices` says of the cluster."""
    ran = callboard(folder, "devices", "--nats", server.url, "--json")
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def make_cluster(server: Server, folder: Path) -> None:
    """Make a cluster whose lease is short."""
    ran = callboard(folder, "cluster", "init", "--nats", server.url, "--lease", "2")
    assert ran.returncode == 0, ran.stderr
