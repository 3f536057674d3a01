"""A container's own configuration, in which its label stands."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.store import Store

GROUP = "callboard"
"""The group of every container that callboard made: `lxc-ls -P FOLDER -g callboard`."""

BASE_GROUP = "callboard-base"
"""The group of every base, and of a clone until it has a label of its own."""

_PERSISTENT = "persistent"
_KEY = re.compile(r"\s*(lxc\.[A-Za-z0-9_.]+)\s*=\s*(.*?)\s*")
_OVERLAY = re.compile(r"overlay(?:fs)?:(?P<lower>[^:]+):(?P<upper>[^:]+)")


@frozen
class Label:
    """Whose a container is.

    Attributes:
        run: The run that made it, or used it last.
        job: That run's job.
        since_s: When, in whole seconds since 1970.
        persistent: Whether it stays when the job has ended.
    """

    run: str
    job: int
    since_s: int
    persistent: bool

    def lines(self) -> list[str]:
        """It as lines of a configuration; the first forgets what was copied from a base."""
        groups = [GROUP, f"run-{self.run}", f"job-{self.job}", f"since-{self.since_s}"]
        groups += [_PERSISTENT] if self.persistent else []
        return ["lxc.group =", *(f"lxc.group = {group}" for group in groups)]


@frozen
class Configuration:
    """The lines of a configuration, in order: key and value."""

    entries: tuple[tuple[str, str], ...]

    def values(self, key: str) -> list[str]:
        """What a key that may stand several times has; an empty value forgets those before it."""
        found: list[str] = []
        for name, value in self.entries:
            if name == key:
                found = [*found, value] if value else []
        return found

    @property
    def label(self) -> Label | None:
        """Whose the container is; None where callboard's label is not there or is damaged."""
        groups = self.values("lxc.group")
        fields = dict(group.split("-", 1) for group in groups if "-" in group)
        job, since = fields.get("job", ""), fields.get("since", "")
        if GROUP not in groups or not job.isdecimal() or not since.isdecimal():
            return None
        return Label(fields.get("run", ""), int(job), int(since), _PERSISTENT in groups)

    @property
    def is_unfinished(self) -> bool:
        """Whether it is that of a container whose making was cut short before its label."""
        groups = self.values("lxc.group")
        return self.label is None and BASE_GROUP in groups

    @property
    def layers(self) -> list[Path]:
        """The folders that its files are in, the topmost first."""
        [*_, path] = self.values("lxc.rootfs.path") or [""]
        if overlay := _OVERLAY.fullmatch(path):
            return [Path(overlay["upper"]), Path(overlay["lower"])]
        return [Path(path.removeprefix("dir:"))] if path else []

    @property
    def base(self) -> ContainerName | None:
        """The base that it is a clone of, None where it is none."""
        [*_, lowest] = self.layers or [Path()]
        try:
            name = ContainerName(lowest.parent.name)
        except ValueError:
            return None
        return name if name.is_base and len(self.layers) == 2 else None


def find(store: Store, name: ContainerName) -> Configuration | None:
    """The configuration of a container; None where it has none, or an empty one.

    Raises:
        OSError: It can't be told: what is there is not to be taken for nothing.
    """
    try:
        found = read(store.configuration(name))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if found.entries else None


def read(path: Path) -> Configuration:
    """The configuration in a file; raises OSError."""
    lines = path.read_text(errors="surrogateescape").split("\n")
    return Configuration(tuple((m[1], m[2]) for m in map(_KEY.fullmatch, lines) if m))


def rewrite(
    path: Path,
    lines: Iterable[str],
    *,
    without: Sequence[str],
    matching: re.Pattern[str] | None = None,
) -> None:
    """Append lines to a configuration, which is whole at each moment.

    Args:
        path: Its file.
        lines: What is appended.
        without: Keys whose lines are left out of what was there; with a dot at the end, all
            keys that begin so.
        matching: What the values of other lines look like that are left out.

    Raises:
        OSError: It can't be read or written.
        ValueError: A line would be more than one.
    """
    added = list(lines)
    if any(set("\r\n\0") & set(line) for line in added):
        raise ValueError("a line of a container's configuration can't have several lines")
    there = path.read_text(errors="surrogateescape").removesuffix("\n").split("\n")
    kept = [line for line in there if not _is_left_out(line, without, matching)]
    new = path.with_name("config.new")
    with new.open("w", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in (*kept, *added))
        file.flush()
        os.fsync(file.fileno())
    new.chmod(0o640)
    new.replace(path)


def _is_left_out(line: str, keys: Sequence[str], matching: re.Pattern[str] | None) -> bool:
    found = _KEY.fullmatch(line)
    if found is None:
        return False
    if matching is not None and matching.fullmatch(found[2]):
        return True
    return any(found[1].startswith(key) if key.endswith(".") else found[1] == key for key in keys)
