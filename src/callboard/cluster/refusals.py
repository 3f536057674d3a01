"""What is said of NATS servers that can't be reached, or refuse."""

import asyncio
import socket
import ssl

from nats.errors import Error, SecureConnWantedError
from nats.js.errors import APIError

from callboard.cluster.access import Access
from callboard.cluster.errors import ClusterError
from callboard.cluster.log import ROOM, is_full

_UNKNOWN_SIGNER_CURE = "name the certificate of who has signed it with --tls-ca FILE"
_CERTIFICATE_CURES = {
    9: "wait until the server's certificate is valid, or set the clock of this machine",
    10: "renew the server's certificate, or set the clock of this machine",
    62: "use a name of the server that its certificate has",
    64: "use an address of the server that its certificate has",
}
"""What mends a certificate that fails, by OpenSSL's reason."""

_CLIENT_PORT = "name the port at which NATS listens to clients, which mostly is 4222"


class Silent(Exception):
    """Somebody listens, and says nothing; a NATS server would."""


def too_large(size: int, limit: int) -> ClusterError:
    """What is said of a message that the servers would refuse."""
    text = f"a message of {size:,} bytes is too large for the NATS server ({limit:,})"
    return ClusterError("CB275", text, "raise `max_payload` in the server's configuration")


def refused(error: Exception, what: str = "it") -> ClusterError:
    """What is said where the servers have answered with an error, or not at all."""
    if isinstance(error, APIError) and is_full(error):
        text = f"the NATS server has no room for {what}: {error.description}"
        return ClusterError("CB274", text, ROOM)
    reason = (isinstance(error, APIError) and error.description) or reason_of(error)
    text = f"the NATS server refuses {what}: {reason}"
    return ClusterError("CB272", text, "see its log, and the limits of JetStream there")


def no_jetstream() -> ClusterError:
    """What is said of a server, or an account, without JetStream."""
    text = "JetStream is off at the NATS server, or off for this account"
    return ClusterError("CB272", text, "`callboard cluster config` prints a configuration with it")


def too_old(access: Access, version: str, oldest: tuple[int, int]) -> ClusterError:
    """What is said of a server of a version before the oldest that will do."""
    wanted = ".".join(map(str, oldest))
    text = f"the NATS server at {access.shown} is too old ({version}); "
    text += f"callboard needs {wanted} or later"
    return ClusterError("CB272", text, "update it, or start one with `callboard cluster dev`")


def unreachable(access: Access, error: Exception) -> ClusterError:
    """What is said where the first connection can't be made, and what would mend it."""
    where = access.shown
    text = f"NATS can't be reached at {where}: {reason_of(error)}"
    cure: str | None = "start a server with `callboard cluster dev`, or name another with --nats"
    match error:
        case socket.gaierror():
            cure = "see whether --nats has the host's name right, or name its address"
        case Silent():
            text = f"what listens at {where} does not speak first, as a NATS server does"
            cure = _CLIENT_PORT
        case TimeoutError():
            cure = "see whether a firewall is in the way, or name another server with --nats"
        case ssl.SSLCertVerificationError():
            text = f"the certificate of {where} is not to be trusted: {error.verify_message}"
            cure = _CERTIFICATE_CURES.get(error.verify_code, _UNKNOWN_SIGNER_CURE)
        case SecureConnWantedError():
            text = f"the server at {where} does not offer TLS"
            cure = "set up TLS at the server, or leave out tls:// and --tls-ca"
        case ssl.SSLError():
            text = f"TLS with {where} fails: {error.reason or error}"
            cure = "see --tls-ca, --tls-cert and --tls-key"
        case Error() if "authorization" in str(error).lower():
            text = f"the NATS server at {where} does not know these credentials"
            cure = "name a credentials file with --creds, or put user and password into the URL"
        case Error() if "info message" in str(error).lower():
            text = f"what answers at {where} is no NATS server"
            cure = _CLIENT_PORT
        case _:
            pass
    return ClusterError("CB270", text, cure)


def unknown_client(access: Access) -> ClusterError:
    """What is said of a server that wants a client's certificate, and has ended the connection.

    Whether it said why before the connection was gone is a matter of luck.
    """
    text = f"the NATS server at {access.shown} wants a certificate of ours that it can trust"
    return ClusterError("CB270", text, "see --tls-cert and --tls-key")


def reason_of(error: Exception) -> str:
    """Why, in a few words for people."""
    match error:
        case socket.gaierror():
            return "its name can't be resolved"
        case ConnectionRefusedError():
            return "nothing listens there"
        case ConnectionResetError() | asyncio.IncompleteReadError():
            return "the connection was cut"
        case TimeoutError():
            return "no answer in time"
        case OSError(strerror=str(text)):
            return text
        case _:
            return str(error).removeprefix("nats: ") or type(error).__name__
