"""Devices that are small scripts on a terminal, and nodes that reach them by it."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import define, evolve, field

from callboard.actors.drivers.commanded.node import CommandNode
from callboard.actors.overlay import LAVA_CACHE, Definition, Overlay
from callboard.definition import pipeline, read_text, split
from callboard.definition.command_devices import CommandDevice
from callboard.definition.model import PipelineAction

Commands = tuple[tuple[str, ...], ...]

JOB = """\
job_name: console
device_type: board
visibility: public
timeouts: {{job: {{minutes: 5}}, action: {{seconds: 60}}, connection: {{seconds: {limit_s}}}}}
actions:
- boot: {{method: minimal, {boot}}}
- test:
    definitions:
    - from: inline
      name: t
      path: t.yaml
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: t}}
        run: {{steps: ['true']}}
"""

LOGIN = (
    "prompts: ['root@board:'], auto_login: {login_prompt: 'login:', username: root, "
    "password_prompt: 'Password:', password: hush-hush}"
)
SILENT = "prompts: ['root@board:']"

_BOARD = """\
stty sane
boots=0
while :; do
    read -r _ <"$1/power" || continue  # the end of the word before
    boots=$((boots + 1))
    . "$1/boot"
done
"""

GETTY = """\
echo 'Firmware 1.0'
printf 'Linux version 6.1.0 (board)\\r\\n'
while :; do
    text=$'\\033[1mboard\\033[0m login: '
    for ((at = 0; at < ${#text}; at++)); do printf %s "${text:at:1}"; done
    read -r user
    stty -echo; printf 'Password: '; read -r word; stty echo; echo
    [ "$user/$word" = root/hush-hush ] && break
    echo 'Login incorrect'
done
echo 'Last login: yesterday'
PS1='root@board:~# ' exec bash --norc --noprofile -i
"""
"""Shows a boot message, asks for a name and a password, and gives a shell that edits lines."""


@define
class Board:
    """A device: it boots as its script says whenever it is reset.

    Attributes:
        folder: What the device keeps, and where its overlay is put.
        console: Its entry in a devices file.
        heard: What its console has shown before the connection had it.
        said: What was said of it.
    """

    folder: Path
    console: CommandDevice
    heard: list[str] = field(factory=list[str])
    said: list[str] = field(factory=list[str])

    def node(
        self,
        *,
        hard_reset: Commands = (),
        power_off: Commands = (),
        commands: Mapping[str, Commands] | None = None,
    ) -> CommandNode:
        """A node of the device; commands for its power that are given replace its own."""
        console = self.console
        if hard_reset:
            console = evolve(console, hard_reset=hard_reset)
        if power_off:
            console = evolve(console, power_off=power_off)
        node = CommandNode("board", console, commands or {})
        node.attend(self.heard.append, self.said.append)
        return node

    def overlay(self, steps: Sequence[str] = (), content: bytes = b"") -> Overlay:
        """An overlay below the device's folder; `content` is a file of its test."""
        files = self.folder / "files"
        files.mkdir(exist_ok=True)
        (files / "content").write_bytes(content)
        test = Definition(0, "t", "7_1", tuple(steps), (), (), "", {}, folder=files)
        return Overlay(
            job_id=7,
            root=str(self.folder / "lava-7"),
            shell="/bin/sh",
            role="only",
            group=(),
            environment=(),
            secrets=(("TOKEN", "hidden away"),),
            cache=LAVA_CACHE,
            stages=((test,),),
        )


def board(folder: Path, boot: str) -> Board:
    """A device in a folder, which boots by a piece of shell; its reset is a word into a pipe."""
    (folder / "board").write_text(_BOARD)
    (folder / "boot").write_text(boot)
    os.mkfifo(folder / "power")
    console = CommandDevice(
        connection_command=("bash", str(folder / "board"), str(folder)),
        hard_reset=(("sh", "-c", f"echo on >{folder}/power"),),
        boot_message="Linux version [0-9]",
    )
    return Board(folder, console)


def plans(boot: str, limit_s: int = 20) -> Mapping[str, PipelineAction]:
    """The actions of a job with such a boot block, by name."""
    definition, diagnostics = read_text(JOB.format(boot=boot, limit_s=limit_s), "job.yaml")
    assert definition is not None, diagnostics
    [job] = split(definition, first_id=7, group="g")
    return {each.name: each for each in _all(pipeline(job))}


def _all(actions: Sequence[PipelineAction]) -> Iterator[PipelineAction]:
    for each in actions:
        yield each
        yield from _all(each.children)


async def perform(node: CommandNode, actions: Mapping[str, PipelineAction], *names: str) -> None:
    """Have a node perform actions, one after the other."""
    for name in names:
        performance = node.perform(actions[name])
        if performance is not None:
            await performance


BOOT = ("connect-device", "pdu-reboot", "login-action")


@contextlib.asynccontextmanager
async def prepared(node: CommandNode) -> AsyncIterator[CommandNode]:
    """A node while a job has it."""
    await node.prepare()
    try:
        yield node
    finally:
        await node.release()
