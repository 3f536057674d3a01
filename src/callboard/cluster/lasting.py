"""The client library's connection to the servers, as a cluster needs it.

The first connection is made or not; from then on it is come back to for ever, and it ends in order
at any moment, also while it is coming back.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.errors import Error, SecureConnWantedError

from callboard.cluster.access import Access
from callboard.cluster.refusals import Silent, too_old, unknown_client, unreachable
from callboard.cluster.server import OLDEST

FIRST_S = 5.0
"""How long the first connection, and each answer of JetStream, may take."""

_AGAIN_S = 0.5
"""How long to wait between two attempts to come back."""

_PING_S = 3
"""How often the server is asked whether it is there; not heard of twice, it is taken for gone."""

_CANCEL_S = 0.05
"""Pause before an attempt to come back is told once more that it is to end."""

_Call = Callable[[], Awaitable[None]]


class LastingClient(Client):
    """A connection of the client library.

    It says nothing to a server that is to prove itself by TLS and doesn't: the library goes by
    what the server's first line asks for, which nobody has signed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._encrypted = False
        self._attempts: set[asyncio.Task[None]] = set()

    async def dial(
        self,
        access: Access,
        *,
        name: str,
        inbox: str,
        disconnected: _Call,
        reconnected: _Call,
        closed: _Call,
        failed: Callable[[Exception], Awaitable[None]],
    ) -> None:
        """Make the first connection.

        Args:
            access: Where the servers are.
            name: Of this process, for those who look at the server.
            inbox: The prefix of the subjects where answers go.
            disconnected: Called when the servers are away.
            reconnected: Called when they are back.
            closed: Called when the connection has ended for good.
            failed: Called with each error that comes later and is nobody's answer.

        Raises:
            ClusterError: There is no server, it doesn't let us in, or it is too old.
        """
        self._encrypted = access.encrypted
        reasons: list[Exception] = []

        async def keep(error: Exception) -> None:
            reasons.append(error)

        context = access.tls()
        try:
            await self.connect(
                [each.replace("tls://", "nats://", 1) for each in access.urls],
                name=name,
                error_cb=keep,
                disconnected_cb=disconnected,
                reconnected_cb=reconnected,
                closed_cb=closed,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=int(FIRST_S),
                ping_interval=_PING_S,
                user_credentials=str(access.creds) if access.creds else None,
                inbox_prefix=inbox,
                tls=context,
            )
        except (OSError, Error, TimeoutError, ValueError) as error:
            reason = reasons[-1] if reasons else error
            if isinstance(error, TimeoutError) and not self._server_info:
                reason = Silent()  # somebody listens, for there was a connection
            untrusted = isinstance(reason, ssl.SSLCertVerificationError)
            if self._server_info.get("tls_verify") and not untrusted:  # its first line
                raise unknown_client(access) from error
            raise unreachable(access, reason) from error
        version = self.connected_server_version
        if (version.major, version.minor) < OLDEST:
            found = f"{version.major}.{version.minor}.{version.patch}"
            raise too_old(access, found, OLDEST)
        self.options |= {
            "allow_reconnect": True,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": _AGAIN_S,
        }
        self._error_cb = failed  # not to be set otherwise after connect

    async def hang_up(self) -> None:
        """Close the connection, and see everything end that was running for it."""
        self.options["allow_reconnect"] = False
        # An attempt to come back may miss that it is cancelled, where that comes at the same
        # moment as what it waits for. It would then connect what has been closed meanwhile.
        while attempts := tuple(self._attempts):
            for attempt in attempts:
                attempt.cancel()
            await asyncio.wait(attempts, timeout=_CANCEL_S)
        running = self._running()
        await self.close()
        if running:
            await asyncio.wait(running)

    def _running(self) -> list[asyncio.Task[None]]:
        """The tasks that end with the connection."""
        own = (self._reading_task, self._ping_interval_task, self._flusher_task)
        taking = (each._wait_for_msgs_task for each in self._subs.values())  # noqa: SLF001
        return [each for each in (*own, *taking) if each is not None]

    async def _attempt_reconnect(self) -> None:
        """As the library's; known while it runs, for whoever ends it."""
        attempt = asyncio.current_task()
        assert attempt is not None
        self._attempts.add(attempt)
        try:
            await super()._attempt_reconnect()
        finally:
            self._attempts.discard(attempt)

    def _connect_command(self) -> bytes:
        if self._encrypted and not self._server_info.get("tls_required"):
            raise SecureConnWantedError
        return super()._connect_command()
