"""Puts an archive on a device that has nothing but a console."""

import base64
import gzip
import hashlib
import re
import shlex
from collections.abc import Callable, Iterator, Sequence

import anyio
from attrs import frozen

from callboard.actors.drivers.commanded.dialog import Dialog
from callboard.actors.drivers.commanded.line import Line
from callboard.actors.drivers.commanded.matcher import pattern
from callboard.actors.errors import InfrastructureError, JobError

MOST_BYTES = 4 * 2**20
"""Of an archive, compressed; at 115,200 baud it takes eight minutes."""

_LINE_BYTES = 240
_WINDOW = 12
"""Lines that are sent before the device has said that it has them: together they fit into the
4,095 bytes that a terminal keeps for whoever reads it."""

_TOOLS = ("base64", "gzip", "tar", "sha256sum", "md5sum", "sha1sum")
_SUMS = ("sha256", "md5", "sha1")
_ATTEMPTS = 2
_DATA = re.compile(r"[A-Za-z0-9+/=]{40,}|(?:\\[0-7]{3}){10,}|\.|.*<callboard-\w+ \d+>.*")

_PREPARE = (
    "mkdir -p /tmp 2>/dev/null; for d in /tmp /run /dev/shm /; do [ -w $d ] && break; done; "
    "f=$d/.callboard-$$; for t in {tools}; do command -v $t >/dev/null 2>&1 && "
    'echo "has-$t"; done; [ -w $d ]'
)
_RECEIVE = (
    "(umask 077; : >$f; : >$f.64); n=0; "
    'while IFS= read -r l && [ "$l" != . ]; do printf {form} "$l"; n=$((n+1)); '
    '[ $((n%{window})) -ne 0 ] || echo "<callboard-{word} $n>" >&2; done >{file}'
)
_REMOVE = "rm -f $f $f.64"


@frozen
class _Way:
    """How the bytes become lines, and what the device makes of them.

    Attributes:
        lines: The bytes, as text.
        form: The argument of `printf` before a line.
        file: Where the lines go.
        decode: What makes the archive of them.
    """

    lines: Callable[[bytes], Iterator[str]]
    form: str
    file: str
    decode: str


def _base64(data: bytes) -> Iterator[str]:
    text = base64.b64encode(data).decode()
    yield from (text[at : at + _LINE_BYTES] for at in range(0, len(text), _LINE_BYTES))


def _octal(data: bytes) -> Iterator[str]:
    size = _LINE_BYTES // 4
    for at in range(0, len(data), size):
        yield "".join(f"\\{byte:03o}" for byte in data[at : at + size])


_BASE64 = _Way(_base64, r"'%s\n'", "$f.64", "base64 -d <$f.64 >$f")
_OCTAL = _Way(_octal, "", "$f", ":")


class Transfer:
    """Brings archives to a device, over the shell that a dialog has taken over.

    Args:
        line: The line, for what is to be kept out of the log.
        limit_s: How long each wait for the device may take, in seconds.
        said: Is told how large an archive is, and how long it took.
    """

    def __init__(self, line: Line, limit_s: float, said: Callable[[str], None]) -> None:
        self._line = line
        self._dialog = Dialog(line, limit_s)
        self._said = said

    async def put(self, archive: bytes, root: str) -> None:
        """Unpack a tar archive in `/`, unless the device has it from a boot before.

        Args:
            archive: The archive.
            root: The folder that it makes, which keeps a mark of what it was.

        Raises:
            JobError: It is too large, or the device takes too long.
            InfrastructureError: The device lacks the tools, or can't unpack it.
        """
        root = shlex.quote(root)
        mark = hashlib.sha256(archive).hexdigest()
        self._line.hide(lambda line: _DATA.fullmatch(line.strip()) is not None)
        try:
            there, _ = await self._dialog.run(f'[ "$(cat {root}/.mark 2>/dev/null)" = {mark} ]')
            if there == 0:
                self._said("the overlay is on the device already")
                return
            tools = await self._prepare()
            await self._transfer(archive, tools)
            unpack = "gzip -dc <$f | tar xf - -C /" if "gzip" in tools else "tar xf - -C / <$f"
            status, output = await self._dialog.run(
                f"{unpack} && echo {mark} >{root}/.mark; s=$?; {_REMOVE}; (exit $s)"
            )
        finally:
            self._line.hide(None)
        if status != 0:
            said = output.strip().splitlines()[:-1][-3:]
            why = f": {' | '.join(said)}" if said else ""
            raise InfrastructureError(f"the device could not unpack the overlay{why}")

    async def _prepare(self) -> frozenset[str]:
        status, output = await self._dialog.run(_PREPARE.format(tools=" ".join(_TOOLS)))
        if status != 0:
            raise InfrastructureError(
                f"the device has no folder that can be written{self._line.tail()}"
            )
        tools = frozenset(re.findall(r"has-(\w+)", output)) & frozenset(_TOOLS)
        if "tar" not in tools:
            raise InfrastructureError(
                "the device has no `tar`, so the overlay can't be unpacked; "
                "put busybox or tar into its image"
            )
        return tools

    async def _transfer(self, archive: bytes, tools: frozenset[str]) -> None:
        data = gzip.compress(archive, mtime=0) if "gzip" in tools else archive
        if len(data) > MOST_BYTES:
            raise JobError(
                f"the overlay has {len(data) / 2**20:.1f} MiB, and over a console go at most "
                f"{MOST_BYTES // 2**20}; have the tests fetch what is large"
            )
        way = _BASE64 if "base64" in tools else _OCTAL
        lines = tuple(way.lines(data))
        size = f"{len(data) / 1024:.1f} KiB"
        self._said(f"the overlay, {size}, goes over the console in {len(lines)} lines")
        began_s = anyio.current_time()
        for attempt in range(1, _ATTEMPTS + 1):
            await self._send(lines, way)
            if await self._is_whole(data, tools):
                took_s = anyio.current_time() - began_s
                self._said(f"the overlay has arrived after {took_s:.1f} s")
                return
            self._said(f"the overlay has arrived damaged, attempt {attempt} of {_ATTEMPTS}")
        await self._dialog.run(_REMOVE)
        raise InfrastructureError(
            f"the overlay was damaged on its way over the console, {_ATTEMPTS} times: "
            "see whether the serial line loses characters"
        )

    async def _send(self, lines: Sequence[str], way: _Way) -> None:
        dialog, word = self._dialog, "took"
        command = _RECEIVE.format(form=way.form, window=_WINDOW, word=word, file=way.file)
        end = dialog.begin(f"{command}; {way.decode}")
        for at in range(0, len(lines), _WINDOW):
            window = lines[at : at + _WINDOW]
            self._line.send("".join(f"{line}\n" for line in window).encode())
            if len(window) == _WINDOW:
                taken = pattern(rf"<callboard-{word} {at + _WINDOW}>")
                await dialog.wait("the device's word that it has a part of the overlay", (taken,))
        dialog.type(".")
        await dialog.result(end)

    async def _is_whole(self, data: bytes, tools: frozenset[str]) -> bool:
        kind = next((each for each in _SUMS if f"{each}sum" in tools), None)
        if kind is None:
            _, output = await self._dialog.run("wc -c <$f")
            return str(len(data)) in output.split()
        _, output = await self._dialog.run(f"{kind}sum <$f")
        return hashlib.new(kind, data).hexdigest() in output
