"""TLS between callboard and the servers: it works, or one line says why it doesn't."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from tests.cluster.certificates import Authority, Certificate, authority
from tests.cluster.server import Server

from callboard.cluster.access import Access
from callboard.cluster.connection import connect
from callboard.cluster.errors import ClusterError
from callboard.cluster.server import Tls

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="makes certificates: apt-get install openssl"
)

HERE = "IP:127.0.0.1"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls"), "lab")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls"), "stranger")


@pytest.fixture(scope="module")
def secured(signer: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    own = signer.issue("server", HERE)
    with _server(tmp_path_factory.mktemp("secured"), own) as server:
        yield server


def _server(folder: Path, own: Certificate, ca: Path | None = None) -> Server:
    return Server(folder, extra=Tls(own.cert, own.key, ca).section)


async def _refusal(access: Access) -> ClusterError:
    with pytest.raises(ClusterError) as refused:
        async with connect(access, name="test", note=pytest.fail):
            pass
    return refused.value


@pytest.mark.asyncio
@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_a_server_whose_signer_is_named_is_trusted(
    secured: Server, signer: Authority, scheme: str
) -> None:
    access = Access(f"{scheme}://127.0.0.1:{secured.port}", ca=signer.own.cert)
    async with connect(access, name="test", note=pytest.fail) as cluster:
        assert cluster.connected


@pytest.mark.asyncio
async def test_the_connection_is_encrypted_again_after_the_server_was_away(
    signer: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    away = anyio.Event()
    with _server(tmp_path, signer.issue("restarted", HERE)) as server:
        access = Access(server.url, ca=signer.own.cert)
        async with connect(access, name="test", note=said.append) as cluster:
            cluster.listen(lambda there: None if there else away.set())
            server.kill()
            await away.wait()
            server.start()
            await cluster.wait_connected()
            assert await cluster.js.streams_info()
    assert said == ["NATS is unreachable; everything waits", "NATS is back"]
    assert caplog.records == []


@pytest.mark.asyncio
async def test_a_server_signed_by_somebody_else_is_not_trusted(
    secured: Server, stranger: Authority
) -> None:
    for ca in (stranger.own.cert, None):
        error = await _refusal(Access(f"tls://127.0.0.1:{secured.port}", ca=ca))
        assert error.code == "CB270"
        assert "is not to be trusted: " in error.text
        assert error.cure == "name the certificate of who has signed it with --tls-ca FILE"


@pytest.mark.asyncio
async def test_a_certificate_that_has_expired_is_named_as_such(
    signer: Authority, tmp_path: Path
) -> None:
    with _server(tmp_path, signer.issue("expired", HERE, days=-1)) as server:
        error = await _refusal(Access(server.url, ca=signer.own.cert))
    assert error.code == "CB270"
    assert "certificate has expired" in error.text
    assert error.cure == "renew the server's certificate, or set the clock of this machine"


@pytest.mark.asyncio
async def test_a_certificate_of_another_host_is_named_as_such(
    signer: Authority, tmp_path: Path
) -> None:
    with _server(tmp_path, signer.issue("other", "DNS:elsewhere.example")) as server:
        error = await _refusal(Access(server.url, ca=signer.own.cert))
    assert error.code == "CB270"
    assert "127.0.0.1" in error.text
    assert error.cure == "use an address of the server that its certificate has"


@pytest.mark.asyncio
async def test_a_plain_server_is_told_nothing_when_tls_is_asked_for(
    own_server: Server, signer: Authority
) -> None:
    error = await _refusal(Access(own_server.url, ca=signer.own.cert))
    assert (error.code, error.cure) == (
        "CB270",
        "set up TLS at the server, or leave out tls:// and --tls-ca",
    )
    assert "does not offer TLS" in error.text


@pytest.mark.asyncio
async def test_a_server_with_tls_that_nobody_asked_for_is_not_trusted_without_its_signer(
    secured: Server,
) -> None:
    error = await _refusal(Access(secured.url))
    assert error.code == "CB270"
    assert error.cure == "name the certificate of who has signed it with --tls-ca FILE"


@pytest.mark.asyncio
async def test_a_server_that_wants_our_certificate_gets_it(
    signer: Authority, stranger: Authority, tmp_path: Path
) -> None:
    own = signer.issue("strict", HERE)
    mine = signer.issue("mine", "DNS:rack-1")
    foreign = stranger.issue("foreign", "DNS:rack-1")
    with _server(tmp_path, own, signer.own.cert) as server:
        access = Access(server.url, ca=signer.own.cert, cert=mine.cert, key=mine.key)
        async with connect(access, name="test", note=pytest.fail) as cluster:
            assert cluster.connected
        for without in (
            Access(server.url, ca=signer.own.cert),
            Access(server.url, ca=signer.own.cert, cert=foreign.cert, key=foreign.key),
        ):
            error = await _refusal(without)
            assert error.code == "CB270"
            assert error.cure == "see --tls-cert and --tls-key"


@pytest.mark.asyncio
async def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for access in (
        Access("nats://127.0.0.1:1", ca=junk),
        Access("nats://127.0.0.1:1", cert=junk),
        Access("nats://127.0.0.1:1", ca=tmp_path / "absent.pem"),
    ):
        error = await _refusal(access)
        assert error.code == "CB284"
        assert "can't be" in error.text
