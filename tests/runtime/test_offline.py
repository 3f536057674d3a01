"""Nothing that takes real time is done in a virtual run; what was tried is named."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import pytest

from callboard.runtime import RealIO, run_virtual
from callboard.runtime.virtual import VirtualLoop


async def _signals() -> None:
    with anyio.open_signal_receiver(signal.SIGUSR1):
        pass


async def _plainly(attempt: Callable[[], object]) -> None:
    attempt()


@pytest.mark.parametrize(
    ("attempt", "tried"),
    [
        (lambda: anyio.to_thread.run_sync(int), "a thread (AnyIO worker thread)"),
        (lambda: asyncio.to_thread(int), "a thread (run_in_executor)"),
        (lambda: anyio.Path("/etc/hostname").read_text(), "a thread (AnyIO worker thread)"),
        (lambda: anyio.run_process(["true"]), "a process (subprocess_exec)"),
        (lambda: anyio.run_process("true"), "a process (subprocess_shell)"),
        (lambda: anyio.connect_tcp("localhost", 9), "looking up a name (getaddrinfo)"),
        (lambda: anyio.connect_unix("/none"), "a socket"),
        (lambda: anyio.create_udp_socket(local_host="::1"), "looking up a name (getaddrinfo)"),
        (lambda: anyio.getaddrinfo("localhost", 9), "looking up a name (getaddrinfo)"),
        (lambda: anyio.wait_readable(0), "waiting for input (add_reader)"),
        (lambda: anyio.wait_writable(1), "waiting for output (add_writer)"),
        (_signals, "a signal handler (add_signal_handler)"),
        (lambda: asyncio.start_server(lambda *_: None, port=0), "a server (create_server)"),
        (lambda: _plainly(socket.socket), "a socket"),
        (lambda: _plainly(lambda: subprocess.run(["true"], check=True)), "a process (subprocess)"),
        (lambda: _plainly(lambda: os.system("true")), "a process (os.system)"),
        (lambda: _plainly(os.fork), "a process (os.fork)"),
        (lambda: _plainly(lambda: threading.Thread(target=int, name="t").start()), "a thread (t)"),
    ],
)
def test_an_attempt_is_refused_and_named(
    attempt: Callable[[], Awaitable[object]], tried: str
) -> None:
    async def main() -> None:
        with pytest.raises(RealIO) as refused:
            await attempt()
        assert refused.value.tried == tried
        await anyio.sleep(1)

    run_virtual(main)


def test_an_attempt_that_nobody_handles_ends_the_run() -> None:
    async def main() -> None:
        await anyio.to_thread.run_sync(int)

    with pytest.raises(RealIO, match="is impossible in virtual time: it takes real time"):
        run_virtual(main)


def test_every_method_of_an_event_loop_is_there_or_refused() -> None:
    plain = asyncio.AbstractEventLoop
    public = [name for name in dir(plain) if not name.startswith("_")]
    missing = [name for name in public if getattr(VirtualLoop, name) is getattr(plain, name)]
    assert missing == []


def test_a_callback_from_another_thread_is_refused_there() -> None:
    refused: list[BaseException] = []

    def call(loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(int)
        except RealIO as error:
            refused.append(error)

    begun, over = threading.Event(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def other() -> None:
        begun.wait()
        call(loops[0])
        over.set()

    thread = threading.Thread(target=other)
    thread.start()

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        loops[0].call_soon_threadsafe(int)  # its own thread may: a signal handler does
        begun.set()
        over.wait()

    run_virtual(main)
    thread.join()
    (error,) = refused
    assert isinstance(error, RealIO)
    assert error.tried == "a callback from another thread (call_soon_threadsafe)"


def test_after_a_run_everything_is_possible_again_and_the_interpreter_ends_quietly() -> None:
    program = (
        "import anyio, subprocess, threading\n"
        "from callboard.runtime import run_virtual\n"
        "run_virtual(lambda: anyio.sleep(1))\n"
        "subprocess.run(['true'], check=True)\n"
        "thread = threading.Thread(target=print, args=('done',))\n"
        "thread.start(); thread.join()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "done\n", "")
