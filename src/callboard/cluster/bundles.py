"""Bundles of groups on their way: an object store that clients may write and leaders may read.

Clients are not allowed to read it, not even what they have written: secrets are in there.
"""

import hashlib
import io
import json
import re
import secrets
from base64 import urlsafe_b64encode
from typing import Any

import anyio
from nats.js.api import Header, ObjectInfo, ObjectMetaOptions
from nats.js.errors import BadObjectMetaError, NotFoundError
from nats.js.object_store import ObjectStore

from callboard.cluster import subjects
from callboard.cluster.bundle import LIMIT_BYTES
from callboard.cluster.errors import ClusterError
from callboard.cluster.log import Connected

CHUNK_BYTES = 128 * 1024
"""Bundles travel in messages of this size, or of the server's largest if that is smaller."""

READ_S = 120.0
"""Seconds after which reading a bundle is given up; who wants it tries again."""

_HEADERS_BYTES = 1024
_STREAM = f"OBJ_{subjects.BUNDLES}"
_CHUNKS = f"$O.{subjects.BUNDLES}.C."
_IDENTITY = re.compile(r"[0-9a-f]{32}")
_ABOUT = f"$O.{subjects.BUNDLES}.M."


async def put(cluster: Connected, group: str, data: bytes) -> None:
    """Store the bundle of a group, of which nobody knows yet.

    Raises:
        nats.errors.Error: The servers don't answer, or refuse.
    """
    size = min(CHUNK_BYTES, cluster.nc.max_payload - _HEADERS_BYTES)
    identity = secrets.token_hex(16)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    for chunk in chunks:
        await cluster.js.publish(_CHUNKS + identity, chunk)
    digest = urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
    about = ObjectInfo(
        name=group,
        bucket=subjects.BUNDLES,
        nuid=identity,
        size=len(data),
        chunks=len(chunks),
        digest=f"SHA-256={digest}",
        options=ObjectMetaOptions(max_chunk_size=size),
    )
    content = json.dumps(about.as_dict()).encode()
    await cluster.js.publish(_about(group), content, headers={Header.ROLLUP.value: "sub"})


async def get(cluster: Connected, group: str) -> bytes:
    """The bundle of a group.

    Raises:
        ClusterError: There is none (any more), or what there is can't be one.
        nats.errors.Error: The servers don't answer, or refuse.
        TimeoutError: They stopped to send it.
    """
    content = _Bounded()
    try:
        with anyio.fail_after(READ_S):
            if await _chunks(cluster, group) is None:
                text = f"the bundle of the group {group} is not of this version's format"
                raise ClusterError("CB271", text, "submit it again")
            await _store(cluster).get(group, writeinto=content)
    except NotFoundError as error:
        text = f"the cluster has no bundle of the group {group} any more"
        raise ClusterError("CB276", text, "submit it again") from error
    return content.getvalue()


async def remove(cluster: Connected, group: str) -> None:
    """Remove the bundle of a group, if there is one; raises nats.errors.Error.

    It is erased from the servers' disks, too, for there are secrets in it.
    """
    try:
        chunks = await _chunks(cluster, group)
        while chunks is not None:
            found = await cluster.js.get_last_msg(_STREAM, chunks)
            assert found.seq is not None, "what is stored has a number"
            await cluster.js.delete_msg(_STREAM, found.seq)
    except NotFoundError:
        pass
    await cluster.js.purge_stream(_STREAM, subject=_about(group))


class _Bounded(io.BytesIO):
    """Takes no more than a bundle may have: its writer may have meant harm."""

    def write(self, data: Any, /) -> int:
        if self.tell() + len(memoryview(data)) > LIMIT_BYTES:
            raise ClusterError("CB275", f"a bundle has more than {LIMIT_BYTES >> 20} MiB")
        return super().write(data)


async def _chunks(cluster: Connected, group: str) -> str | None:
    """Where the parts of a group's bundle are; None where it isn't `put` that has written them.

    Raises NotFoundError. Whoever submits writes this, and could name the parts of others.
    """
    try:
        about = await _store(cluster).get_info(group)
        own = not about.is_link() and _IDENTITY.fullmatch(str(about.nuid))
    except (BadObjectMetaError, AttributeError):
        return None
    return f"{_CHUNKS}{about.nuid}" if own else None


def _about(group: str) -> str:
    return _ABOUT + urlsafe_b64encode(group.encode()).decode()


def _store(cluster: Connected) -> ObjectStore:
    return ObjectStore(subjects.BUNDLES, _STREAM, cluster.js)
