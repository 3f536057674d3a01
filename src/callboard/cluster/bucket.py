"""Changes of entries that others may change at the same moment."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import anyio
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import Header
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KV_DEL, KV_OP, KeyValue

NEXT_JOB = "next-job"
"""The key with the number of the next job, in the bucket `subjects.TABLE`."""

_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.5


_MARK_S = 1.0

_SILENCE_S = 1.0
"""Seconds without one more entry after which those that are left are asked for one by one."""


class Bucket(KeyValue):
    """A bucket of a cluster."""

    async def vacate(self, key: str, last: int) -> None:
        """Remove an entry, and soon all that tells of it: who lists the keys sees it no more.

        Args:
            key: Its key.
            last: The entry's revision; nothing is done about another one.

        Raises:
            nats.errors.Error: The servers don't answer, or refuse.
        """
        headers = {KV_OP: KV_DEL, Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(last)}
        await self._js.publish(f"{self._pre}{key}", headers=headers, msg_ttl=_MARK_S)

    async def entries(self) -> dict[str, "Written"]:
        """All entries as they are now, by their keys.

        A watch tells all of them, but not reliably when that was all: the library takes the
        server's count for it, which is of no use while others write.

        Raises:
            nats.errors.Error: The servers don't answer, or refuse.
        """
        info = await self._js.stream_info(self._stream, subjects_filter=f"{self._pre}>")
        left = {each.removeprefix(self._pre) for each in info.state.subjects or {}}
        found: dict[str, Written] = {}
        watcher = await self.watchall()
        try:
            while left:
                entry = await watcher.updates(timeout=_SILENCE_S)  # type: ignore[no-untyped-call]
                if entry is not None:
                    left.discard(entry.key)
                    found[entry.key] = Written(entry.value, entry.created)
        except NatsTimeoutError:
            pass  # the others are gone, or late
        finally:
            await watcher.stop()  # type: ignore[no-untyped-call]
        for key in left:
            with suppress(KeyNotFoundError):
                entry = await self.get(key, validate_keys=False)
                found[key] = Written(entry.value or b"", None)
        return {key: entry for key, entry in found.items() if entry.data}


class Written(NamedTuple):
    """What stands in an entry.

    Attributes:
        data: What was written.
        at: When, by the servers' clock; None for just now.
    """

    data: bytes
    at: datetime | None


async def change(
    bucket: KeyValue, key: str, make: Callable[[bytes | None], bytes | None]
) -> bytes | None:
    """Change an entry by compare-and-set, as often as it takes.

    Args:
        bucket: Where the entry is.
        key: Its key.
        make: Gives what is to stand there for what does; None when there is no entry, or is to be
            no change. It is called again for each change by others that comes between, and must
            bear to see its own: an answer of the server may be lost.

    Returns:
        What stands there now.

    Raises:
        nats.errors.Error: The servers don't answer, or refuse; the change may still be made.
    """
    pause_s = _PAUSE_S
    while True:
        try:
            entry = await bucket.get(key)
            old, revision = entry.value or None, entry.revision
        except KeyNotFoundError:
            old, revision = None, None
        new = make(old)
        if new is None:
            return old
        try:
            if revision is None:
                await bucket.create(key, new)
            else:
                await bucket.update(key, new, revision)
        except (KeyWrongLastSequenceError, KeyNotFoundError):
            # Those who clash come back at different times, the more of them the further apart.
            await anyio.sleep(random.uniform(0, pause_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        else:
            return new


async def take_job_ids(bucket: KeyValue, count: int) -> range:
    """Numbers for the jobs of a group, which no other group has had; raises as `change`.

    Args:
        bucket: The bucket `subjects.TABLE`.
        count: How many, in a row.
    """
    taken = await change(bucket, NEXT_JOB, lambda old: str(int(old or b"1") + count).encode())
    assert taken is not None, "there is always a change"
    return range(int(taken) - count, int(taken))
