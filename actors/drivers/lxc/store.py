"""Where callboard's containers are on this machine: a folder that holds nothing else."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

from callboard.actors.drivers.lxc.name import ContainerName

_LOCKS = ".locks"
_STRANGE = re.compile(r"[^A-Za-z0-9._/@+-]")
_TOOLS_LOCKS = Path("/run/lxc/lock")


def _spelled(folder: Path) -> Path:
    """LXC's tools run in another folder than callboard, and know a container by this spelling."""
    return folder.resolve()


@frozen
class Store:
    """The folder that LXC's tools are given as their `-P`, always in this spelling.

    Attributes:
        folder: Its absolute path, without links.
    """

    folder: Path = field(converter=_spelled)

    def prepare(self) -> None:
        """Make the folder, readable by its owner only; raises OSError."""
        if strange := _STRANGE.search(str(self.folder)):
            raise OSError(
                f"no container can be in {self.folder}: LXC and overlays can't have {strange[0]!r}"
                " in a path; name another state directory with $CALLBOARD_STATE"
            )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        (self.folder / _LOCKS).mkdir(exist_ok=True, mode=0o700)

    def exists(self) -> bool:
        """Whether callboard has ever kept containers here."""
        return (self.folder / _LOCKS).is_dir()

    def names(self) -> list[ContainerName]:
        """Every container and base that has a folder, however broken; raises OSError."""
        return sorted(_names(path for path in _entries(self.folder) if path.is_dir()))

    def locked_names(self) -> list[ContainerName]:
        """Every name that somebody owns, or owned when it was killed; raises OSError."""
        return sorted(_names(_entries(self.folder / _LOCKS)))

    def path(self, name: ContainerName) -> Path:
        """The folder of one container."""
        return self.folder / name.text

    def configuration(self, name: ContainerName) -> Path:
        """The file that LXC reads of it."""
        return self.path(name) / "config"

    def lock(self, name: ContainerName) -> Path:
        """The file that is locked by whoever owns that name."""
        return self.folder / _LOCKS / name.text

    def tools_lock(self, name: ContainerName) -> Path:
        """The lock file of LXC itself, which its tools leave behind."""
        return _TOOLS_LOCKS / str(self.folder).lstrip("/") / f".{name}"

    def cgroup(self, name: ContainerName) -> str:
        """The cgroup that is the container's alone, whatever other people's are called."""
        return f"{self.cgroup_prefix}{name}"

    @property
    def cgroup_prefix(self) -> str:
        """How the cgroups of all containers of this store begin; not as those of local nodes."""
        key = hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
        return f"lxc.callboard-{key}-"


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _names(paths: "Iterator[Path] | list[Path]") -> Iterator[ContainerName]:
    for path in paths:
        try:
            yield ContainerName(path.name)
        except ValueError:
            continue
