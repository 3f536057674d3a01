"""`callboard coordinator` in a process of its own, for tests that restart and kill it."""

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from attrs import define, field
from tests.commandline import CALLBOARD

_READY_S = 30.0


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@define(eq=False)
class Coordinator:
    """A coordinator that keeps its port, its options and its folder when it is started again.

    Attributes:
        folder: Where its log and its sockets are; it must be short enough for a socket's name.
        options: More of the command line.
        port: Where it listens on loopback.
    """

    folder: Path
    options: Sequence[str | Path] = ()
    port: int = field(factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it still runs."""
        if self._process is not None:
            self.kill()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return ("127.0.0.1", self.port)

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has said, over all its starts."""
        return self._log.read_text()

    @property
    def control(self) -> Path:
        """Where it is asked for its status."""
        return self.folder / "status.sock"

    def start(self) -> None:
        """Start it, and return when it serves, as it tells systemd."""
        assert self._process is None
        notices = self.folder / "notify.sock"
        notices.unlink(missing_ok=True)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
            self._log.open("a") as log,
        ):
            ready.bind(str(notices))
            ready.settimeout(0.2)
            self._process = subprocess.Popen(
                [*CALLBOARD, "coordinator", *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"NOTIFY_SOCKET": str(notices)},
            )
            while b"READY=1" not in self._notice(ready):
                pass

    def stop(self) -> int:
        """End it in order; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash of the machine's power does with a process."""
        self._end(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        process, self._process = self._process, None
        assert process is not None
        return process.wait(30)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self.wait()

    def _notice(self, ready: socket.socket) -> bytes:
        assert self._process is not None
        try:
            return ready.recv(4096)
        except TimeoutError:
            assert self._process.poll() is None, f"it has ended: {self.log[-2000:]}"
            return b""

    @property
    def _options(self) -> Sequence[str]:
        own = ["--port", str(self.port), "--socket", str(self.control)]
        return [*own, *map(str, self.options)]

    @property
    def _log(self) -> Path:
        return self.folder / "coordinator.log"
