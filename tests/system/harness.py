"""Drives the command line as a user does, and reads what a run leaves."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from attrs import field, frozen
from tests import commandline
from tests.commandline import CALLBOARD

from callboard.events import Body, Event, read_log


@frozen
class Test:
    """A test definition: its name and its steps, and the packages that it needs."""

    __test__ = False
    name: str
    steps: Sequence[str]
    install: Sequence[str] = ()
    parameters: Mapping[str, str] = field(factory=dict[str, str])
    packages: Sequence[str] = ()


def definition(
    roles: Mapping[str, Sequence[Test]],
    *,
    counts: Mapping[str, int] | None = None,
    limit_s: int = 30,
    action_s: int = 60,
    os_name: str = "debian",
    **more: object,
) -> str:
    """A job definition in which each role runs its tests on its own nodes."""
    names = list(roles)
    protocol = {
        "roles": {
            name: {"device_type": "qemu", "count": (counts or {}).get(name, 1)} for name in names
        },
        "timeout": {"seconds": limit_s},
    }
    actions: list[dict[str, object]] = [
        {"deploy": {"role": names, "to": "tmpfs", "os": os_name, "images": {"rootfs": _IMAGE}}},
        {"boot": {"role": names, "method": "qemu", "prompts": ["#"]}},
    ]
    actions += [
        {"test": {"role": [name], "definitions": [inline(test) for test in tests]}}
        for name, tests in roles.items()
        if tests
    ]
    return yaml.safe_dump(
        {
            "job_name": "test",
            "visibility": "public",
            "timeouts": {"job": {"minutes": 10}, "action": {"seconds": action_s}},
            "protocols": {"lava-multinode": protocol},
            "actions": actions,
            **more,
        },
        sort_keys=False,
        allow_unicode=True,
    )


_IMAGE = {"url": "http://files.example/rootfs.img"}


def inline(test: Test) -> dict[str, object]:
    """A test definition as a test block names it."""
    content: dict[str, object] = {
        "metadata": {"format": "Lava-Test Test Definition 1.0", "name": test.name},
        "run": {"steps": list(test.steps)},
    }
    if test.install or test.packages:
        content["install"] = {"steps": list(test.install), "deps": list(test.packages)}
    if test.parameters:
        content["parameters"] = dict(test.parameters)
    return {
        "from": "inline",
        "name": test.name,
        "path": f"inline/{test.name}.yaml",
        "repository": content,
    }


@frozen
class Ran:
    """How a run of `callboard run` ended."""

    exit_code: int
    document: Any
    directory: Path
    stderr: str

    def jobs(self, role: str) -> list[Any]:
        """The jobs of a role, as the JSON document has them."""
        return [job for job in self.document["jobs"] if job["role"] == role]

    def results(self, role: str, number: int = 0) -> dict[str, str]:
        """`suite/case` and result of every test case of one node, without suite `lava`."""
        return {
            f"{each['suite']}/{each['case']}": each["result"]
            for each in self.jobs(role)[number]["results"]
            if each["suite"] != "lava"
        }

    def suites(self, role: str, number: int = 0) -> dict[str, str]:
        """The definitions of one node and how they ended, as suite `lava` has them."""
        return {
            each["case"]: each["result"]
            for each in self.jobs(role)[number]["results"]
            if each["suite"] == "lava" and each["case"][0].isdigit()
        }

    def events(self, *kinds: type[Body]) -> list[Event]:
        """The events of these kinds."""
        return [
            each
            for each in read_log(self.directory / "events.jsonl")
            if isinstance(each.body, kinds)
        ]

    def console(self, role: str) -> list[str]:
        """What the first node of a role printed, from its log in LAVA's form."""
        [job, *_] = self.jobs(role)
        log = yaml.load(
            (self.directory / f"jobs/{job['id']}/output.yaml").read_text(), yaml.CSafeLoader
        )
        return [entry["msg"] for entry in log if entry["lvl"] == "target"]


def _running() -> Iterator[tuple[int, str, bytes]]:
    """Every process that can be looked at: its id, PID namespace and environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                space = str((entry / "ns/pid").readlink())
                yield int(entry.name), space, (entry / "environ").read_bytes()


@frozen
class Callboard:
    """The command line, in a folder of its own in which nothing may be left.

    `prefix` is what it is started with, such as the words that make it another user's; `path`
    is where it finds tools, if not where this test does.
    """

    folder: Path
    temporary: Path
    prefix: tuple[str, ...] = ()
    path: str | None = None
    state: Path = field()

    @state.default
    def _own_state(self) -> Path:
        return self.folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        """What a callboard of this test is started with."""
        return os.environ | {
            "CALLBOARD_STATE": str(self.state),
            "CALLBOARD_CACHE": str(self.folder / "cache"),
            "TMPDIR": str(self.temporary),
            "COLUMNS": "80",
            "PATH": self.path or os.environ["PATH"],
        }

    def write(self, text: str) -> Path:
        """Put a definition into a file."""
        path = self.folder / "group.yaml"
        path.write_text(text)
        return path

    def start(self, *arguments: str, cwd: Path | None = None) -> "subprocess.Popen[str]":
        """Start the command line, in the test's folder or another one."""
        return subprocess.Popen(
            [*self.prefix, *CALLBOARD, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd or self.folder,
            env=self.environment,
            text=True,
        )

    def run(
        self,
        definition: str | Path,
        *options: str,
        timeout_s: float = 90,
        cwd: Path | None = None,
    ) -> Ran:
        """Run a definition to its end with `--json`, also one that the check would refuse."""
        directory, words = self._words(definition, options)
        process = self.start(*words, cwd=cwd)
        stdout, stderr = process.communicate(timeout=timeout_s)
        assert "Traceback" not in stderr
        return Ran(process.returncode, json.loads(stdout), directory, stderr)

    def _words(
        self, definition: str | Path, options: Sequence[str]
    ) -> tuple[Path, tuple[str, ...]]:
        """Where the run is recorded, and the words of its command line."""
        path = self.write(definition) if isinstance(definition, str) else definition
        directory = self.folder / "run"
        return directory, ("run", str(path), "--json", "--no-check", "-o", str(directory), *options)

    def processes(self) -> Iterator[int]:
        """The living processes of this test, in a sandbox or not.

        They are found by their environment, and those of a sandbox by its first process, which
        has it from callboard.
        """
        wanted = str(self.temporary).encode()
        own = str(Path("/proc/self/ns/pid").readlink())
        found = {each: space for each, space, variables in _running() if wanted in variables}
        spaces = set(found.values()) - {own}
        yield from found
        yield from (each for each, space, _ in _running() if space in spaces and each not in found)


@frozen
class Inside(Callboard):
    """The same, but a run to the end is in the test's own process: it needn't load callboard."""

    def run(
        self,
        definition: str | Path,
        *options: str,
        timeout_s: float = 90,
        cwd: Path | None = None,
    ) -> Ran:
        """Run a definition to its end; see `Callboard.run`. What is to have a prefix is started."""
        if self.prefix:
            return super().run(definition, *options, timeout_s=timeout_s, cwd=cwd)
        directory, words = self._words(definition, options)
        ran = commandline.callboard(cwd or self.folder, *words, **self.environment)
        return Ran(ran.returncode, json.loads(ran.stdout), directory, ran.stderr)
