"""Fetching from real repositories and servers."""

import os
from hashlib import sha256
from pathlib import Path

import pytest
from attrs import evolve
from tests.sources.fetching import commit_of, definition, failure, fetched, folder_of
from tests.sources.servers import (
    SMOKE,
    Web,
    commit,
    git,
    git_daemon,
    refusing,
    repository,
    silent,
    web,
)

from callboard.definition import DefinitionError
from callboard.sources import Policy, SourcesFailed, fetch
from callboard.sources.cache import Cache

pytestmark = pytest.mark.asyncio


# Git


async def test_branches_tags_and_revisions_are_found(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    repo, url = served
    first = git(repo, "rev-parse", "HEAD")
    git(repo, "tag", "-a", "v1", "-m", "first")
    git(repo, "checkout", "--quiet", "-b", "topic/x")
    second = commit(repo, {"data": "topic"})
    git(repo, "checkout", "--quiet", "main")
    third = commit(repo, {"data": "main"})
    source = {"from": "git", "repository": url}
    found = await fetched(
        tmp_path,
        source,
        source | {"branch": "topic/x"},
        source | {"branch": "v1"},
        source | {"revision": first},
        source | {"revision": first[:10]},
        source | {"branch": "main", "revision": "origin/topic/x"},
        source | {"branch": "topic/x", "shallow": True},
    )
    commits = [commit_of(each) for each in found]
    assert commits == [third, second, first, first, first, second, second]
    assert (folder_of(found[1]) / "data").read_text() == "topic"
    assert not (folder_of(found[3]) / "data").exists()
    assert found[0].definition is not None
    assert [step.text for step in found[0].definition.run][1] == "./tool.sh"


async def test_the_history_can_be_left_out(tmp_path: Path, served: tuple[Path, str]) -> None:
    source = {"from": "git", "repository": served[1]}
    with_history, without = await fetched(tmp_path, source, source | {"history": False})
    assert (folder_of(with_history) / ".git").is_dir()
    assert not (folder_of(without) / ".git").exists()


async def test_submodules_are_fetched_when_asked_for_but_no_files_of_this_machine(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    repo, url = served
    repository(tmp_path / "served/part", {"part": "a part"})
    allowed = ["-c", "protocol.allow=always"]
    git(repo, *allowed, "submodule", "--quiet", "add", "../part", "part")
    commit(repo, {})
    source = {"from": "git", "repository": url}
    plain, recursive = await fetched(tmp_path, source, source | {"recursive": True})
    assert not (folder_of(plain) / "part/part").exists()
    assert (folder_of(recursive) / "part/part").read_text() == "a part"
    git(repo, *allowed, "submodule", "--quiet", "add", f"file://{tmp_path}/served/part", "local")
    commit(repo, {})
    [(code, message, _)] = await failure(tmp_path, source | {"recursive": True})
    assert (code, "'file' not allowed" in message) == ("CB113", True)


async def test_a_known_revision_needs_no_network(tmp_path: Path) -> None:
    repository(tmp_path / "served/repo")
    with git_daemon(tmp_path / "served") as url:
        source = {"from": "git", "repository": f"{url}/repo"}
        [found] = await fetched(tmp_path, source)
    [again] = await fetched(tmp_path, source | {"revision": commit_of(found)}, policy=Policy())
    assert (commit_of(again), folder_of(again).is_dir()) == (commit_of(found), True)


async def test_what_is_not_there_is_named_with_what_is(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    repo, url = served
    source = {"from": "git", "repository": url}
    found = await failure(
        tmp_path,
        source | {"branch": "mian"},
        source | {"revision": "abcdef0"},
        source | {"path": "tests/smoke.yaml"},
        source | {"repository": f"{url}-2"},
    )
    assert [code for code, *_ in found] == ["CB113"] * 4
    texts = [f"{message} {hint}" for _, message, hint in found]
    assert "no branch or tag `mian` it has main" in texts[0]
    assert "no revision `abcdef0`" in texts[1]
    assert "no file `tests/smoke.yaml` it has smoke.yaml" in texts[2]
    assert "can't be fetched" in texts[3]
    (repo / "out.yaml").symlink_to("/etc/passwd")
    (repo / "loop.yaml").symlink_to("loop.yaml")
    commit(repo, {})
    found = await failure(tmp_path, source | {"path": "out.yaml"}, source | {"path": "loop.yaml"})
    assert ["no file" in message for _, message, _ in found] == [True, True]


async def test_a_broken_definition_is_shown_in_its_file_and_in_the_job(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    repo, url = served
    commit(repo, {"smoke.yaml": SMOKE.replace("steps:", "stepps:")})
    with pytest.raises(SourcesFailed) as caught:
        await fetched(tmp_path, {"from": "git", "repository": url})
    places = [str(each.place) for each in caught.value.diagnostics]
    assert places[0].startswith(f"{tmp_path}/job.yaml:")
    assert places[1].startswith(f"{url}/smoke.yaml:3:3")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"repository": "ext::sh -c true"}, "CB111"),
        ({"repository": "--upload-pack=touch /tmp/x"}, "CB111"),
        ({"repository": "ftp://files.example/x"}, "CB111"),
        ({"repository": "file://other.example/x"}, "CB111"),
        ({"repository": "/etc"}, "CB111"),
        ({"repository": "../other"}, "CB111"),
        ({"repository": "repo", "branch": "--upload-pack=x"}, "CB111"),
        ({"repository": "repo", "revision": "-x"}, "CB111"),
        ({"repository": "nothing"}, "CB113"),
    ],
)
async def test_what_could_do_harm_is_refused(
    tmp_path: Path, more: dict[str, object], code: str
) -> None:
    (tmp_path / "jobs").mkdir()
    [(found, message, _)] = await failure(tmp_path / "jobs", {"from": "git"} | more)
    assert found == code, message


async def test_files_of_this_machine_are_below_the_definition_or_allowed(tmp_path: Path) -> None:
    made = repository(tmp_path / "other")
    repository(tmp_path / "jobs/own")
    (tmp_path / "jobs/link").symlink_to(tmp_path / "other")
    sources = [{"from": "git", "repository": where} for where in ("../other", "link")]
    for code, message, hint in await failure(tmp_path / "jobs", *sources):
        assert (code, "--allow-local" in hint) == ("CB111", True), message
    found = await fetched(tmp_path / "jobs", *sources, policy=Policy(allow_local=True))
    assert [commit_of(each) for each in found] == [made, made]
    await fetched(tmp_path / "jobs", {"from": "git", "repository": "own"})


async def test_nothing_of_a_repository_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    repository(
        tmp_path / "repo",
        {
            "smoke.yaml": SMOKE,
            ".gitattributes": "* filter=evil\n",
            ".gitconfig": f'[filter "evil"]\nsmudge = touch {mark}\n',
        },
    )
    hook = tmp_path / "repo/.git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    await fetched(tmp_path, {"from": "git", "repository": "repo"})
    assert not mark.exists()


@pytest.mark.parametrize("origin", ["git", "url"])
async def test_a_server_that_hangs_or_refuses_is_the_networks_fault(
    tmp_path: Path, origin: str
) -> None:
    with silent() as address:
        hanging: dict[str, object] = {"from": origin, "repository": f"http://{address}/x"}
        refused: dict[str, object] = {"from": origin, "repository": f"http://{refusing()}/x"}
        with pytest.raises(SourcesFailed) as caught:
            await fetched(tmp_path, hanging, policy=Policy(timeout_s=0.3))
        [(code, message, _)] = await failure(tmp_path, refused)
    assert caught.value.unreachable
    [found] = caught.value.diagnostics
    assert "was not fetched within 0.3 s" in found.message
    assert (code, "can't be reached" in message) == ("CB112", True), message
    cache = next(path for path in tmp_path.parent.rglob("cache") if path.is_dir())
    assert not list(cache.glob(".new-*"))


# Archives


async def test_an_archive_is_fetched_checked_and_kept(tmp_path: Path, site: Web) -> None:
    digest = sha256(site.pages["/tests.tgz"]).hexdigest()  # type: ignore[arg-type] # bytes
    source = {"from": "url", "repository": f"{site.url}/tests.tgz"}
    checked = source | {"sha256sum": digest.upper()}
    first, second = await fetched(tmp_path, source, checked)
    assert (folder_of(first) / "data").read_text() == "here"
    assert folder_of(first) == folder_of(second)
    asked = len(site.asked)
    await fetched(tmp_path, checked)
    assert len(site.asked) == asked
    [(code, message, _)] = await failure(tmp_path, source | {"sha256sum": "0" * 64})
    assert (code, digest in message) == ("CB115", True)


async def test_headers_go_to_their_host_and_to_no_other(tmp_path: Path, site: Web) -> None:
    with web() as other:
        other.pages["/there.tgz"] = site.pages["/tests.tgz"]
        site.pages["/here"] = "/tests.tgz"
        site.pages["/away"] = f"{other.url}/there.tgz"
        headers = {"X-Token": "secret-token"}
        for page in ("here", "away"):
            source = {"from": "url", "repository": f"{site.url}/{page}", "headers": headers}
            await fetched(tmp_path, source)
        assert [sent.get("X-Token") for _, sent in site.asked] == ["secret-token"] * 3
        assert [sent.get("X-Token") for _, sent in other.asked] == [None]


@pytest.mark.parametrize(
    ("page", "code", "message"),
    [
        (404, "CB113", "404"),
        (503, "CB112", "503"),
        ("file:///etc/passwd", "CB111", "not allowed"),
        ("/page", "CB113", "in a circle"),
        (b"<html>", "CB114", "can't be read"),
    ],
)
async def test_what_a_server_says_instead_is_named(
    tmp_path: Path, site: Web, page: bytes | int | str, code: str, message: str
) -> None:
    site.pages["/page"] = page
    [(found, said, _)] = await failure(tmp_path, {"from": "url", "repository": f"{site.url}/page"})
    assert (found, message in said) == (code, True), said


async def test_an_archive_can_lie_beside_the_definition(tmp_path: Path, site: Web) -> None:
    content = site.pages["/tests.tgz"]
    assert isinstance(content, bytes)
    (tmp_path / "tests.tgz").write_bytes(content)
    [found] = await fetched(tmp_path, {"from": "url", "repository": "tests.tgz"})
    assert (folder_of(found) / "data").exists()
    [(code, *_)] = await failure(tmp_path, {"from": "url", "repository": "nothing.tgz"})
    assert code == "CB113"


# Together


async def test_everything_that_is_wrong_is_said_at_once_in_order(tmp_path: Path, site: Web) -> None:
    found = await failure(
        tmp_path,
        {"from": "git", "repository": "nothing"},
        {"from": "url", "repository": f"{site.url}/tests.tgz"},
        {"from": "url", "repository": f"{site.url}/nothing"},
    )
    assert [message.split(" can't")[0] for _, message, _ in found] == [
        "the repository nothing",
        f"{site.url}/nothing",
    ]


async def test_every_repository_that_is_missing_is_named_where_it_stands(tmp_path: Path) -> None:
    repository(tmp_path / "own")
    content: dict[str, object] = {
        "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "x"},
        "install": {"git-repos": ["first", "own", {"url": "third"}]},
        "run": {"steps": ["true"]},
    }
    with pytest.raises(SourcesFailed) as caught:
        await fetched(tmp_path, {"from": "inline", "repository": content})
    found = caught.value.diagnostics
    assert [each.message.split(" can't")[0] for each in found] == [
        "the repository first",
        "the repository third",
    ]
    lines = [each.place.line for each in found if each.place is not None]
    assert lines[1] == lines[0] + 2


async def test_nothing_is_waited_for_longer_than_the_job_may_take(tmp_path: Path) -> None:
    with silent() as address:
        source = {"from": "git", "repository": f"http://{address}/x"}
        wanted = definition(tmp_path, source)
        short = evolve(wanted, timeouts=evolve(wanted.timeouts, job_s=1))
        with pytest.raises(DefinitionError, match="not fetched within 1 s"):
            await fetch(short, Policy())


async def test_what_several_tests_need_is_fetched_once(tmp_path: Path, site: Web) -> None:
    source = {"from": "url", "repository": f"{site.url}/tests.tgz"}
    notes: list[str] = []
    await fetch(definition(tmp_path, source, source, source), Policy(), notes.append)
    assert len(site.asked) == len(notes) == 1


@pytest.mark.parametrize("folder", ["one", "one/below", "./one"])
async def test_two_repositories_can_not_lie_in_one_folder(tmp_path: Path, folder: str) -> None:
    for name in ("one", "two"):
        repository(tmp_path / name)
    content = {
        "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "x"},
        "install": {"git-repos": ["one", {"url": "two", "destination": folder}]},
        "run": {"steps": ["true"]},
    }
    [(code, message, hint)] = await failure(tmp_path, {"from": "inline", "repository": content})
    assert (code, f"the folder `{folder}`" in message) == ("CB111", True), message
    assert "destination" in hint


async def test_what_nobody_finishes_or_uses_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = Cache(folder)
    with cache.making() as worked_in:
        for name in (".new-killed", "unused"):
            (folder / name).mkdir()
        for path in (*folder.iterdir(),):
            os.utime(path, (0, 0))
        Cache(folder)
        assert list(folder.iterdir()) == [worked_in]
    assert not worked_in.exists()


async def test_a_cache_that_can_not_be_written_is_named(
    tmp_path: Path, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CALLBOARD_CACHE", str(tmp_path / "file/cache"))
    [(code, message, hint)] = await failure(
        tmp_path, {"from": "url", "repository": f"{site.url}/tests.tgz"}
    )
    assert (code, "CALLBOARD_CACHE" in hint) == ("CB116", True), message
