"""How a node logs in: whose key it shows, and which host keys it accepts."""

from pathlib import Path

from attrs import frozen

LONGEST_CONNECT_S = 10
"""How long a host may take to answer."""

_SILENT_S = 15
_MOST_SILENT = 3


@frozen
class Trust:
    """Which host key is accepted. The user's and the system's known hosts play no part.

    Attributes:
        known: The file of known hosts.
        alias: Under which name the host's key stands in it, None for its address.
        strict: Whether the key must stand there already; else the first one seen is taken.
    """

    known: Path
    alias: str | None = None
    strict: bool = True

    def options(self) -> dict[str, str]:
        """It as options of ssh."""
        alias = {} if self.alias is None else {"HostKeyAlias": self.alias}
        return {
            "UserKnownHostsFile": str(self.known),
            "GlobalKnownHostsFile": "none",
            "StrictHostKeyChecking": "yes" if self.strict else "accept-new",
            "HashKnownHosts": "no",
            "CheckHostIP": "no",
            "UpdateHostKeys": "no",
            "KnownHostsCommand": "none",
            "VerifyHostKeyDNS": "no",
            **alias,
        }


@frozen
class Login:
    """How a node logs in.

    Attributes:
        trust: Which host key is accepted.
        identity: The private key that is shown; None leaves it to the user's configuration.
        configured: Whether the user's own configuration of ssh and agent are used.
        cure: What to do when the host doesn't let the user in.
        key_cure: What to do when its host key is not the expected one.
        server_cure: What to do when it refuses the connection.
        address_cure: What to do when there is no way to its address.
        inside: The words that start a program in the network where the host is; none where that
            is this machine's.
    """

    trust: Trust
    identity: Path | None = None
    configured: bool = False
    cure: str = "give the deploy of its host `authorize: ssh`, and let its sshd permit root"
    key_cure: str = "let its sshd use /etc/ssh/ssh_host_ed25519_key, which its deploy has put there"
    server_cure: str = "start an ssh server on that port before its address is sent"
    address_cure: str = "send an IP address that this machine can reach"
    inside: tuple[str, ...] = ()

    def options(self) -> dict[str, str]:
        """It as options of ssh."""
        own = {"IdentityAgent": "none"} if not self.configured else {}
        identity = {}
        if self.identity is not None:
            identity = {"IdentityFile": str(self.identity), "IdentitiesOnly": "yes"}
        return {
            **own,
            **identity,
            **self.trust.options(),
            "BatchMode": "yes",
            "ConnectTimeout": str(LONGEST_CONNECT_S),
            "ConnectionAttempts": "1",
            "ServerAliveInterval": str(_SILENT_S),
            "ServerAliveCountMax": str(_MOST_SILENT),
            "ClearAllForwardings": "yes",
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "PermitLocalCommand": "no",
            "RemoteCommand": "none",
            "Tunnel": "no",
            "LogLevel": "ERROR",
        }
