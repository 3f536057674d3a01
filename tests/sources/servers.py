"""Real servers on loopback: repositories through `git daemon`, files through HTTP."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from attrs import define, field

IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.org"]

SMOKE = """\
metadata: {format: Lava-Test Test Definition 1.0, name: smoke}
run:
  steps: [ls -a, ./tool.sh, lava-test-case ok --result pass]
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    command = ["git", *IDENTITY, *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def repository(folder: Path, files: Mapping[str, str] | None = None) -> str:
    """Make a repository with one commit on `main`; returns the commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    content = {"smoke.yaml": SMOKE, "tool.sh": "#!/bin/sh\necho from the repository\n"}
    return commit(folder, files or content)


def commit(folder: Path, files: Mapping[str, str]) -> str:
    """Write files and commit them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "a change")
    return git(folder, "rev-parse", "HEAD")


def free_port() -> int:
    """A port of TCP that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def git_daemon(folder: Path) -> Iterator[str]:
    """Serve the repositories in a folder; gives the URL of the folder."""
    port = free_port()
    options = ["--reuseaddr", "--listen=127.0.0.1", f"--port={port}", "--export-all", "--verbose"]
    daemon = subprocess.Popen(
        ["git", "daemon", *options, f"--base-path={folder}"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert daemon.stderr is not None
        assert "Ready" in daemon.stderr.readline()
        yield f"git://127.0.0.1:{port}"
    finally:
        daemon.terminate()
        daemon.communicate()


Page = bytes | int | str | Callable[[BaseHTTPRequestHandler], None]


@define
class Hanging:
    """A page of which only the beginning comes, until it is released."""

    _asked: threading.Event = field(factory=threading.Event)
    _released: threading.Event = field(factory=threading.Event)

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        """Send the beginning."""
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"begun")
        self._asked.set()
        self._released.wait(60)

    def wait(self) -> bool:
        """Whether somebody has got the beginning, within a minute."""
        return self._asked.wait(60)

    def release(self) -> None:
        """End the page."""
        self._released.set()


@define
class Web:
    """An HTTP server.

    Attributes:
        url: Where it is.
        pages: What it has: bytes, a status, the URL to which it redirects, or what answers.
        asked: The path and headers of each request.
    """

    url: str
    pages: dict[str, Page] = field(factory=dict[str, Page])
    asked: list[tuple[str, dict[str, str]]] = field(factory=list[tuple[str, dict[str, str]]])


def answer(handler: BaseHTTPRequestHandler, content: bytes, **headers: str) -> None:
    """Answer a request with content and headers; `_` stands for `-` in their names."""
    handler.send_response(200)
    for name, value in {"Content_Length": str(len(content)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


@contextlib.contextmanager
def web() -> Iterator[Web]:
    """Serve pages."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append((self.path, dict(self.headers)))
            match served.pages.get(self.path, 404):
                case bytes() as content:
                    answer(self, content)
                case int() as status:
                    self.send_error(status)
                case str() as location:
                    self.send_response(302)
                    self.send_header("Location", location)
                    self.end_headers()
                case page:
                    with contextlib.suppress(ConnectionError):  # it may be left while it speaks
                        page(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Web(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and never says anything; gives host and port."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def refusing() -> str:
    """Host and port at which nobody listens."""
    return f"127.0.0.1:{free_port()}"
