"""A lab with accounts: a server that knows them, and connections of its members."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from attrs import define, field
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from tests.cluster.server import Server

from callboard.cluster import subjects
from callboard.cluster.accounts import make_accounts
from callboard.cluster.identity import read_identity
from callboard.cluster.permissions import Kind
from callboard.cluster.stores import stores

LEASE_S = 2.0
MEMBERS: tuple[tuple[Kind, str], ...] = (
    ("leader", "stage"),
    ("worker", "rack-1"),
    ("worker", "rack-2"),
    ("user", "ann"),
    ("user", "bob"),
)


@define(eq=False)
class Member:
    """Somebody who may be hostile: has credentials, and does with them what he likes.

    Attributes:
        nc: The connection.
        js: JetStream as the member's own account knows it.
        refused: What the server has refused so far, as it says it.
    """

    nc: Client
    js: JetStreamContext
    refused: list[str] = field(factory=list[str])

    async def settled(self) -> None:
        """Return when the server has dealt with all that was sent, and we with its complaints.

        The client's `flush` may take the answer to an earlier one for its own.
        """
        await self.js.stream_info(f"KV_{subjects.WORKERS}")

    async def publishes(self, subject: str, data: bytes = b"", reply: str = "") -> bool:
        """Whether the server takes a message; it says so after it only if it doesn't."""
        before = len(self.refused)
        await self.nc.publish(subject, data, reply)
        await self.settled()
        return len(self.refused) == before

    async def listens(self, subject: str) -> bool:
        """Whether the server lets the member listen."""
        before = len(self.refused)
        await self.nc.subscribe(subject, cb=_ignore)
        await self.settled()
        return len(self.refused) == before

    async def hear(self, subject: str) -> list[Msg]:
        """A list of the messages that come from now on."""
        heard: list[Msg] = []

        async def take(message: Msg) -> None:
            heard.append(message)

        await self.nc.subscribe(subject, cb=take)
        await self.settled()
        return heard


@define(eq=False)
class Lab:
    """A server with accounts, and their folder."""

    server: Server
    folder: Path

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[Member]:
        """A connection with the credentials of a member."""
        path = self.folder / f"{name}.creds"
        identity = read_identity(path)
        refused: list[str] = []

        async def keep(error: Exception) -> None:
            refused.append(str(error))

        nc = Client()
        try:
            await nc.connect(
                self.server.url,
                user_credentials=str(path),
                inbox_prefix=identity.inbox,
                error_cb=keep,
                allow_reconnect=False,
            )
            yield Member(nc, nc.jetstream(timeout=2, prefix=identity.api), refused)
        finally:
            await nc.close()


@contextmanager
def open_lab(folder: Path) -> Iterator[Lab]:
    """A lab with `MEMBERS`, where no cluster has been made yet."""
    accounts = folder / "accounts"
    made = make_accounts(accounts, MEMBERS)
    with Server(folder / "nats", extra=made.configuration.read_text()) as server:
        yield Lab(server, accounts)


async def make_cluster(lab: Lab) -> None:
    """Let the leader make what a cluster keeps on its servers."""
    async with lab.member("stage") as leader:
        for config in stores(LEASE_S, 3600.0):
            await leader.js.add_stream(config)


async def _ignore(message: Msg) -> None:
    """Take no notice."""
