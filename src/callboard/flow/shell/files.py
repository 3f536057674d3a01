"""The files beside a test definition, as scripts find them on the node."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from attrs import define, field

from callboard.definition.diagnostics import Diagnostic
from callboard.definition.source import Source, decode
from callboard.flow.shell.known import names_call
from callboard.flow.shell.script import Script

_MOST_BYTES = 2**18
_MOST_BYTES_IN_ALL = 2**19
_MOST_SEARCHED = 2**25
_SHELL = re.compile(rb"#!\s*\S*?(?:/env\s+(?:-\S+\s+)*)?\b(?:ba|da|a|k|z|busybox\s+)?sh\b")


@define
class Files:
    """The folder in which a test runs.

    Attributes:
        folder: Where its files lie on this machine, None if it has none.
        label: What its files are called in messages: their path is put behind it.
        repositories: More folders, by their place below the test's own.
        hidden: Texts that are never shown.
        read: The scripts that have been read, by what they are called.
    """

    folder: Path | None = None
    label: str = ""
    repositories: Mapping[str, Path] = field(factory=dict[str, Path])
    hidden: Collection[str] = ()
    read: dict[str, Source] = field(factory=dict[str, Source])
    _scripts: dict[str, Script] = field(factory=dict[str, Script], init=False)
    _paths: dict[PurePosixPath, Path | None] = field(
        factory=dict[PurePosixPath, Path | None], init=False
    )
    _size: int = field(default=0, init=False)

    def path(self, folder: PurePosixPath | None, name: str) -> Path | None:
        """The file that `name` means in the working folder `folder`; None if it isn't there."""
        if folder is None or name.startswith("/"):
            return None
        wanted = PurePosixPath(os.path.normpath(folder / name))
        if wanted not in self._paths:
            found = self._found(wanted)
            self._paths[wanted] = found if found is not None and found.is_file() else None
        return self._paths[wanted]

    def has_folder(self, folder: PurePosixPath) -> bool:
        """Whether there is a folder at this place."""
        found = self._found(folder)
        return found is not None and found.is_dir()

    def is_shell(self, path: Path) -> bool:
        """Whether a file is run by a shell: one without a first line that says so is."""
        try:
            with path.open("rb") as stream:
                start = stream.read(256)
        except OSError:
            return False
        if start.startswith(b"#!"):
            return _SHELL.match(start) is not None
        return b"\0" not in start

    def script(self, path: Path) -> Script | None:
        """The script that `path` found; None if it can't be read as text, or is too long.

        All scripts of a test have a limit in common, so that a check never takes long.
        """
        label = self._label(path)
        if label not in self._scripts:
            try:
                size = path.stat().st_size
                if size > _MOST_BYTES or self._size + size > _MOST_BYTES_IN_ALL:
                    return None
                found = decode(path.read_bytes(), label)
            except OSError:
                return None
            if isinstance(found, Diagnostic) or "\r" in found.text:  # words would end with it
                return None
            found.secrets = frozenset(self.hidden)
            self._size += size
            self.read[label] = found
            self._scripts[label] = Script.of_file(found)
        return self._scripts[label]

    def names_call(self, path: Path) -> bool:
        """Whether a program names a helper that makes calls, or can't be searched for one."""
        try:
            with path.open("rb") as stream:
                start = stream.read(_MOST_SEARCHED + 1)
        except OSError:
            return True
        return len(start) > _MOST_SEARCHED or names_call(start.decode("latin-1"))

    def _found(self, wanted: PurePosixPath) -> Path | None:
        """What lies at a place below the test's folder; None for what leads out of it."""
        for place, top in self._roots(wanted):
            try:
                found = (top / place).resolve()
                if found.is_relative_to(top.resolve()) and found.exists():
                    return found
            except (OSError, RuntimeError, ValueError):  # names that no file can have
                continue
        return None

    def _roots(self, wanted: PurePosixPath) -> list[tuple[PurePosixPath, Path]]:
        """Where a path may lie: below the repository at that place, or beside the definition."""
        found = [
            (wanted.relative_to(place), top)
            for place, top in self.repositories.items()
            if wanted.is_relative_to(place)
        ]
        return found or ([(wanted, self.folder)] if self.folder else [])

    def _label(self, path: Path) -> str:
        for place, top in self.repositories.items():
            if path.is_relative_to(top.resolve()):
                return f"{self.label}{place}/{path.relative_to(top.resolve())}"
        own = self.folder.resolve() if self.folder else path.parent
        return f"{self.label}{path.relative_to(own)}"
