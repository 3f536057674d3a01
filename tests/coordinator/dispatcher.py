"""Dispatchers of LAVA, as far as the coordinator knows of them: clients for tests."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from attrs import define, field
from tests.coordinator.real import PACKAGES

_CLIENT = Path(__file__).with_name("dispatcher_client.py")

Event = tuple[Any, ...]


class Raised(Exception):
    """What a dispatcher's protocol has raised: the class's name, and the text."""


@define(eq=False)
class Dispatcher:
    """The process of one job, with LAVA's own MultinodeProtocol in it.

    Several are to wait for each other, so a call is begun first and ended later.

    Attributes:
        folder: Where its log is.
        port: Where the coordinator listens on loopback.
        job: The job's id.
        role: Its role.
        group: The name of its group.
        size: How many jobs the group has.
        poll_delay_s: How long it waits before it asks again.
        more: More of the job's `lava-multinode`, such as a delayed start.
    """

    folder: Path
    port: int
    job: str
    role: str
    group: str
    size: int
    poll_delay_s: float = 0.1
    more: Mapping[str, object] = field(factory=dict[str, object])
    _process: "subprocess.Popen[str] | None" = None

    def __enter__(self) -> Self:
        """Start the process, without waiting until it has loaded."""
        settings = {
            "port": self.port,
            "blocksize": 4096,
            "poll_delay": self.poll_delay_s,
            "coordinator_hostname": "127.0.0.1",
        }
        configuration = self.folder / f"{self.job}.conf"
        configuration.write_text(json.dumps(settings))
        declared = {
            "target_group": self.group,
            "group_size": self.size,
            "role": self.role,
            **self.more,
        }
        job = {"job_id": self.job, "protocols": {"lava-multinode": declared}}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(_CLIENT), str(configuration), json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"PYTHONPATH": str(PACKAGES)},
            )
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, whatever it does."""
        with self._running as process:
            process.kill()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._running.pid

    # What a job does: it is begun, and ends with `end`

    def set_up(self) -> None:
        """Join the group, and wait for a delayed start."""
        self._command("set_up")

    def send(self, id_: str, **message: object) -> None:
        """`lava-send`."""
        self._call("lava-send", id_, message=message)

    def wait(self, id_: str, **more: object) -> None:
        """`lava-wait`."""
        self._call("lava-wait", id_, **more)

    def wait_all(self, id_: str, role: str | None = None) -> None:
        """`lava-wait-all`."""
        self._call("lava-wait-all", id_, role=role)

    def sync(self, id_: str) -> None:
        """`lava-sync`."""
        self._call("lava-sync", id_)

    def finalise(self) -> None:
        """Leave the group."""
        self._command("finalise")

    # What comes of it

    def until(self, *event: object) -> Event:
        """Wait for an event that begins so, and pass over those before it."""
        while (found := self.event())[: len(event)] != event:
            if found[0] in ("returned", "raised"):
                raise AssertionError(f"job {self.job} {found} before {event}")
        return found

    def end(self) -> Any:
        """Wait for the end of what was begun.

        Returns:
            What the protocol has returned.

        Raises:
            Raised: What it has raised.
        """
        while (found := self.event())[0] not in ("returned", "raised"):
            pass
        if found[0] == "raised":
            raise Raised(*found[1:])
        return found[1]

    def event(self) -> Event:
        """Wait for the next event; see `dispatcher_client`."""
        stdout = self._running.stdout
        assert stdout is not None
        line = stdout.readline()
        assert line, f"the dispatcher has died: {self._log.read_text()[-2000:]}"
        return tuple(json.loads(line))

    def _call(self, request: str, id_: str, **fields: object) -> None:
        self._command("call", {"request": request, "messageID": id_, **fields})

    def _command(self, *command: object) -> None:
        stdin = self._running.stdin
        assert stdin is not None
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()

    @property
    def _running(self) -> "subprocess.Popen[str]":
        assert self._process is not None
        return self._process

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.job}.log"
