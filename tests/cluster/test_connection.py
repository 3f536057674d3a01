"""The connection to a cluster: how it is made, why it is not, and that it lasts."""

import asyncio
from pathlib import Path

import anyio
import pytest
from nats.aio.msg import Msg
from tests.cluster.server import Server

from callboard.cluster import lasting, subjects
from callboard.cluster.access import Access
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.errors import ClusterError
from callboard.cluster.founding import ensure
from callboard.cluster.stores import LEASE_S, RETENTION_S

_CLIENT_PORT = "name the port at which NATS listens to clients, which mostly is 4222"


def quiet(_text: str) -> None:
    """Say nothing."""


async def ignore(_message: Msg) -> None:
    """Do nothing with it."""


async def _refusal(access: Access, *, make: bool = True) -> ClusterError:
    with pytest.raises(ClusterError) as refused:
        async with connect(access, name="test", note=print, make=make):
            pass
    return refused.value


@pytest.mark.asyncio
async def test_the_first_to_come_makes_what_a_cluster_keeps(own_server: Server) -> None:
    async with connect(Access(own_server.url), name="test", note=print) as cluster:
        assert cluster.lease_s == LEASE_S
        assert cluster.retention_s == RETENTION_S
        names = {each.config.name for each in await cluster.js.streams_info()}
    buckets = (subjects.WORKERS, subjects.GROUPS, subjects.LEADERS, subjects.TABLE)
    wanted = {f"KV_{name}" for name in buckets} | {subjects.LOG, f"OBJ_{subjects.BUNDLES}"}
    assert names == wanted


@pytest.mark.asyncio
async def test_lease_and_retention_are_those_that_the_cluster_was_made_with(
    own_server: Server,
) -> None:
    async with connect(Access(own_server.url), name="test", note=print) as cluster:
        for stream in await cluster.js.streams_info():
            await cluster.js.delete_stream(str(stream.config.name))
        assert len(await ensure(cluster.js, 3.0, 7200.0)) == 6
        assert await ensure(cluster.js) == []
    async with connect(Access(own_server.url), name="test", note=print) as cluster:
        assert (cluster.lease_s, cluster.retention_s) == (3.0, 7200.0)


@pytest.mark.asyncio
async def test_the_connection_survives_the_death_of_the_server(own_server: Server) -> None:
    said: list[str] = []
    async with connect(Access(own_server.url), name="test", note=said.append) as cluster:
        changes: list[bool] = []
        away = anyio.Event()
        cluster.listen(changes.append)
        cluster.listen(lambda there: None if there else away.set())
        bucket = cluster.bucket(subjects.TABLE)
        await bucket.put("kept", b"1")
        heard = await cluster.nc.subscribe("heard")
        own_server.kill()
        await away.wait()
        assert not cluster.connected
        cluster.post("heard", b"posted while it was away")
        own_server.start()
        await cluster.wait_connected()
        assert (await bucket.get("kept")).value == b"1"
        assert (await heard.next_msg(5)).data == b"posted while it was away"
        assert changes == [False, True]
    assert said == ["NATS is unreachable; everything waits", "NATS is back"]


@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["there", "away", "coming back", "coming back, and misses that"])
async def test_a_connection_leaves_nothing_running_wherever_it_is_closed(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    trying = anyio.Event()
    before = asyncio.all_tasks()
    async with connect(Access(own_server.url), name="test", note=quiet) as cluster:
        await cluster.nc.subscribe("heard", cb=ignore)
        dial = cluster.nc._select_next_server

        async def try_for_ever() -> None:
            trying.set()
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:  # as where it comes at the moment of a connection
                if "misses" not in where:
                    raise
                own_server.start()
                await dial()

        if "back" in where:
            monkeypatch.setattr(cluster.nc, "_select_next_server", try_for_ever)
        if where != "there":
            away = anyio.Event()
            cluster.listen(lambda _there: away.set())
            own_server.kill()
            await away.wait()
        if "back" in where:
            await trying.wait()
    assert asyncio.all_tasks() == before
    assert cluster.nc.is_closed


@pytest.mark.asyncio
async def test_what_is_posted_arrives_in_order(cluster: Cluster) -> None:
    heard = await cluster.nc.subscribe("heard")
    for number in range(1000):
        cluster.post("heard", b"%d" % number)
    assert [(await heard.next_msg(5)).data for _ in range(1000)] == [b"%d" % n for n in range(1000)]


@pytest.mark.asyncio
async def test_what_is_for_this_process_itself_does_not_go_over_the_server(
    cluster: Cluster,
) -> None:
    elsewhere = await cluster.nc.subscribe("a.>")
    got: list[tuple[str, bytes]] = []
    with (
        cluster.here("a.here.*", lambda subject, data: got.append((subject, data))),
        cluster.here("a.there.g", lambda subject, data: got.append((subject, data))),
    ):
        for subject in ("a.here.g", "a.there.g", "a.there.h", "a.here.h"):
            cluster.post(subject, subject.encode())
        assert got == []
        await asyncio.sleep(0)
        assert got == [(each, each.encode()) for each in ("a.here.g", "a.there.g", "a.here.h")]
    cluster.post("a.here.g", b"")
    assert [(await elsewhere.next_msg(5)).subject for _ in range(2)] == ["a.there.h", "a.here.g"]


@pytest.mark.asyncio
async def test_a_message_that_the_server_would_refuse_is_refused_at_once(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"1,048,577 bytes is too large .*1,048,576") as refused:
        cluster.post("heard", bytes(1024 * 1024 + 1))
    assert refused.value.code == "CB275"


@pytest.mark.asyncio
async def test_where_nothing_listens_the_cure_is_named() -> None:
    error = await _refusal(Access("nats://someone:secret@127.0.0.1:1"))
    assert error.code == "CB270"
    assert error.text == "NATS can't be reached at nats://127.0.0.1:1: nothing listens there"
    assert "callboard cluster dev" in str(error.cure)


@pytest.mark.asyncio
async def test_a_host_without_an_address_is_named() -> None:
    error = await _refusal(Access("nats://nowhere.invalid:4222"))
    assert error.text.startswith("NATS can't be reached at nats://nowhere.invalid:4222: its name")
    assert error.cure == "see whether --nats has the host's name right, or name its address"


@pytest.mark.parametrize("url", ["", "http://x:1", "nats://", "nats://x:port", "nats://x:99999"])
@pytest.mark.asyncio
async def test_an_address_that_is_none_is_refused_before_it_is_tried(url: str) -> None:
    error = await _refusal(Access(url))
    assert error.code == "CB284"
    assert error.cure == "it is written as nats://host:4222"


@pytest.mark.asyncio
async def test_what_is_no_nats_server_is_called_so() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        error = await _refusal(Access(f"nats://127.0.0.1:{port}"))
    assert error.text == f"what answers at nats://127.0.0.1:{port} is no NATS server"
    assert error.cure == _CLIENT_PORT


@pytest.mark.asyncio
async def test_who_waits_for_a_request_is_called_no_nats_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # as a web server does
        writer.close()

    monkeypatch.setattr(lasting, "FIRST_S", 1.0)
    async with await asyncio.start_server(wait, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        error = await _refusal(Access(f"nats://127.0.0.1:{port}"))
    assert error.code == "CB270"
    assert f"what listens at nats://127.0.0.1:{port} does not speak first" in error.text
    assert error.cure == _CLIENT_PORT


@pytest.mark.asyncio
async def test_a_server_that_is_too_old_is_refused() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version":"2.9.25","max_payload":1048576,"headers":true}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        error = await _refusal(Access(f"nats://127.0.0.1:{port}"))
    assert error.code == "CB272"
    assert "too old (2.9.25); callboard needs 2.12 or later" in error.text


@pytest.mark.asyncio
async def test_a_server_without_jetstream_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path, jetstream=False) as plain:
        error = await _refusal(Access(plain.url))
    assert error.code == "CB272"
    assert "JetStream is off" in error.text


@pytest.mark.asyncio
async def test_wrong_credentials_are_refused_without_showing_them(tmp_path: Path) -> None:
    extra = 'authorization { user: lab, password: "right" }'
    with Server(tmp_path, extra) as guarded:
        address = f"127.0.0.1:{guarded.port}"
        error = await _refusal(Access(f"nats://lab:wrong@{address}"))
        assert error.code == "CB270"
        assert error.text == f"the NATS server at nats://{address} does not know these credentials"
        assert "wrong" not in f"{error!r}{error.cure}"
        async with connect(Access(f"nats://lab:right@{address}"), name="test", note=print):
            pass


@pytest.mark.asyncio
async def test_who_may_not_make_a_cluster_is_told_so_at_once(tmp_path: Path) -> None:
    extra = """
    authorization { users: [{ user: a, password: b, permissions: {
      publish: ["$JS.API.STREAM.INFO.>"], subscribe: ["_INBOX.>"] } }] }
    """
    with Server(tmp_path, extra) as guarded, anyio.fail_after(4):
        error = await _refusal(Access(f"nats://a:b@127.0.0.1:{guarded.port}"))
    assert error.code == "CB279"
    assert error.text.endswith(" does not let us make a cluster")
    assert "callboard cluster accounts DIR --leader NAME" in str(error.cure)


@pytest.mark.asyncio
async def test_where_there_is_no_cluster_and_none_is_to_be_made_it_is_said(
    own_server: Server,
) -> None:
    error = await _refusal(Access(own_server.url), make=False)
    assert error.code == "CB283"
    assert "callboard cluster init" in str(error.cure)


@pytest.mark.asyncio
async def test_a_cluster_of_another_protocol_is_refused(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(subjects, "PROTOCOL", 7)
        async with connect(Access(own_server.url), name="test", note=print):
            pass
    error = await _refusal(Access(own_server.url))
    assert error.code == "CB271"
    assert error.text == "the cluster speaks protocol 7, this callboard 1"


@pytest.mark.asyncio
async def test_a_bucket_of_somebody_else_is_not_taken_for_ours(cluster: Cluster) -> None:
    for stream in await cluster.js.streams_info():
        await cluster.js.delete_stream(str(stream.config.name))
    await cluster.js.create_key_value(bucket=subjects.WORKERS)
    error = await _refusal(cluster.access)
    assert error.code == "CB271"
    assert "KV_callboard-workers that callboard has not made" in error.text


@pytest.mark.asyncio
async def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    error = await _refusal(Access("nats://127.0.0.1:1", creds=tmp_path / "none.creds"))
    assert error.text.endswith(
        "none.creds (credentials file) can't be read: No such file or directory"
    )
    assert error.code == "CB284"


@pytest.mark.parametrize(
    "text",
    [
        "junk",
        "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n",
    ],
    ids=["junk", "no claims"],
)
@pytest.mark.asyncio
async def test_a_file_that_holds_no_credentials_is_named(
    server: Server, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "ann.creds"
    file.write_text(text)
    error = await _refusal(Access(server.url, creds=file))
    assert error.code == "CB284"
    assert f"{file} is no credentials file" in error.text


@pytest.mark.asyncio
async def test_a_plain_server_is_refused_where_tls_is_asked_for(server: Server) -> None:
    error = await _refusal(Access(server.url.replace("nats://", "tls://")))
    assert error.code == "CB270"
    assert "does not offer TLS" in error.text


@pytest.mark.asyncio
async def test_a_connection_that_the_server_ends_for_good_ends_what_rests_on_it(
    own_server: Server,
) -> None:
    with pytest.raises(ClusterError, match="has ended the connection") as ended:
        async with connect(Access(own_server.url), name="test", note=print) as cluster:
            await cluster.nc._process_err("'Maximum Connections Exceeded'")
            await anyio.sleep_forever()
    assert ended.value.code == "CB270"


@pytest.mark.asyncio
async def test_what_goes_wrong_while_connected_is_raised_as_it_is(own_server: Server) -> None:
    with pytest.raises(KeyError):
        async with connect(Access(own_server.url), name="test", note=print):
            raise KeyError


@pytest.mark.asyncio
async def test_a_fault_of_what_takes_messages_is_said_once_and_more_are_taken(
    own_server: Server,
) -> None:
    said: list[str] = []
    heard = anyio.Event()

    async def take(message: Msg) -> None:
        if message.data == b"good":
            heard.set()
        else:
            raise RuntimeError("a bug")

    async with connect(Access(own_server.url), name="test", note=said.append) as cluster:
        await cluster.nc.subscribe("there", cb=take)
        for data in (b"bad", b"bad", b"good"):
            cluster.post("there", data)
        await heard.wait()
    assert said == ["this is a fault of callboard: RuntimeError: a bug"]
