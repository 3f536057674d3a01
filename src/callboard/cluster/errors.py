"""What goes wrong with a cluster, in the user's words."""

import sys

NO_CLUSTER = "CB283"
"""The code where a server has nothing of a cluster."""

CLUSTER_MADE = "`callboard cluster init` makes one, and so does a worker that leads"
"""The cure for that."""


BAD_ACCESS = "CB284"
"""The code where an address, credentials or certificates can't be right."""


class ClusterError(Exception):
    """The cluster can't be used, or not in this way.

    Attributes:
        code: Of the diagnostic, see `callboard check --explain`.
        text: What is wrong.
        cure: What would mend it, None where nobody can say.
    """

    def __init__(self, code: str, text: str, cure: str | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.cure = cure


class Fenced(Exception):
    """Another worker leads the group now; what this one still says is void."""


class Left(Exception):
    """A client has left a group, which goes on."""


class NeverRan(ClusterError):
    """A group has ended without having had devices.

    Attributes:
        exit_code: What `callboard run` exits with for it.
    """

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__("CB282", text)
        self.exit_code = exit_code


def no_client(missing: ImportError) -> ClusterError:
    """What is said where the client library of NATS, which is an extra, isn't there."""
    text = f"the NATS client is not installed ({missing.name})"
    return ClusterError("CB270", text, f"{sys.executable} -m pip install 'callboard[nats]'")


def first(errors: BaseExceptionGroup[Exception]) -> Exception:
    """The first error of a group of them."""
    found = errors.exceptions[0]
    return first(found) if isinstance(found, BaseExceptionGroup) else found


def fault(error: Exception) -> str:
    """What is said of an error that nobody expects."""
    return f"this is a fault of callboard: {type(error).__name__}: {error}"
