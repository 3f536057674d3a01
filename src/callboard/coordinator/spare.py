"""A descriptor that is kept for when there is none left."""

import os
from contextlib import suppress
from socket import socket


class Spare:
    """Lets a listener get rid of a connection for which there is no descriptor.

    It would stay in the listener's queue otherwise, and be reported for ever.
    """

    def __init__(self) -> None:
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._descriptor: int | None = os.dup(self._nothing)

    def turn_away(self, listener: socket) -> bool:
        """Close the next connection; False if that can't be done now."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with suppress(OSError):
                connection, _ = listener.accept()
                self._descriptor = connection.detach()
                os.dup2(self._nothing, self._descriptor, inheritable=False)  # closes it as well
                return True
        with suppress(OSError):  # somebody else may have been faster
            self._descriptor = os.dup(self._nothing)
        return False

    def close(self) -> None:
        """Keep nothing any more."""
        os.close(self._nothing)
        if self._descriptor is not None:
            os.close(self._descriptor)
