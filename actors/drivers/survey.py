"""Whether something runs on a node besides the calls that its shells wait for.

The first process of a sandboxed node uses this too, so it imports little.
"""

import os
import signal
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path

from attrs import frozen

_PROC = Path("/proc")
_KEYBOARD = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGQUIT - 1)
_MOST_LOOKS = 5
_SHELLS = frozenset({b"sh", b"ash", b"bash", b"busybox", b"dash", b"ksh", b"mksh", b"zsh"})
_HELPERS = frozenset({b"lava-sync", b"lava-wait", b"lava-wait-all"})
_MOST_WORDS = 4


@frozen
class Process:
    """A living process.

    Attributes:
        parent: Its parent's id; 0 when that is in another PID namespace.
        deaf: Whether it ignores the keyboard's signals, SIGINT and SIGQUIT: shells that read no
            keyboard start with these ignored what they put into the background (POSIX: 2.11).
        words: The first words of its command.
    """

    parent: int
    deaf: bool
    words: tuple[bytes, ...] = ()

    @property
    def is_shell(self) -> bool:
        """Whether it is a shell, which does nothing else while it waits for a child."""
        return self.words[:1] != () and _base(self.words[0]).lstrip(b"-") in _SHELLS

    @property
    def is_call(self) -> bool:
        """Whether it is a helper of the MultiNode API that waits for an answer."""
        return self.is_shell and any(_base(word) in _HELPERS for word in self.words[1:])


def process(pid: int) -> Process | None:
    """The process of that id, None when it has ended or nothing is known of it.

    One that has ended stays known until its parent has noticed; stopped ones live.
    """
    try:
        # Bytes, for a name may end within a character.
        content = (_PROC / f"{pid}/status").read_bytes()
        words = (_PROC / f"{pid}/cmdline").read_bytes().split(b"\0")[:_MOST_WORDS]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    fields = dict(line.split(b":\t", 1) for line in content.split(b"\n") if b":\t" in line)
    # The first thread of a process can have ended before the others.
    if fields[b"State"][:1] in b"ZXx" and int(fields.get(b"Threads", b"1")) < 2:
        return None
    ignored = int(fields.get(b"SigIgn", b"0"), 16)
    return Process(int(fields[b"PPid"]), ignored & _KEYBOARD == _KEYBOARD, tuple(words))


def _base(word: bytes) -> bytes:
    return word.rpartition(b"/")[2]


def processes() -> dict[int, Process]:
    """Every living process that /proc shows.

    Raises:
        OSError: It doesn't even show this one.
    """
    pids = [int(path.name) for path in _PROC.iterdir() if path.name.isdecimal()]
    found = {pid: process(pid) for pid in pids}
    if found.get(os.getpid()) is None:
        raise OSError(0, f"{_PROC} doesn't show this machine's processes")
    return {pid: each for pid, each in found.items() if each is not None}


def below(found: Mapping[int, Process], tops: Set[int]) -> set[int]:
    """Those of the processes `tops` that live, and all that descend from them."""
    known: set[int] = set()
    children = _children(found)
    new = tops & found.keys()
    while new:
        known |= new
        new = {child for pid in new for child in children.get(pid, ())} - known
    return known


def unwaited(found: Mapping[int, Process], shells: Set[int]) -> set[int]:
    """Those of a node's processes that may do something while the node's calls wait.

    An idle shell does nothing, nor does one that waits for a call: from it a path of shells, none
    of which has a second child, leads to a helper. A helper that was put into the background
    is beside the work of a shell above it.
    """
    children = _children(found)
    waited: set[int] = set()
    for shell in shells & found.keys():
        waited.add(shell)
        _, *path = _path(shell, children)
        # A shell that is deaf itself passes that on to everything that it starts.
        background = path and found[path[-1]].deaf and not found[shell].deaf
        if path and not background and _leads_to_a_call([found[each] for each in path]):
            waited.update(path)
    return found.keys() - waited


def _path(top: int, children: Mapping[int, list[int]]) -> list[int]:
    """A process, its only child, and so on up to one that has no child or several."""
    path = [top]
    while len(next_ := children.get(path[-1], [])) == 1 and next_[0] not in path:
        path += next_
    return path


def _leads_to_a_call(path: Sequence[Process]) -> bool:
    return path[-1].is_call and all(each.is_shell for each in path)


def _children(found: Mapping[int, Process]) -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid, each in found.items():
        children.setdefault(each.parent, []).append(pid)
    return children


def busy(look: Callable[[], Mapping[int, Process]], shells: Set[int]) -> bool:
    """Whether a process runs on a node besides its shells and the calls that they wait for.

    Args:
        look: Finds the living processes of the node.
        shells: The shells that were opened on it; those that have ended do no harm.

    Raises:
        OSError: The processes can't be looked at.
    """
    # While /proc is read, a process can start another one and end, and neither is seen.
    before = look()
    for _ in range(_MOST_LOOKS - 1):
        now = look()
        if now == before:
            return bool(unwaited(now, shells))
        before = now
    return True  # who only waits doesn't change
