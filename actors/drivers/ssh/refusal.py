"""Why a login failed, from what ssh says of it, and what to do."""

from callboard.actors.drivers.ssh.login import LONGEST_CONNECT_S, Login
from callboard.definition.address import Address

_LONGEST_QUOTE = 300


class Refusal(OSError):
    """A login failed.

    Args:
        text: Where, why, and what to do.
        passing: Whether another attempt may do better, as with a server that is very busy, or
            has only just been started.
    """

    def __init__(self, text: str, *, passing: bool = False) -> None:
        super().__init__(text)
        self.passing = passing


def refusal(address: Address, login: Login, said: str) -> Refusal:
    """The failure of a login.

    Args:
        address: Where to.
        login: How.
        said: What ssh printed.
    """
    for words, reason, cure in (
        (
            ("Host key verification failed", "HOST IDENTIFICATION HAS CHANGED"),
            "its host key is not the expected one",
            login.key_cure,
        ),
        (
            ("UNPROTECTED PRIVATE KEY", "bad permissions"),
            f"others can read the key {login.identity}",
            f"run `chmod 600 {login.identity}`",
        ),
        (
            ("Load key", "not accessible"),
            f"the key {login.identity} can't be used",
            "name a private key without a passphrase, or give it to an agent",
        ),
        (
            ("Permission denied", "Too many authentication failures"),
            f"{address.user} is not let in",
            login.cure,
        ),
        (
            ("Connection refused",),
            "the connection is refused",
            login.server_cure,
        ),
        (
            ("No route to host", "Network is unreachable"),
            "there is no route to it",
            login.address_cure,
        ),
        (
            ("timed out",),
            f"nothing answers within {LONGEST_CONNECT_S} s",
            "look for a firewall, and whether the host runs",
        ),
        (
            ("Could not resolve hostname",),
            "nobody knows that name",
            login.address_cure,
        ),
    ):
        if any(each in said for each in words):
            # sshd goes into the background a moment before it listens.
            passing = "Connection refused" in words
            return Refusal(f"can't log in as {address}: {reason}; {cure}", passing=passing)
    closed = "Connection closed" in said or "Connection reset" in said or "kex_exchange" in said
    if closed:
        cure = "look into the log of its ssh server"
        return Refusal(f"can't log in as {address}: it hung up; {cure}", passing=True)
    quoted = " ".join(said.split())[-_LONGEST_QUOTE:] or "ssh gave no reason"
    return Refusal(f"can't log in as {address}: {quoted}; try `ssh -v` by hand")
