"""The keys of one run: made for it, and gone with it."""

import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import anyio

from callboard.actors.drivers.folder import NodeFolder
from callboard.actors.drivers.ssh.login import Trust
from callboard.actors.drivers.tool import run_tool
from callboard.actors.overlay import Access

_LONGEST_KEYGEN_S = 30.0


class KeyRing:
    """A key of the run's own to log in with, and a host key for each host of guests.

    Args:
        folder: Where the keys, known hosts and sockets of ssh lie; nobody else's to read.
    """

    def __init__(self, folder: NodeFolder) -> None:
        self.path = folder.path
        self.mark = folder.mark
        self._made: dict[str, Access] = {}
        self._lock = anyio.Lock()
        self._links = 0

    @property
    def identity(self) -> Path:
        """The private key of the run's guests; `access` makes it."""
        return self.path / "guest"

    async def access(self, host: str) -> Access:
        """What lets the guests of this run in at a host; made once for each name of a host.

        Raises:
            OSError: There is no ssh-keygen, or it can't write.
        """
        async with self._lock:
            if host not in self._made:
                if not self._made:
                    await _make(self.identity, f"callboard-{self.mark}")
                key = self.path / f"host-{len(self._made) + 1}"
                await _make(key, key.name)
                access = Access(_public(self.identity), key.read_text(), _public(key))
                self._known(key.name, access.host_public)
                self._made[host] = access
            return self._made[host]

    def made_for(self, host: str) -> Trust:
        """Accepts the key that `access` has made for a host, and no other."""
        number = list(self._made).index(host) + 1
        return Trust(self.path / f"host-{number}.known", f"host-{number}")

    def listed(self, keys: Iterable[str]) -> Trust:
        """Accepts these public keys of a host, as `<type> <key>`, and no others."""
        self._links += 1
        name = f"machine-{self._links}"
        return Trust(self._known(name, *keys), name)

    def first_seen(self) -> Trust:
        """Takes the key that a host shows first, and then no other in this run."""
        return Trust(self.path / "first-seen.known", strict=False)

    def socket(self) -> str:
        """A new name for a socket of ssh, in the folder; a path can be too long for one."""
        self._links += 1
        return f"link-{self._links}"

    def _known(self, name: str, *keys: str) -> Path:
        path = self.path / f"{name}.known"
        path.write_text("".join(f"{name} {' '.join(key.split()[:2])}\n" for key in keys))
        return path


@contextlib.asynccontextmanager
async def open_key_ring() -> AsyncIterator[KeyRing]:
    """Make the folder of a run's keys; it is removed on leaving.

    Raises:
        OSError: It can't be made.
    """
    folder = NodeFolder("ssh")
    try:
        yield KeyRing(folder)
    finally:
        folder.remove()


async def _make(path: Path, comment: str) -> None:
    """Make a pair of keys; raises OSError."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    try:
        ran = await run_tool(command, limit_s=_LONGEST_KEYGEN_S)
    except FileNotFoundError as error:
        raise FileNotFoundError("ssh-keygen is missing; install openssh-client") from error
    if ran.status:
        raise OSError(f"ssh-keygen could not make a key in {path.parent}: {ran.errors.strip()}")


def _public(path: Path) -> str:
    return path.with_name(f"{path.name}.pub").read_text().strip()
