"""Groups whose nodes are real containers, and what is left of them."""

import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import yaml
from attrs import frozen
from tests.commandline import CALLBOARD
from tests.system.harness import Callboard, Test, inline
from tests.system.lxc import Yard

BUSYBOX: Mapping[str, object] = {"template": "busybox", "distribution": "busybox", "release": "1"}
DEBIAN: Mapping[str, object] = {
    "template": "debian",
    "distribution": "debian",
    "release": "bookworm",
}
FOREVER = Test("t", ["lava-test-case up --result pass", "sleep 4711"])


def group(
    roles: Mapping[str, Sequence[Test]],
    *,
    counts: Mapping[str, int] | None = None,
    container: Mapping[str, object] | None = None,
    role: Mapping[str, Mapping[str, object]] | None = None,
    deploy: Mapping[str, object] | None = None,
    boot: Mapping[str, object] | None = None,
    test_s: int = 60,
) -> str:
    """A job definition in which each role runs its tests in its own containers.

    Args:
        roles: The tests of each role.
        counts: How many nodes a role has; 1 where nothing is said.
        container: What the containers are, besides their names; busybox where nothing is said.
        role: More keys of a role.
        deploy: More keys of the deploy block of all.
        boot: More keys of the boot block of all.
        test_s: Limit of a test block, and of a call, in seconds.
    """
    names = list(roles)
    described = {
        name: {
            "device_type": "lxc",
            "count": (counts or {}).get(name, 1),
            **(role or {}).get(name, {}),
        }
        for name in names
    }
    actions: list[object] = [
        {"deploy": {"role": names, "to": "lxc", **(deploy or {})}},
        {"boot": {"role": names, "method": "lxc", "prompts": ["#"], **(boot or {})}},
    ]
    actions += [
        {
            "test": {
                "role": [name],
                "timeout": {"seconds": test_s},
                "definitions": [inline(test) for test in tests],
            }
        }
        for name, tests in roles.items()
    ]
    return yaml.safe_dump(
        {
            "job_name": "boxes",
            "visibility": "public",
            "timeouts": {"job": {"minutes": 10}, "action": {"minutes": 5}},
            "protocols": {
                "lava-multinode": {"roles": described, "timeout": {"seconds": test_s}},
                "lava-lxc": {name: {"name": name, **(container or BUSYBOX)} for name in names},
            },
            "actions": actions,
        },
        sort_keys=False,
    )


def rack(callboard: Callboard, *names: str, **keys: object) -> list[str]:
    """The options for devices of the driver `lxc` with these keys."""
    devices = {name: {"type": "lxc", "driver": "lxc", **keys} for name in names}
    path = callboard.folder / "rack.yaml"
    path.write_text(yaml.safe_dump({"devices": devices}))
    return ["--devices", str(path)]


def unreachable(callboard: Callboard, *names: str) -> list[str]:
    """The options for containers of busybox that never ask for an address."""
    script = callboard.folder / "rcS"
    script.write_text("#!/bin/sh\n:\n")
    script.chmod(0o755)
    return rack(callboard, *names, mounts=[{"source": str(script), "target": "/etc/init.d/rcS"}])


def tools_without(prefix: str, folder: Path) -> str:
    """A `PATH` with all tools of this machine but those that are called so."""
    folder.mkdir()
    for each in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for tool in Path(each).iterdir():
            link = folder / tool.name
            if not tool.name.startswith(prefix) and not link.is_symlink():
                link.symlink_to(tool)
    return str(folder)


def yard(callboard: Callboard) -> Yard:
    """Where the containers of this test are."""
    return Yard(callboard.state / "lxc")


def left(callboard: Callboard) -> list[str]:
    """Everything that is left of containers: they themselves, processes, mounts, locks."""
    found = yard(callboard)
    return [*found.names(), *found.left()] if found.folder.exists() else []


def collect(callboard: Callboard, *options: str) -> str:
    """What `callboard lxc gc` says."""
    ran = subprocess.run(
        [*CALLBOARD, "lxc", "gc", *options],
        env=callboard.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    return ran.stdout


def clear(callboard: Callboard) -> None:
    """Remove all containers of a test, persistent ones too, and their bases."""
    found = yard(callboard)
    if found.folder.exists():
        for name in found.names():
            anyio.run(found.destroy, name)
        collect(callboard, "--bases")


@frozen
class Running:
    """A run that was begun, and what it has recorded so far."""

    process: "subprocess.Popen[str]"
    log: Path

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until a text stands so often in the log."""
        deadline_s = time.monotonic() + 120
        while not self.log.exists() or self.log.read_text().count(text) < times:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline_s, self.log.read_text()[-2_000:]
            select.select([], [], [], 0.005)  # the log is a file: there is no event to wait for

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def await_note(self, text: str) -> None:
        """Wait until it says a text to the user."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"it has never said {text!r}")

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        stdout, stderr = self.process.communicate(timeout=120)
        assert "Traceback" not in stdout + stderr
        return self.process.returncode


def begin(callboard: Callboard, definition: str, *options: str, name: str = "begun") -> Running:
    """Begin a run."""
    path = callboard.folder / f"{name}.yaml"
    path.write_text(definition)
    directory = callboard.folder / name
    process = callboard.start("run", str(path), "--no-check", "-o", str(directory), *options)
    return Running(process, directory / "events.jsonl")
