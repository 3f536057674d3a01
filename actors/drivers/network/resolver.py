"""Which servers of names the nodes of a group's network ask (resolv.conf(5))."""

from collections.abc import Sequence
from ipaddress import IPv4Address, ip_address
from pathlib import Path

_FILE = Path("/etc/resolv.conf")
_UPSTREAM = Path("/run/systemd/resolve/resolv.conf")
"""Where systemd-resolved names the servers that it asks itself."""

FILES = (_FILE, _UPSTREAM)
"""The machine's resolver files, the one that it uses first."""


def is_elsewhere(text: str) -> bool:
    """Whether a resolver file names a server that isn't on the machine's own loopback."""
    return any(not _is_loopback(line) for line in _servers(text))


def resolver_text(server: IPv4Address | None, files: Sequence[Path] = FILES) -> str | None:
    """The resolver file of nodes.

    Args:
        server: Who answers in the network itself, None where nobody does.
        files: The machine's, the one that it uses first.

    Returns:
        None where the machine's is good for the nodes, or there is nothing better.
    """
    texts = [_read(each) for each in files]
    first = texts[0] if texts else ""
    if _servers(first) and not any(map(_is_loopback, _servers(first))):
        return None
    for text in texts:
        if is_elsewhere(text):
            kept = [each for each in text.splitlines() if not _is_loopback(each)]
            return "\n".join(kept) + "\n"
    if server is None:
        return None
    kept = [each for each in first.splitlines() if not each.startswith("nameserver")]
    return "\n".join([*kept, f"nameserver {server}"]) + "\n"


def needs_server(files: Sequence[Path] = FILES) -> bool:
    """Whether all servers that this machine asks are on its loopback, which nodes don't reach."""
    return not any(is_elsewhere(_read(each)) for each in files)


def _servers(text: str) -> list[str]:
    return [each for each in text.splitlines() if each.split()[:1] == ["nameserver"]]


def _is_loopback(line: str) -> bool:
    words = line.split()
    if words[:1] != ["nameserver"] or len(words) < 2:
        return False
    try:
        return ip_address(words[1].partition("%")[0]).is_loopback
    except ValueError:
        return False


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
