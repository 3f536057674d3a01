"""Servers of archives that are unlike others, and those that would do harm."""

import gzip
import io
import os
import tarfile
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import anyio
import pytest
from tests.sources.fetching import definition, failure, fetched, folder_of, tar
from tests.sources.servers import SMOKE, Web, answer, web

from callboard.sources import Policy, archive, fetch, secret_values, transfer
from callboard.sources.address import shown

pytestmark = pytest.mark.asyncio


def at(url: str, **more: object) -> dict[str, object]:
    return {"from": "url", "repository": url, **more}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
async def test_archives_are_taken_however_they_are_compressed(
    tmp_path: Path, site: Web, mode: str
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as opened:  # type: ignore[call-overload] # literals
        entry = tarfile.TarInfo("project-1/smoke.yaml")
        entry.size = len(SMOKE)
        opened.addfile(entry, io.BytesIO(SMOKE.encode()))
    site.pages["/x"] = content.getvalue()
    [whole, stripped] = await fetched(
        tmp_path,
        at(f"{site.url}/x", path="project-1/smoke.yaml"),
        at(f"{site.url}/x", **{"strip-components": 1}),
    )
    assert (folder_of(whole) / "project-1/smoke.yaml").read_text() == SMOKE
    assert (folder_of(stripped) / "smoke.yaml").read_text() == SMOKE


async def test_the_checksum_is_that_of_the_file_whatever_a_server_does_to_send_it(
    tmp_path: Path, site: Web
) -> None:
    packed = tar({"smoke.yaml": SMOKE})

    def labelled(handler: BaseHTTPRequestHandler) -> None:
        """As servers do that take the compression of the file for their own."""
        answer(handler, packed, Content_Encoding="gzip")

    def asked(handler: BaseHTTPRequestHandler) -> None:
        if "gzip" in handler.headers.get("Accept-Encoding", ""):
            answer(handler, gzip.compress(packed), Content_Encoding="gzip")
        else:
            answer(handler, packed)

    site.pages |= {"/labelled": labelled, "/asked": asked}
    digest = sha256(packed).hexdigest()
    for page in ("labelled", "asked"):
        [found] = await fetched(tmp_path, at(f"{site.url}/{page}"))
        assert digest in folder_of(found).name


async def test_a_server_that_wants_headers_or_a_login_gets_them_after_a_redirect_too(
    tmp_path: Path, site: Web
) -> None:
    def guarded(handler: BaseHTTPRequestHandler) -> None:
        sent = handler.headers
        if sent.get("X-Token") == "value" or sent.get("Authorization") == "Basic dXNlcjpwYXNz":
            answer(handler, tar({"smoke.yaml": SMOKE}))
        else:
            handler.send_error(401)

    site.pages |= {"/guarded": guarded, "/moved": f"{site.url}/guarded"}
    login = site.url.replace("://", "://user:pass@")
    for url, headers in ((site.url, {"X-Token": "value"}), (login, {})):
        for page in ("guarded", "moved"):
            await fetched(tmp_path, at(f"{url}/{page}", headers=headers))
    [(code, message, hint)] = await failure(tmp_path, at(f"{site.url}/moved"))
    assert (code, "401" in message, "headers" in hint) == ("CB113", True, True)


async def test_a_login_is_for_its_host_only(tmp_path: Path, site: Web) -> None:
    with web() as other:
        other.pages["/x"] = site.pages["/tests.tgz"]
        site.pages["/away"] = f"{other.url}/x"
        await fetched(tmp_path, at(f"{site.url.replace('://', '://user:pass@')}/away"))
        assert "Authorization" in site.asked[0][1]
        assert "Authorization" not in other.asked[0][1]


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (304, "CB113"),
        (302, "CB113"),
        (500, "CB112"),
        ("http://[x", "CB111"),
        ("ftp://files.example/x", "CB111"),
        ("ext::sh -c true", "CB111"),
    ],
)
async def test_an_answer_that_leads_nowhere_is_said_in_place(
    tmp_path: Path, site: Web, page: int | str, code: str
) -> None:
    site.pages["/x"] = page
    [(found, message, _)] = await failure(tmp_path, at(f"{site.url}/x"))
    assert found == code, message


@pytest.mark.parametrize("headers", [{"X-T": "se\ncret"}, {"X-T": "s€cret"}, {"X T": "secret"}])
async def test_a_header_that_can_not_be_sent_is_named_without_its_value(
    tmp_path: Path, site: Web, headers: dict[str, str]
) -> None:
    [(code, message, hint)] = await failure(tmp_path, at(f"{site.url}/x", headers=headers))
    assert (code, "cret" in message + hint, site.asked) == ("CB111", False, [])


async def test_a_header_may_have_letters_of_western_languages(tmp_path: Path, site: Web) -> None:
    await fetched(tmp_path, at(f"{site.url}/tests.tgz", headers={"X-T": "größe"}))
    assert site.asked[0][1]["X-T"] == "größe"


async def test_a_body_that_does_not_end_is_cut_off(
    tmp_path: Path, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(65_536))

    monkeypatch.setattr(archive, "DOWNLOAD_BYTES", 2 * 2**20)
    site.pages["/x"] = endless
    [(code, message, _)] = await failure(tmp_path, at(f"{site.url}/x"))
    assert (code, "is larger than 2 MiB" in message) == ("CB114", True)
    (tmp_path / "big").write_bytes(bytes(3 * 2**20))
    [(code, message, _)] = await failure(tmp_path, at("big"))
    assert (code, "is larger than 2 MiB" in message) == ("CB114", True)


async def test_a_server_that_stops_in_the_middle_is_the_networks_fault(
    tmp_path: Path, site: Web
) -> None:
    def short(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, b"begun", Content_Length="1000")

    site.pages["/x"] = short
    [(code, *_)] = await failure(tmp_path, at(f"{site.url}/x"))
    assert code == "CB112"


async def test_a_body_that_hangs_runs_out_of_time(tmp_path: Path, site: Web) -> None:
    with anyio.from_thread.start_blocking_portal() as portal:
        done = portal.call(anyio.Event)

        def hanging(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(b"begun")
            portal.call(done.wait)

        site.pages["/x"] = hanging
        [(code, message, _)] = await failure(
            tmp_path, at(f"{site.url}/x"), policy=Policy(timeout_s=0.3)
        )
        portal.call(done.set)
    assert (code, "was not fetched within 0.3 s" in message) == ("CB112", True)


async def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in ("pipe", "folder", "/dev/zero"):
        [(code, message, _)] = await failure(
            tmp_path, at(path), policy=Policy(allow_local=True, timeout_s=5)
        )
        assert (code, "is no file" in message) == ("CB113", True), message


async def test_a_checked_archive_needs_no_network_the_second_time(
    tmp_path: Path, site: Web
) -> None:
    content = site.pages["/tests.tgz"]
    assert isinstance(content, bytes)
    source = at(f"{site.url}/tests.tgz", sha256sum=sha256(content).hexdigest())
    [first] = await fetched(tmp_path, source)
    site.pages["/tests.tgz"] = 500
    [again] = await fetched(tmp_path, source)
    assert folder_of(first) == folder_of(again)
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://user:hunter2@host/x", "user:hunter2"),
        ("https://user:hun@ter2@host/x", "user:hun@ter2"),
        ("https://token@host/x", "token"),
        ("ssh://git@host/x", None),
        ("https://@host/x", None),
        ("https://host/a@b", None),
    ],
)
async def test_the_whole_login_of_a_url_is_secret_and_nothing_else(
    tmp_path: Path, url: str, secret: str | None
) -> None:
    source = {"from": "git", "repository": url, "name": "t", "path": "x"}
    assert list(secret_values(definition(tmp_path, source))) == ([secret] if secret else [])
    assert shown(url) == (
        url if url.endswith("a@b") else f"{url.split('://', maxsplit=1)[0]}://host/x"
    )


async def test_notes_name_what_was_fetched_without_its_login(tmp_path: Path, site: Web) -> None:
    url = site.url.replace("://", "://user:hun@ter2@")
    notes: list[str] = []
    await fetch(definition(tmp_path, at(f"{url}/tests.tgz")), Policy(), notes.append)
    assert [f"fetched {site.url}/tests.tgz" in note for note in notes] == [True]


async def test_unpacking_ends_when_its_time_is_over(
    tmp_path: Path, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_CHUNK_BYTES", 1)  # so that it takes many seconds
    site.pages["/x"] = tar({"smoke.yaml": SMOKE, "zeros": "0" * 20_000_000})
    began_s = anyio.current_time()
    [(code, message, _)] = await failure(tmp_path, at(f"{site.url}/x"), policy=Policy(timeout_s=1))
    assert (code, "was not fetched within 1 s" in message) == ("CB112", True)
    assert anyio.current_time() - began_s < 3
