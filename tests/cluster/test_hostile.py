"""Members who write what they may, to do harm."""

import json
from base64 import urlsafe_b64encode

import pytest

from callboard.cluster import bundles, subjects
from callboard.cluster.connection import Cluster
from callboard.cluster.errors import ClusterError

STREAM = f"OBJ_{subjects.BUNDLES}"


async def _forge(cluster: Cluster, group: str, **about: object) -> None:
    """Submit a bundle that says of itself what it likes."""
    name = urlsafe_b64encode(group.encode()).decode()
    said = {"name": group, "bucket": subjects.BUNDLES, "size": 1, "chunks": 1, **about}
    await cluster.js.publish(f"$O.{subjects.BUNDLES}.M.{name}", json.dumps(said).encode())


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "about",
    [
        {"nuid": ">", "digest": "SHA-256=x"},
        {"nuid": "*", "digest": "SHA-256=x"},
        {"nuid": ""},
        {"nuid": 1},
        {"options": {"link": {"bucket": subjects.GROUPS, "name": "x"}}},
        {"options": {"link": 1}},
        {"size": "many"},
    ],
)
async def test_a_bundle_that_names_others_parts_gets_none_and_removes_none(
    cluster: Cluster, about: dict[str, object]
) -> None:
    await bundles.put(cluster, "honest", b"ours")
    await _forge(cluster, "forged", **about)
    with pytest.raises(ClusterError) as refused:
        await bundles.get(cluster, "forged")
    assert refused.value.code == "CB271"
    await bundles.remove(cluster, "forged")
    with pytest.raises(ClusterError, match="has no bundle"):
        await bundles.get(cluster, "forged")
    assert await bundles.get(cluster, "honest") == b"ours"


@pytest.mark.asyncio
async def test_what_is_removed_is_gone_with_all_its_parts(cluster: Cluster) -> None:
    before = (await cluster.js.stream_info(STREAM)).state.messages
    await bundles.put(cluster, "large", bytes(3 * bundles.CHUNK_BYTES + 1))
    assert (await cluster.js.stream_info(STREAM)).state.messages == before + 5
    await bundles.remove(cluster, "large")
    await bundles.remove(cluster, "large")
    assert (await cluster.js.stream_info(STREAM)).state.messages == before


@pytest.mark.asyncio
async def test_a_bundle_without_end_is_given_up(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "LIMIT_BYTES", 2 * bundles.CHUNK_BYTES)
    await bundles.put(cluster, "endless", bytes(3 * bundles.CHUNK_BYTES))
    with pytest.raises(ClusterError) as refused:
        await bundles.get(cluster, "endless")
    assert refused.value.code == "CB275"
