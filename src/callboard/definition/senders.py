"""Which roles may send a message: as far as their definitions can be read without running them.

This is a guess that is right for plain steps. It decides who is blamed for a wait that nobody
satisfies, and whether that is presumed before its limit; it never refuses a definition.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import field, frozen

from callboard.definition.model import Block, Definition, TestSource

_SEND = re.compile(
    r"lava-send[ \t]+(?:'([^'$]+)'|\"([^\"$`\\]+)\"|([\w.:/+@%-]+)(?=[\s;&|)'\"]|$))"
)
_ANY_SEND = re.compile(r"lava-send\b")
_UNREAD = re.compile(
    r"(?:^|[\s;&|({`])(?:\.|source|eval|exec|sh|bash|dash|ash|python3?|perl|make|curl|wget|git)\s"
    r"|(?:^|[\s;&|({`])\.{0,2}/[\w./-]+",
    re.MULTILINE,
)
_MOST_BYTES = 4 * 2**20


@frozen
class _Sends:
    """What some steps send: `ids`, and maybe more if they are `open`."""

    ids: frozenset[str] = frozenset()
    open: bool = False

    def __or__(self, other: "_Sends") -> "_Sends":
        return _Sends(self.ids | other.ids, self.open or other.open)


@frozen
class Senders:
    """The roles of a definition by what they send.

    Attributes:
        sends: What each role sends.
    """

    sends: dict[str, _Sends] = field(repr=False)

    @classmethod
    def of(cls, definition: Definition) -> "Senders":
        """Read a definition whose sources have been fetched."""
        return cls(
            {
                role.name: _of_blocks(each for each in definition.blocks if role.name in each.roles)
                for role in definition.roles
                if role.count
            }
        )

    def __call__(self, message_id: str) -> frozenset[str]:
        """The roles that may send `message_id`; none if it is in nobody's definitions."""
        return frozenset(
            role for role, sends in self.sends.items() if sends.open or message_id in sends.ids
        )


def _of_blocks(blocks: Iterable[Block]) -> _Sends:
    found = _Sends()
    for block in blocks:
        called = {call.message_id for call in block.calls if call.request == "lava-send"}
        found |= _Sends(frozenset(each for each in called if each is not None))
        for source in block.definitions:
            found |= _of_source(source)
        found |= _Sends(open=block.kind == "test" and block.test_kind != "shell")
    return found


def _of_source(source: TestSource) -> _Sends:
    definition, fetched = source.definition, source.fetched
    if definition is None:
        return _Sends(open=True)
    steps = "\n".join(step.text for step in (*definition.install.steps, *definition.run))
    found = _of_text(steps)
    folders = [fetched.folder, *(path for _, path in fetched.repositories)] if fetched else []
    files = [text for folder in folders if folder is not None for text in _files(folder)]
    for text in files:
        found |= _of_text(text)
    # What a step runs is in the files that came with it, or nowhere to be read.
    return found | _Sends(open=not files and _UNREAD.search(steps) is not None)


def _of_text(text: str) -> _Sends:
    literal = [match[1] or match[2] or match[3] for match in _SEND.finditer(text)]
    return _Sends(frozenset(literal), len(_ANY_SEND.findall(text)) > len(literal))


def _files(folder: Path) -> Iterator[str]:
    """The texts below `folder` that call helpers, as much as can be read in no time."""
    left = _MOST_BYTES
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or ".git" in path.parts:
            continue
        size = path.stat().st_size
        left -= size
        if left < 0:
            yield "lava-send $"  # too much to read: anything may be sent
            return
        yield path.read_bytes().decode(errors="replace")
