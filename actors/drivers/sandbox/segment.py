"""Network namespaces beside those of nodes, and the tools that lead out of them."""

import os
import signal
import socket
from pathlib import Path
from typing import NoReturn

from callboard.actors.drivers.sandbox import kernel, wire
from callboard.actors.drivers.sandbox.kernel import OF_NETWORK, Mount, Namespace, step
from callboard.actors.drivers.sandbox.wire import Failed, Made, RunTool

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FORWARDING = {
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
    # nodes that reach each other by two ways are to keep to the one that was theirs
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
}


def make(asker: socket.socket) -> int:
    """Make a network namespace, and send it to whoever asks; nothing but that open file holds it.

    Args:
        asker: Where it is sent.

    Returns:
        The id of the child that does so, and then ends.

    Raises:
        OSError: This machine refuses it.
    """
    child = kernel.clone(Namespace.NET)
    if child == 0:
        try:
            _send(asker)
        except OSError as error:
            wire.send(asker, Failed(error.errno or 0, error.strerror or str(error)))
        finally:
            os._exit(0)
    return child


def _send(asker: socket.socket) -> None:
    with step("letting a network forward"):
        for name, value in _FORWARDING.items():
            path = Path("/proc/sys/net") / name
            if path.exists():  # there are kernels without IPv6
                path.write_text(value)
    wire.send(asker, Made(), os.open("/proc/self/ns/net", os.O_RDONLY))


def run(request: RunTool, network: int, source: int, output: int, file: int | None) -> NoReturn:
    """Become a tool that ends with its parent, in a process just made for it.

    Args:
        request: The tool, and where it runs.
        network: The namespace.
        source: What it reads.
        output: What it prints to.
        file: One more file for it.
    """
    try:
        kernel.die_with_parent()
        # Python ignores broken pipes, which tools don't expect of whoever starts them.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if request.inside:
            kernel.enter_network(network)
            kernel.keep_capabilities(OF_NETWORK, passed_on=True)
        else:
            _show(network)
            kernel.pass_on_capabilities()
        opened = [source, output, output, *([] if file is None else [file])]
        for number, each in enumerate([os.dup(each) for each in opened]):
            os.dup2(each, number)
        os.closerange(len(opened), os.sysconf("SC_OPEN_MAX"))
        os.execvpe(request.command[0], list(request.command), _variables())
    except OSError as error:
        os.write(output, f"{error.strerror}\n".encode())
    finally:
        os._exit(127)


def _variables() -> dict[str, str]:
    """The variables of tools; many ordinary users have no `PATH` to those of networks."""
    path = os.environ.get("PATH", _PATH)
    if os.geteuid() != 0:
        path = f"{path}:/usr/sbin:/sbin"
    return {"PATH": path, "LC_ALL": "C.UTF-8"}


def _show(network: int) -> None:
    """Have a namespace at the path where tools look for it, which nobody else sees."""
    kernel.unshare(Namespace.MOUNT)
    kernel.stop_propagation()
    path = Path(wire.NETWORK)
    kernel.mount("tmpfs", "callboard", path.parent, Mount.NO_SUID, "size=64k,mode=1777")
    path.touch()
    kernel.bind(Path(f"/proc/self/fd/{network}"), path)
