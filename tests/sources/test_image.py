"""Images of deploy blocks: from servers, from this machine, from others over scp."""

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from hashlib import md5, sha256, sha512
from pathlib import Path

import anyio
import pytest
from tests.sources.servers import Hanging, Web, free_port, refusing, silent, web

from callboard.definition import read_text
from callboard.definition.model import Image
from callboard.sources import SourceError, fetch_image, image, secret_values, transfer
from callboard.sources.cache import cache_directory

pytestmark = pytest.mark.asyncio

CONTENT = b"an image" * 1_000


@pytest.fixture
def site() -> Iterator[Web]:
    """A server that has an image."""
    with web() as site:
        site.pages["/r.img"] = CONTENT
        yield site


async def content(
    folder: Path,
    wanted: Image,
    *,
    allow_local: bool = False,
    said: Callable[[str], None] = lambda _text: None,
) -> tuple[str, bytes]:
    """Name and content of an image; nothing of it may be left."""
    async with fetch_image(wanted, folder, said, allow_local=allow_local) as path:
        found = path.name, path.read_bytes()
    assert list(cache_directory().iterdir()) == []
    return found


async def failure(folder: Path, wanted: Image, *, allow_local: bool = False) -> tuple[str, str]:
    """Code and text of what goes wrong; nothing may be left of what was begun."""
    with pytest.raises(SourceError) as caught:
        await content(folder, wanted, allow_local=allow_local)
    if cache_directory().exists():
        assert list(cache_directory().iterdir()) == []
    return caught.value.code, f"{caught.value.message}; {caught.value.hint}"


# From servers


async def test_an_image_has_the_name_that_its_url_ends_with(tmp_path: Path, site: Web) -> None:
    site.pages["/r.img?token=x/y"] = CONTENT
    found = await content(tmp_path, Image("r", f"{site.url}/r.img?token=x/y"))
    assert found == ("r.img", CONTENT)


async def test_headers_go_to_the_server_and_no_further(tmp_path: Path, site: Web) -> None:
    with web() as other:
        other.pages["/r.img"] = CONTENT
        site.pages["/moved"] = f"{other.url}/r.img"
        headers = {"X-Token": "value"}
        assert await content(tmp_path, Image("r", f"{site.url}/moved", headers=headers)) == (
            "moved",
            CONTENT,
        )
        assert site.asked[0][1]["X-Token"] == "value"
        assert "X-Token" not in other.asked[0][1]


async def test_all_checksums_that_are_given_are_compared(tmp_path: Path, site: Web) -> None:
    sums = {
        "md5": md5(CONTENT, usedforsecurity=False).hexdigest(),
        "sha256": sha256(CONTENT).hexdigest().upper(),
        "sha512": sha512(CONTENT).hexdigest(),
    }
    await content(tmp_path, Image("r", f"{site.url}/r.img", sums=sums))
    for name in sums:
        wrong = sums | {name: "0" * 64}
        code, text = await failure(tmp_path, Image("r", f"{site.url}/r.img", sums=wrong))
        assert (code, f"has the {name}sum" in text) == ("CB115", True), text


@pytest.mark.parametrize(
    ("compression", "ending", "compress"),
    [("gz", "gz", gzip.compress), ("bz2", "bz2", bz2.compress), ("xz", "xz", lzma.compress)],
)
async def test_what_is_compressed_is_unpacked_once_its_checksum_is_right(
    tmp_path: Path, site: Web, compression: str, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    packed = compress(CONTENT)
    site.pages[f"/r.img.{ending}"] = packed
    url, sums = f"{site.url}/r.img.{ending}", {"sha256": sha256(packed).hexdigest()}
    assert await content(tmp_path, Image("r", url, compression, sums=sums)) == ("r.img", CONTENT)
    assert await content(tmp_path, Image("r", url)) == (f"r.img.{ending}", packed)
    for broken in (packed[:-9], b"x" + packed, CONTENT):
        site.pages[f"/r.img.{ending}"] = broken
        code, text = await failure(tmp_path, Image("r", url, compression))
        assert (code, "can't be unpacked" in text) == ("CB114", True), text


async def test_zstd_is_unpacked_where_a_library_can(
    tmp_path: Path, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    code, text = await failure(tmp_path, Image("r", f"{site.url}/r.img", "zstd"))
    assert (code, "install the package zstandard" in text) == ("CB111", True), text
    library = types.ModuleType("zstandard")
    library.open = gzip.open  # type: ignore[attr-defined] # stands where the real one would
    monkeypatch.setitem(sys.modules, "zstandard", library)
    site.pages["/r.zst"] = gzip.compress(CONTENT)
    assert await content(tmp_path, Image("r", f"{site.url}/r.zst", "zstd")) == ("r", CONTENT)


async def test_another_compression_is_refused_with_those_that_there_are(
    tmp_path: Path, site: Web
) -> None:
    code, text = await failure(tmp_path, Image("r", f"{site.url}/r.img", "zip"))
    assert (code, "gz, bz2, xz and zstd" in text, site.asked) == ("CB111", True, [])


@pytest.mark.parametrize(
    ("page", "code"),
    [(404, "CB113"), (401, "CB113"), (503, "CB112"), ("ftp://files.example/x", "CB111")],
)
async def test_it_is_told_apart_who_is_to_blame(
    tmp_path: Path, site: Web, page: int | str, code: str
) -> None:
    site.pages["/x"] = page
    found, text = await failure(tmp_path, Image("r", f"{site.url}/x"))
    assert found == code, text


async def test_a_server_that_is_not_there_or_says_nothing_is_the_networks_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "SILENCE_S", 0.3)
    with silent() as mute:
        for place in (refusing(), mute):
            code, text = await failure(tmp_path, Image("r", f"http://{place}/r.img"))
            assert (code, "can't be reached" in text) == ("CB112", True), text


async def test_neither_what_comes_nor_what_comes_out_of_it_may_be_too_large(
    tmp_path: Path, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "IMAGE_BYTES", 2 * 2**20)
    site.pages |= {"/x": bytes(3 * 2**20), "/x.gz": gzip.compress(bytes(3 * 2**20))}
    (tmp_path / "x").write_bytes(bytes(3 * 2**20))
    for wanted in (
        Image("r", f"{site.url}/x"),
        Image("r", f"{site.url}/x.gz", "gz"),
        Image("r", "x"),
    ):
        code, text = await failure(tmp_path, wanted)
        assert (code, "is larger than 2 MiB" in text) == ("CB114", True), text


async def test_it_is_said_now_and_then_how_far_it_is(
    tmp_path: Path, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SAID_S", 0.0)
    site.pages["/x.gz"] = gzip.compress(os.urandom(2**20))
    login = site.url.replace("://", "://user:hunter2@")
    said: list[str] = []
    await content(tmp_path, Image("r", f"{login}/x.gz", "gz"), said=said.append)
    assert f"{site.url}/x.gz: 1 MiB fetched so far" in said
    assert f"{site.url}/x.gz: 1 MiB unpacked so far" in said
    assert "hunter2" not in "".join(said)


async def test_a_download_that_is_cancelled_ends_at_once_and_leaves_nothing(
    tmp_path: Path, site: Web
) -> None:
    hanging = Hanging()
    site.pages["/x"] = hanging
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(content, tmp_path, Image("r", f"{site.url}/x"))
        assert await anyio.to_thread.run_sync(hanging.wait)
        tasks.cancel_scope.cancel()
    hanging.release()
    assert list(cache_directory().iterdir()) == []


# From this machine


async def test_files_below_the_definitions_folder_are_taken_and_no_others(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "r.img").write_bytes(CONTENT)
    (tmp_path / "other").write_bytes(CONTENT)
    (folder / "link").symlink_to(tmp_path / "other")
    for url in ("r.img", "./r.img", f"file://{folder}/r.img"):
        assert await content(folder, Image("r", url)) == ("r.img", CONTENT)
    for url in ("../other", f"file://{tmp_path}/other", "link"):
        code, text = await failure(folder, Image("r", url))
        assert (code, "--allow-local" in text) == ("CB111", True), text
        assert (await content(folder, Image("r", url), allow_local=True))[1] == CONTENT
    for url in ("none", "."):
        code, text = await failure(folder, Image("r", url))
        assert code in {"CB111", "CB113"}, text


@pytest.mark.parametrize(
    "url", ["{site}", "{site}/", "{site}/..", "{site}/a\x07b", "{site}/" + "x" * 256]
)
async def test_a_url_that_ends_with_no_name_of_a_file_is_refused(
    tmp_path: Path, site: Web, url: str
) -> None:
    code, text = await failure(tmp_path, Image("r", url.format(site=site.url)))
    assert (code, site.asked) == ("CB111", []), text
    assert "\x07" not in text


# With scp

_OWN_RUN = (
    *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
    'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$@"',
    "sh",
)
"""The server wants a folder there, which the machine may not have."""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A machine that lets the user's key in, and that the user knows."""
    sshd, real = shutil.which("sshd", path="/usr/sbin"), shutil.which("scp")
    if sshd is None or real is None or os.geteuid() != 0:
        pytest.skip("needs root, and the packages openssh-server and openssh-client")
    keys, port = tmp_path / "ssh", free_port()
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)]
        subprocess.run(command, check=True)
    (keys / "authorized").write_bytes((keys / "user.pub").read_bytes())
    known = (keys / "host.pub").read_text().split()[:2]
    (keys / "known").write_text(f"[127.0.0.1]:{port} {' '.join(known)}\n")
    options = [f"UserKnownHostsFile {keys}/known", f"IdentityFile {keys}/user"]
    (keys / "config").write_text("\n".join([*options, "IdentitiesOnly yes", ""]))
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin/scp"
    wrapper.write_text(f'#!/bin/sh\nexec {real} -F {keys}/config "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    settings = [
        "ListenAddress=127.0.0.1",
        f"HostKey={keys}/host",
        f"AuthorizedKeysFile={keys}/authorized",
        "PermitRootLogin=prohibit-password",
        "StrictModes=no",
        "UsePAM=no",
        "PidFile=none",
        "Subsystem=sftp internal-sftp",
    ]
    words = [word for each in settings for word in ("-o", each)]
    server = subprocess.Popen(
        [*_OWN_RUN, sshd, "-D", "-e", "-f", "/dev/null", "-p", str(port), *words],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        assert "listening" in server.stderr.readline()
        yield f"scp://root@127.0.0.1:{port}"
    finally:
        server.terminate()
        server.communicate()


async def test_scp_copies_what_the_user_may_read_if_that_is_allowed(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.img.gz").write_bytes(gzip.compress(CONTENT))
    wanted = Image("r", f"{host}{tmp_path}/r.img.gz", "gz")
    assert await content(tmp_path, wanted, allow_local=True) == ("r.img", CONTENT)
    code, text = await failure(tmp_path, wanted)
    assert (code, "--allow-local" in text) == ("CB111", True), text
    code, text = await failure(tmp_path, Image("r", f"{host}{tmp_path}/none"), allow_local=True)
    assert (code, "No such file" in text) == ("CB113", True), text
    monkeypatch.setattr(image, "IMAGE_BYTES", 10)
    code, text = await failure(tmp_path, wanted, allow_local=True)
    assert (code, "is larger than" in text) == ("CB114", True), text


async def test_a_host_that_is_not_there_or_not_known_is_the_networks_fault(
    tmp_path: Path, host: str
) -> None:
    (tmp_path / "ssh/known").unlink()
    for place in (host, f"scp://{refusing()}"):
        code, text = await failure(tmp_path, Image("r", f"{place}/x"), allow_local=True)
        assert code == "CB112", text


@pytest.mark.parametrize(
    "url",
    [
        "scp://host/x;id",
        "scp://host/$(id)",
        "scp://host/a b",
        "scp://host/*",
        "scp://-oProxyCommand=id/x",
        "scp://user:password@host/x",
        "scp://host",
        "scp://host/a\nb",
    ],
)
async def test_what_another_shell_could_run_never_meets_scp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/scp").write_text(f"#!/bin/sh\n: > {tmp_path}/called\n")
    (tmp_path / "bin/scp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    code, text = await failure(tmp_path, Image("r", url), allow_local=True)
    assert (code, (tmp_path / "called").exists()) == ("CB111", False), text
    assert "password" not in text


# Secrets


async def test_headers_and_logins_of_images_are_secret() -> None:
    found, diagnostics = read_text("""\
job_name: x
device_type: qemu
visibility: public
timeouts: {job: {minutes: 5}}
actions:
- deploy:
    to: download
    images:
      r: {url: "https://user:hunter2@files.example/r", headers: {X-Token: value}, sha256sum: ab}
""")
    assert found is not None, diagnostics
    assert list(secret_values(found)) == ["value", "user:hunter2"]
    assert found.blocks[0].images[0].sums == {"sha256": "ab"}
