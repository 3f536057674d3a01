"""What takes real time is refused: a virtual run has no input or output, threads or signals."""

import asyncio
import sys
import threading
from asyncio.events import _get_running_loop
from functools import cache
from typing import Any, NoReturn


class RealIO(RuntimeError):
    """Something was tried in a virtual run that takes real time.

    Attributes:
        tried: What it was.
    """

    def __init__(self, tried: str) -> None:
        super().__init__(f"{tried} is impossible in virtual time: it takes real time")
        self.tried = tried


def _refused(tried: str) -> Any:
    """Make the method of the loop that would do so."""

    def refuse(*_args: object, **_options: object) -> NoReturn:
        raise RealIO(tried)

    return refuse


class OfflineLoop(asyncio.AbstractEventLoop):
    """The part of an event loop that has to do with the world outside: it refuses all of it."""

    run_in_executor = _refused("a thread (run_in_executor)")
    set_default_executor = _refused("an executor (set_default_executor)")
    getaddrinfo = _refused("looking up a name (getaddrinfo)")
    getnameinfo = _refused("looking up a name (getnameinfo)")
    create_connection = _refused("a connection (create_connection)")
    create_server = _refused("a server (create_server)")
    create_unix_connection = _refused("a connection (create_unix_connection)")
    create_unix_server = _refused("a server (create_unix_server)")
    create_datagram_endpoint = _refused("a socket (create_datagram_endpoint)")
    connect_accepted_socket = _refused("a connection (connect_accepted_socket)")
    start_tls = _refused("a connection (start_tls)")
    sendfile = _refused("a connection (sendfile)")
    connect_read_pipe = _refused("a pipe (connect_read_pipe)")
    connect_write_pipe = _refused("a pipe (connect_write_pipe)")
    subprocess_shell = _refused("a process (subprocess_shell)")
    subprocess_exec = _refused("a process (subprocess_exec)")
    add_reader = _refused("waiting for input (add_reader)")
    remove_reader = _refused("waiting for input (remove_reader)")
    add_writer = _refused("waiting for output (add_writer)")
    remove_writer = _refused("waiting for output (remove_writer)")
    sock_recv = _refused("a socket (sock_recv)")
    sock_recv_into = _refused("a socket (sock_recv_into)")
    sock_recvfrom = _refused("a socket (sock_recvfrom)")
    sock_recvfrom_into = _refused("a socket (sock_recvfrom_into)")
    sock_sendall = _refused("a socket (sock_sendall)")
    sock_sendto = _refused("a socket (sock_sendto)")
    sock_connect = _refused("a socket (sock_connect)")
    sock_accept = _refused("a socket (sock_accept)")
    sock_sendfile = _refused("a socket (sock_sendfile)")
    add_signal_handler = _refused("a signal handler (add_signal_handler)")
    remove_signal_handler = _refused("a signal handler (remove_signal_handler)")


_ANNOUNCED = {
    "os.exec": "a process (os.exec)",
    "os.fork": "a process (os.fork)",
    "os.forkpty": "a process (os.forkpty)",
    "os.posix_spawn": "a process (os.posix_spawn)",
    "os.system": "a process (os.system)",
    "socket.__new__": "a socket",
    "socket.getaddrinfo": "looking up a name (getaddrinfo)",
    "socket.gethostbyaddr": "looking up a name (gethostbyaddr)",
    "socket.gethostbyname": "looking up a name (gethostbyname)",
    "socket.getnameinfo": "looking up a name (getnameinfo)",
    "subprocess.Popen": "a process (subprocess)",
}
"""What the interpreter tells auditors before it does it, as far as it takes real time."""


@cache
def guard() -> None:
    """Refuse in all virtual runs what goes past the loop, as anyio's worker threads do.

    It stays as long as the interpreter, for an audit hook can't be removed; it costs a look-up an
    audited event or thread, and minds only those threads in which a virtual run goes on.
    """
    start = threading.Thread.start

    def start_if_real(thread: threading.Thread) -> None:
        if isinstance(_get_running_loop(), OfflineLoop):
            raise RealIO(f"a thread ({thread.name})")
        start(thread)

    def audit(event: str, _arguments: tuple[object, ...]) -> None:
        if event in _ANNOUNCED and isinstance(_get_running_loop(), OfflineLoop):
            raise RealIO(_ANNOUNCED[event])

    # Python 3.11 doesn't tell auditors of threads.
    threading.Thread.start = start_if_real  # type: ignore[assignment, method-assign]
    sys.addaudithook(audit)
