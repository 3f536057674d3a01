"""What lets the guests of a run log in on their host: keys that were made for the run."""

from collections.abc import Iterator

from attrs import field, frozen

from callboard.actors.overlay.files import File

_PRIVATE_MODE = 0o600
_HOST_KEY = "etc/ssh/ssh_host_ed25519_key"


@frozen
class Access:
    """Keys that a host gets with its overlay (LAVA: ssh-authorize).

    Attributes:
        authorized: The public key that may log in, a line of text.
        host_key: The host's private key, by which its guests know it.
        host_public: Its public half, a line of text.
    """

    authorized: str
    host_key: str = field(repr=False)
    host_public: str

    def files(self) -> Iterator[File]:
        """The files below the root of the host's system."""
        yield File("root/.ssh/authorized_keys", f"{self.authorized}\n".encode(), _PRIVATE_MODE)
        yield File(_HOST_KEY, self.host_key.encode(), _PRIVATE_MODE)
        yield File(f"{_HOST_KEY}.pub", f"{self.host_public}\n".encode())
