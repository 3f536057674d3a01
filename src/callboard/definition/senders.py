"""Which roles may send a message, as far as their definitions can be read without running them.

It decides who is blamed for a wait that nobody satisfies, and whether such a wait is given up
before its limit; it never refuses a definition. A step is taken to send no more than it says only
if every command in it is known not to run others.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

from callboard.definition.calls import START
from callboard.definition.model import Block, Definition, TestSource

_CALL = re.compile(
    r"lava-(send|sync)[ \t]+(?:'([^'$]+)'|\"([^\"$`\\]+)\"|([\w.:/+@%-]+))(?=[\s;&|)<>]|$)"
)
_ANY_CALL = re.compile(r"lava-(send|sync)\b")
_RUNS_OTHERS = re.compile(r"\\\"|\b(?:exec|foreach)\b|--to-command")
_SEPARATOR = re.compile(r"\$?\(|[`;&|(){}\n!]|\b(?:if|then|else|elif|do|while|until|time)\b")
_COMMAND = re.compile(
    r"(?:\s*\d*[<>]+&?\s*\S+)*"  # redirections may come first, then assignments
    r"\s*(?:\w+=(?:'[^']*'|\"[^\"]*\"|\S*)\s+)*"
    r"([^\s<>]*)"
)
_HELPER = re.compile(r"--(?:cmd|shell)\b")
_ASSIGNMENT = re.compile(r"\w+=\S*|\d*>.*|\d+|[=!<>]+")
_MOST_BYTES = 4 * 2**20
_MOST_FILES = 10_000
_COMMANDS = """
: [ [[ alias apt apt-get arping awk basename break case cat cd chmod chown cmp continue cp curl cut
date dd df dhclient diff dirname dmesg done dpkg du echo egrep esac ethtool exit export expr false
fgrep fi file for free getent git grep gunzip gzip head host hostname id ifconfig install iperf
iperf3 ip iw jobs kill killall ln ls lsblk lscpu lsmod lspci lsusb md5sum mkdir mknod mktemp
modprobe mount mv nslookup opkg passwd pgrep pidof ping ping6 pkill printenv printf ps pwd read
readlink realpath reboot return rm rmdir rpm scp sed seq set sha256sum shift sleep sort ss
stat stty sync sysctl tail tar tee test touch tr true truncate ulimit umask umount
uname uniq unset unzip uptime wait wc wget which whoami yum
"""
_KNOWN = frozenset(_COMMANDS.split())
"""Commands that run nothing that a definition could have brought along."""


@frozen
class Sends:
    """What a role sends: `ids`, and maybe more if its definitions are `open`.

    `syncs` are the IDs of its syncs, and maybe more if they are `computed`.
    """

    ids: frozenset[str] = frozenset()
    open: bool = False
    syncs: frozenset[str] = frozenset()
    computed: bool = False

    def __or__(self, other: "Sends") -> "Sends":
        return Sends(
            self.ids | other.ids,
            self.open or other.open,
            self.syncs | other.syncs,
            self.computed or other.computed,
        )


@frozen
class Senders:
    """The roles of a group by what they send.

    Attributes:
        sends: What each role sends.
    """

    sends: Mapping[str, Sends] = field(repr=False)

    @classmethod
    def of(cls, definition: Definition) -> "Senders":
        """Read a definition whose sources have been fetched."""
        folders: dict[Path, Sends] = {}  # several tests may come from the same one
        sends: dict[str, Sends] = {}
        for role in definition.roles:
            if role.count:
                own = (block for block in definition.blocks if role.name in block.roles)
                sends[role.name] = _of_blocks(own, folders)
        return cls(sends)

    def possible(self, message_id: str) -> frozenset[str]:
        """The roles that may send `message_id`; none if that can be ruled out."""
        return frozenset(
            role for role, each in self.sends.items() if each.open or message_id in each.ids
        )

    def callers(self, sync_id: str) -> frozenset[str]:
        """The roles that may call this sync."""
        return frozenset(
            role
            for role, each in self.sends.items()
            if each.open or each.computed or sync_id in each.syncs
        )

    def likely(self, message_id: str) -> frozenset[str]:
        """The roles whose definitions name it; those that may send it where none does."""
        named = frozenset(role for role, each in self.sends.items() if message_id in each.ids)
        return named or self.possible(message_id)


def _of_blocks(blocks: Iterable[Block], folders: dict[Path, Sends]) -> Sends:
    found = Sends()
    for block in blocks:
        for call in block.calls:
            named = frozenset({call.message_id} if call.message_id else ())
            match call.request:
                case "lava-send":
                    found |= Sends(named)
                case "lava-sync":
                    found |= Sends(syncs=named)
                case "lava-start":
                    found |= Sends(frozenset({START}))
                case _:
                    pass
        for source in block.definitions:
            found |= _of_source(source, folders)
        found |= Sends(open=block.kind == "test" and block.test_kind != "shell")
    return found


def _of_source(source: TestSource, folders: dict[Path, Sends]) -> Sends:
    definition, fetched = source.definition, source.fetched
    if definition is None:
        return Sends(open=True)
    steps = [step.text for step in (*definition.install.steps, *definition.run)]
    found = Sends()
    for step in steps:
        found |= _of_text(step) | Sends(open=not all(map(_is_known, _commands(step))))
    found_in = [fetched.folder, *(path for _, path in fetched.repositories)] if fetched else []
    for folder in filter(None, found_in):
        if folder not in folders:
            folders[folder] = _of_folder(folder)
        found |= folders[folder]
    return found


def _of_text(text: str) -> Sends:
    called: dict[str, set[str]] = {"send": set(), "sync": set()}
    literal = Counter[str]()
    for line in text.splitlines():
        for match in _CALL.finditer(_opened(line)):
            called[match[1]].add(match[2] or match[3] or match[4])
            literal[match[1]] += 1
    calls = Counter(_ANY_CALL.findall(text))
    return Sends(
        frozenset(called["send"]),
        calls["send"] > literal["send"],
        frozenset(called["sync"]),
        calls["sync"] > literal["sync"],
    )


def _opened(line: str) -> str:
    """A line with the commands that a helper is given as commands of their own."""
    return re.sub(r"['\"]", ";", _HELPER.sub(";", line)) if _HELPER.search(line) else line


def _commands(step: str) -> Iterator[str]:
    """The words of a step that may be commands; a few more than there are, for it is a guess."""
    plain = _without_texts(step)
    if "'" in plain or _RUNS_OTHERS.search(step):
        yield "'"  # what it opens, closes or runs can't be told
    for part in _SEPARATOR.split(plain):
        match = _COMMAND.match(part)
        if match and match[1]:
            yield match[1]


def _without_texts(step: str) -> str:
    """A step without what stands in quotes, unless a helper runs that as a command."""
    return re.sub(r"'[^']*'|\"[^\"$`]*\"", "x", _opened(step))


def _is_known(word: str) -> bool:
    return (
        word in _KNOWN
        or word.startswith(("lava-", "-", "#"))
        or _ASSIGNMENT.fullmatch(word) is not None
    )


def _of_folder(folder: Path) -> Sends:
    """What the files below `folder` send, as many as can be read in no time.

    They may run what is not among them, so they may send more.
    """
    found = Sends(open=True)
    left_bytes, left_files = _MOST_BYTES, _MOST_FILES
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each != ".git")
        for path in (Path(place, name) for name in sorted(names)):
            if path.is_symlink() or not path.is_file():
                continue
            left_files -= 1
            left_bytes -= path.stat().st_size
            if left_bytes < 0 or left_files < 0:
                return found
            content = path.read_bytes() if os.access(path, os.R_OK) else b""
            if b"lava-s" in content:
                found |= _of_text(content.decode(errors="replace"))
    return found
