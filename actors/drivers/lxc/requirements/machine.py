"""The machine on which containers are to run, as far as a look at it tells."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SYSTEM_FOLDERS = ("usr/local/sbin", "usr/sbin", "sbin")
_ASSIGNMENT = re.compile(r"\s*(\w+)=[\"']?([^\"'\s#]*)")
_LIMIT_S = 5.0


def _own_path() -> str:
    return os.environ.get("PATH", _PATH)


@frozen
class Machine:
    """What can be seen of a machine, without changing it.

    Attributes:
        root: Below which its files are; another one than `/` is a machine made for a test.
        path: Folders of its tools, as in the variable `PATH`.
        user: Number of the user who asks.
    """

    root: Path = Path("/")
    path: str = field(factory=_own_path)
    user: int = field(factory=os.geteuid)

    @property
    def is_root(self) -> bool:
        """Whether it is root who asks."""
        return self.user == 0

    def tool(self, name: str) -> str | None:
        """Path of a tool, None when it is not installed.

        Root's own tools are found for everybody, though they are seldom in an ordinary user's
        `PATH`: that user is not the one who will call them.
        """
        folders = self.path
        if not self.is_root:
            more = (str(self.root / each) for each in _SYSTEM_FOLDERS)
            folders = os.pathsep.join([folders, *more])
        return shutil.which(name, path=folders)

    def exists(self, path: str) -> bool:
        """Whether there is such a file; the path is relative to the machine's root."""
        return (self.root / path).exists()

    def find(self, *patterns: str) -> str | None:
        """The first file that matches a pattern, relative to the machine's root."""
        for pattern in patterns:
            for path in sorted(self.root.glob(pattern)):
                return str(path.relative_to(self.root))
        return None

    def read(self, path: str) -> str:
        """The text of a file, nothing when there is none that can be read."""
        try:
            return (self.root / path).read_text(errors="replace")
        except OSError:
            return ""

    def settings(self, path: str) -> dict[str, str]:
        """Variables that a file of shell assignments sets to plain words."""
        found = map(_ASSIGNMENT.match, self.read(path).splitlines())
        return {each[1]: each[2] for each in found if each}

    def processes(self, program: str) -> Iterator[tuple[int, list[str]]]:
        """The number and the command line of every process that is called so."""
        for folder in sorted((self.root / "proc").glob("[0-9]*")):
            if self.read(f"proc/{folder.name}/comm").strip() == program:
                words = self.read(f"proc/{folder.name}/cmdline").split("\0")
                yield int(folder.name), [each for each in words if each]

    def ask(self, *words: str) -> str:
        """What a tool prints; nothing when it fails, hangs, or is not there."""
        program = self.tool(words[0])
        if program is None:
            return ""
        try:
            ran = subprocess.run(
                [program, *words[1:]],
                cwd="/",
                env={"PATH": self.path, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return ran.stdout.decode(errors="replace") if ran.returncode == 0 else ""
