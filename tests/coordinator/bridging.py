"""Runs that join a group at a coordinator elsewhere, for tests."""

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

from attrs import define, field
from tests.system.harness import Callboard, Ran


def delayed(text: str, role: str, by: str) -> str:
    """The definition with a role whose nodes wait for a start."""
    old = f"{role}:\n        device_type: qemu\n"
    assert old in text
    return text.replace(old, f"{old}        request: lava-start\n        expect_role: {by}\n")


@define(eq=False)
class Run:
    """A `callboard run` that joins the group "g"."""

    popen: "subprocess.Popen[str]"
    directory: Path
    said: list[str] = field(factory=list[str])

    def until(self, text: str) -> str:
        """Wait until it has said so; the line."""
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.said.append(line)
            if text in line:
                return line
        raise AssertionError(f"it has never said '{text}', but {self.said}")

    def end(self) -> Ran:
        """Wait for its end."""
        stdout, stderr = self.popen.communicate(timeout=60)
        document = json.loads(stdout)
        return Ran(self.popen.returncode, document, self.directory, "".join(self.said) + stderr)


def start(
    stack: ExitStack, board: Callboard, text: str, address: tuple[str, int], *options: str
) -> Run:
    """Start a run; it is ended with the test at the latest."""
    directory = board.folder / f"run-{len(list(board.folder.glob('run-*')))}"
    directory.mkdir()
    url = f"lava://{address[0]}:{address[1]}"
    popen = board.start(
        *("run", str(board.write(text)), "--json", "-v", "--no-check", "-o", str(directory)),
        *("--first-id", "101"),
        *("--coordinator", url, "--group", "g", "--poll-delay", "0.1", *options),
    )
    stack.enter_context(popen)
    stack.callback(popen.terminate)
    return Run(popen, directory)
