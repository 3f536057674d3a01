"""The directory where a coordinator keeps its groups: one server's at a time, and only its own.

| file | what it is |
| --- | --- |
| `lock` | locked by the server that uses the directory |
| `segments` | by which rules the groups work, and which of the files below count |
| `00000001.log`, … | what has happened, one segment after the other |
| `*.new` | a file that is not finished; it doesn't count |
"""

import fcntl
import json
import os
import pwd
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Self

from attrs import asdict, frozen

from callboard.coordinator import records
from callboard.coordinator.errors import StateError

Rules = Literal["lava", "documented"]

_FORMAT = 1
_TITLE = "callboard coordinator log"
_SEGMENT = re.compile(r"[0-9]{8}\.log")
_OWN = re.compile(r"lock|segments|[0-9]{8}\.log|(segments|[0-9]{8}\.log)\.new")


@frozen
class Index:
    """What the directory says of itself.

    Attributes:
        rules: By which rules the groups work.
        oldest: The number of the first segment that is needed.
        newest: The number of the last one.
        certain: All records before the one of that number are on the disk.
    """

    rules: Rules
    oldest: int
    newest: int
    certain: int

    @property
    def segments(self) -> range:
        """The numbers of all that count."""
        return range(self.oldest, self.newest + 1)


class Directory:
    """A directory that no other server uses; see `claim`.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path, descriptor: int, lock: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._lock = lock
        self._closed = False

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Take the directory, which is made if there is none.

        Raises:
            StateError: It can't be used, or another server does.
        """
        with located(path):
            _make(path, 0o700)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _check(path)
            return cls(path, descriptor, _locked(path))
        except BaseException:
            os.close(descriptor)
            raise

    def close(self) -> None:
        """Let another server have it; the second time nothing happens."""
        if not self._closed:
            self._closed = True
            os.close(self._lock)
            os.close(self._descriptor)

    def segment(self, number: int) -> Path:
        """The file of a segment."""
        return self.path / f"{number:08}.log"

    def index(self) -> Index | None:
        """What it says of itself; None if there is nothing in it yet.

        Raises:
            StateError: That can't be read, or it is of another version.
        """
        path = self.path / "segments"
        with located(path):
            if not path.exists():
                self._expect_nothing(path)
                return None
            text = path.read_bytes()
        return _index(path, text)

    def keep(self, index: Index) -> None:
        """Have it say this of itself. Raises OSError."""
        text = json.dumps(asdict(index)).encode() + b"\n"
        os.close(self.create("segments", title() + records.encode(0, text)))

    def create(self, name: str, data: bytes) -> int:
        """Put a file there in place of any of that name: after a crash it is whole, or not there.

        Returns:
            The descriptor of the file, at whose end can be written.

        Raises:
            OSError: It can't be made; there may be one or not.
        """
        new = self.path / f"{name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(new, flags, 0o600)
        try:
            write(file, data)
            os.fsync(file)
            new.rename(self.path / name)
            os.fsync(self._descriptor)
        except BaseException:
            os.close(file)
            with suppress(OSError):
                new.unlink()
            raise
        return file

    def clear(self, index: Index) -> None:
        """Remove what doesn't count any more, or not yet. Raises OSError."""
        os.fsync(self._descriptor)  # who was killed may have changed the index only just now
        for path in self.path.iterdir():
            segment = _SEGMENT.fullmatch(path.name)
            if path.suffix == ".new" or (segment and int(path.stem) not in index.segments):
                path.unlink()

    def _expect_nothing(self, index: Path) -> None:
        """The index is made before the first segment is."""
        for path in self.path.iterdir():
            if _SEGMENT.fullmatch(path.name):
                raise StateError(
                    f"{index} is missing, and {path.name} is there",
                    f"get it from a backup, or {move_aside(self.path)}",
                )


def title() -> bytes:
    """The first line of each file, with the version of the format."""
    return f"{_TITLE} {_FORMAT}\n".encode()


def untitled(path: Path, data: bytes) -> int:
    """Where the records of a file begin, in bytes.

    Raises:
        StateError: It is none of ours, or of a newer version.
    """
    first = data.partition(b"\n")[0]
    match = re.fullmatch(rf"{_TITLE} ([0-9]{{1,4}})".encode(), first)
    if match is not None and int(match[1]) > _FORMAT:
        raise StateError(
            f"{path} is of a newer callboard: of version {int(match[1])} of the format, and this"
            f" callboard reads version {_FORMAT}",
            "use that callboard, or give this one a directory of its own",
        )
    if not data.startswith(title()):
        raise StateError(
            f"{path}: byte 0: '{_TITLE} {_FORMAT}' was expected, and {first[:40]!r} is there",
            f"get the directory from a backup, or {move_aside(path.parent)}",
        )
    return len(title())


def write(file: int, data: bytes) -> None:
    """Write all of it. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def settle(path: Path) -> None:
    """Have the disk keep all that a file, or a directory, has. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_aside(path: Path) -> str:
    """What can be done where there is no backup."""
    return f"begin without groups: mv {path} {path}.damaged"


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Makes an OSError one that says what can't be used, and what would mend it."""
    try:
        yield
    except OSError as error:
        where = path if error.filename is None else error.filename
        reason = (error.strerror or str(error)).lower()
        raise StateError(f"{where}: {reason}", _cure(error)) from error


def _cure(error: OSError) -> str:
    match error:
        case FileExistsError() | NotADirectoryError():
            return "name a directory, which is made if there is none"
        case PermissionError():
            return f"give it to the user that runs the coordinator, {_user(os.geteuid())}"
        case _:
            return "mend that, or name another directory"


def _make(path: Path, mode: int) -> None:
    """Make a directory, if there is none, so that it survives."""
    if not path.is_dir():
        if path.parent != path:
            _make(path.parent, 0o777)
        path.mkdir(mode, exist_ok=True)
        settle(path.parent)


def _check(path: Path) -> None:
    """Refuse a directory that holds what is not a coordinator's, or is another user's."""
    with located(path):
        owner = path.stat().st_uid
        if os.geteuid() == 0 and owner != 0:
            raise StateError(
                f"{path} belongs to {_user(owner)}, and root runs this coordinator",
                f"run it as that user, or write: chown -R root {path.resolve()}",
            )
        for entry in path.iterdir():
            found = entry.lstat()
            if _OWN.fullmatch(entry.name):
                _check_file(entry, found)
            elif not _is_harmless(entry.name, found):
                raise StateError(
                    f"{path} has '{entry.name}' in it, which is not of a coordinator",
                    "give the coordinator a directory of its own",
                )


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StateError(f"{path} is no file", "give the coordinator a directory of its own")
    if found.st_uid != os.geteuid():
        user = _user(os.geteuid())
        raise StateError(
            f"{path} belongs to {_user(found.st_uid)}, and {user} runs this coordinator",
            f"run it as the same user as before, or write: chown -R {user} {path.parent.resolve()}",
        )


def _is_harmless(name: str, found: os.stat_result) -> bool:
    """Whether a file has to do with the file system, or with the socket of a coordinator."""
    is_system = name.startswith(".") or name == "lost+found"
    return is_system or stat.S_ISSOCK(found.st_mode) or name.endswith(".lock")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _locked(path: Path) -> int:
    with located(path / "lock"):
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(path / "lock", flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StateError(
                f"another coordinator keeps its groups in {path}",
                "end that one, or give this one a directory of its own",
            ) from None
        except BaseException:
            os.close(lock)
            raise
    return lock


def _index(path: Path, data: bytes) -> Index:
    begin = untitled(path, data)
    try:
        record = records.read(data, begin, 0)
        document = json.loads(record.body)
        numbers = (int(document[name]) for name in ("oldest", "newest", "certain"))
        return Index(document["rules"], *numbers)
    except (records.DamageError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{path}: byte {begin}: {error}",
            f"get the directory from a backup, or {move_aside(path.parent)}",
        ) from error
