"""Git repositories that are unlike others, and those that would do harm."""

import contextlib
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sources.fetching import commit_of, failure, fetched, folder_of
from tests.sources.servers import SMOKE, Web, commit, git, refusing, repository, silent

from callboard.sources import Policy, SourcesFailed
from callboard.sources.git import forget_login

pytestmark = pytest.mark.asyncio


async def test_a_revision_can_name_a_tag_or_a_branch_as_for_git_checkout(tmp_path: Path) -> None:
    first = repository(tmp_path / "repo")
    git(tmp_path / "repo", "tag", "-a", "v1", "-m", "first")
    git(tmp_path / "repo", "checkout", "--quiet", "-b", "topic")
    second = commit(tmp_path / "repo", {"data": "topic"})
    git(tmp_path / "repo", "checkout", "--quiet", "main")
    tag = git(tmp_path / "repo", "rev-parse", "v1")
    source = {"from": "git", "repository": "repo"}
    revisions = ("v1", "topic", tag, f"{second}~1")
    found = await fetched(tmp_path, *(source | {"revision": each} for each in revisions))
    assert [commit_of(each) for each in found] == [first, second, first, first]


async def test_a_branch_is_meant_before_a_tag_of_its_name(tmp_path: Path) -> None:
    first = repository(tmp_path / "repo")
    git(tmp_path / "repo", "tag", "-a", "both", "-m", "a tag")
    git(tmp_path / "repo", "checkout", "--quiet", "-b", "both")
    second = commit(tmp_path / "repo", {"data": "branch"})
    source: dict[str, object] = {"from": "git", "repository": "repo", "history": False}
    await fetched(tmp_path, source | {"revision": first})
    [found] = await fetched(tmp_path, source | {"branch": "both"})
    assert commit_of(found) == second


async def test_a_shallow_clone_has_one_commit(tmp_path: Path, served: tuple[Path, str]) -> None:
    commit(served[0], {"data": "second"})
    sources = [
        {"from": "git", "repository": url, "shallow": shallow}
        for url in (served[1], "served/repo")
        for shallow in (True, False)
    ]
    found = await fetched(tmp_path, *sources)
    counts = [git(folder_of(each), "rev-list", "--count", "HEAD") for each in found]
    assert counts == ["1", "2", "1", "2"]


@pytest.mark.parametrize("has", ["nothing", "another branch"])
async def test_a_repository_without_a_branch_of_its_own_choice_says_what_it_has(
    tmp_path: Path, has: str
) -> None:
    repository(tmp_path / "repo")
    git(tmp_path / "repo", "symbolic-ref", "HEAD", "refs/heads/trunk")
    if has == "nothing":
        git(tmp_path / "repo", "branch", "-D", "main")
    [(code, message, hint)] = await failure(tmp_path, {"from": "git", "repository": "repo"})
    wanted = ("is empty", "no branches") if has == "nothing" else ("name a `branch`", "has main")
    assert code == "CB113"
    assert (wanted[0] in message, wanted[1] in hint) == (True, True), (message, hint)


async def test_a_submodule_of_a_local_repository_is_no_way_out_of_the_definitions_folder(
    tmp_path: Path,
) -> None:
    repository(tmp_path / "private", {"key": "a key"})
    repository(tmp_path / "jobs/repo")
    allowed = ["-c", "protocol.allow=always"]
    git(tmp_path / "jobs/repo", *allowed, "submodule", "--quiet", "add", f"{tmp_path}/private", "p")
    commit(tmp_path / "jobs/repo", {})
    source = {"from": "git", "repository": "repo", "recursive": True}
    [(code, message, hint)] = await failure(tmp_path / "jobs", source)
    assert (code, "'file' not allowed" in message) == ("CB113", True), message
    assert "--allow-local" in hint
    [found] = await fetched(tmp_path / "jobs", source, policy=Policy(allow_local=True))
    assert (folder_of(found) / "p/key").read_text() == "a key"
    again = source | {"revision": commit_of(found)}
    assert [code for code, *_ in await failure(tmp_path / "jobs", source, again)] == ["CB113"] * 2


async def test_submodules_of_submodules_are_fetched(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    repo, url = served
    inner = repository(tmp_path / "served/inner", {"deep": "down"})
    repository(tmp_path / "served/outer", {"outer": "here"})
    allowed = ["-c", "protocol.allow=always"]
    git(tmp_path / "served/outer", *allowed, "submodule", "--quiet", "add", "../inner", "inner")
    commit(tmp_path / "served/outer", {})
    git(repo, *allowed, "submodule", "--quiet", "add", "../outer", "outer")
    made = commit(repo, {})
    source = {"from": "git", "repository": url, "recursive": True}
    [by_branch, by_revision] = await fetched(tmp_path, source, source | {"revision": made})
    for each in (by_branch, by_revision):
        assert commit_of(each) == made
        assert (folder_of(each) / "outer/inner/deep").read_text() == "down"
        assert git(folder_of(each) / "outer/inner", "rev-parse", "HEAD") == inner


async def test_a_callboard_that_a_hook_starts_leaves_the_hooks_repository_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = repository(tmp_path / "outer", {"outer": "file"})
    made = repository(tmp_path / "repo")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "outer/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "outer"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "outer/.git/index"))
    source = {"from": "git", "repository": "repo"}
    found = await fetched(tmp_path, source, source | {"revision": made[:12]})
    monkeypatch.undo()
    for each in found:
        assert commit_of(each) == made
        assert (folder_of(each) / "smoke.yaml").exists()
    assert {each.name for each in (tmp_path / "outer").iterdir()} == {".git", "outer"}
    assert git(tmp_path / "outer", "status", "--porcelain") == ""
    assert git(tmp_path / "outer", "rev-parse", "HEAD") == outer


@pytest.mark.parametrize("status", [500, 503, 404, 403])
async def test_a_repositorys_server_that_fails_is_unlike_one_that_does_not_have_it(
    tmp_path: Path, site: Web, status: int
) -> None:
    site.pages["/repo/info/refs?service=git-upload-pack"] = status
    [(code, *_)] = await failure(tmp_path, {"from": "git", "repository": f"{site.url}/repo"})
    assert code == ("CB112" if status >= 500 else "CB113")


@pytest.mark.parametrize("scheme", ["git", "http", "ssh"])
async def test_a_server_that_hangs_or_refuses_is_the_networks_fault_in_every_transport(
    tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "sh -c 'read _ < \"$0\"' " + fifo(tmp_path))
    source = {"from": "git"}
    with silent() as address, pytest.raises(SourcesFailed) as caught:
        await fetched(
            tmp_path,
            source | {"repository": f"{scheme}://{address}/x"},
            policy=Policy(timeout_s=0.4),
        )
    assert caught.value.unreachable
    assert "was not fetched within 0.4 s" in caught.value.diagnostics[0].message
    if scheme != "ssh":
        url = f"{scheme}://{refusing()}/x"
        [(code, message, _)] = await failure(tmp_path, source | {"repository": url})
        assert (code, "can't be reached" in message) == ("CB112", True), message


def fifo(folder: Path) -> str:
    """A pipe from which nothing ever comes."""
    os.mkfifo(folder / "pipe")
    return str(folder / "pipe")


async def test_the_users_own_ssh_command_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository(tmp_path / "repo")
    script = tmp_path / "ssh"
    script.write_text('#!/bin/sh\nfor last; do :; done\neval "$last"\n')
    script.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
    sources = [
        {"from": "git", "repository": url.replace("PATH", str(tmp_path / "repo"))}
        for url in ("ssh://git@host.examplePATH", "host.example:PATH")
    ]
    assert [commit_of(each) for each in await fetched(tmp_path, *sources)] == [made, made]


async def test_filters_of_the_user_do_not_run_either(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, url = served
    mark = tmp_path / "mark"
    commit(repo, {".gitattributes": "*.yaml filter=own\n"})
    config = tmp_path / "gitconfig"
    config.write_text(f'[filter "own"]\nsmudge = "touch {mark}; cat"\nrequired = true\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    await fetched(tmp_path, {"from": "git", "repository": url})
    assert not mark.exists()


async def test_a_local_repository_can_not_lead_to_one_elsewhere(tmp_path: Path) -> None:
    repository(tmp_path / "private")
    repository(tmp_path / "jobs/own")
    (tmp_path / "jobs/file").mkdir()
    (tmp_path / "jobs/file/.git").write_text(f"gitdir: {tmp_path}/private/.git\n")
    (tmp_path / "jobs/link").mkdir()
    (tmp_path / "jobs/link/.git").symlink_to(tmp_path / "private/.git")
    sources = [{"from": "git", "repository": name} for name in ("file", "link")]
    for code, message, hint in await failure(tmp_path / "jobs", *sources):
        assert (code, "--allow-local" in hint) == ("CB111", True), message
    await fetched(tmp_path / "jobs", *sources, policy=Policy(allow_local=True))
    await fetched(tmp_path / "jobs", {"from": "git", "repository": "own"})


async def test_what_git_has_noted_goes_to_nodes_without_login(tmp_path: Path) -> None:
    url = "https://user:word@host.example/x"
    repository(tmp_path / "repo")
    git(tmp_path / "repo", "remote", "add", "origin", url)
    module = tmp_path / "repo/.git/modules/part"
    module.mkdir(parents=True)
    (module / "config").write_text("[remote]\n\turl = https://user:word@host.example/part\n")
    forget_login(tmp_path / "repo/.git", url)
    assert git(tmp_path / "repo", "remote", "get-url", "origin") == "https://host.example/x"
    assert "word" not in (module / "config").read_text()


async def test_filters_and_hooks_that_a_repository_names_for_itself_do_not_run(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    repo, url = served
    mark = tmp_path / "mark"
    commit(repo, {".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    for key in ("filter.evil.smudge", "filter.evil.process", "core.fsmonitor", "core.sshCommand"):
        git(repo, "config", key, f"touch {mark}")
    for name in ("post-checkout", "post-merge", "reference-transaction", "pre-receive"):
        hook = repo / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    sources = [{"from": "git", "repository": where} for where in (url, "served/repo")]
    made = git(repo, "-c", "core.fsmonitor=false", "rev-parse", "HEAD")
    await fetched(tmp_path, *sources, *(each | {"revision": made[:9]} for each in sources))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"repository": "a\0b"}, "CB111"),
        ({"repository": "http://a\0b/x"}, "CB111"),
        ({"repository": "file:///a%00b"}, "CB111"),
        ({"repository": "file://[x"}, "CB111"),
        ({"repository": "git://h/\x1b[31mred"}, "CB111"),
        ({"branch": "a\0b"}, "CB111"),
        ({"revision": "a\nb"}, "CB111"),
        ({"branch": "*"}, "CB113"),
        ({"path": "a\0b"}, "CB113"),
        ({"path": "x" * 5000}, "CB113"),
        ({"path": "d/" * 2500}, "CB113"),
        ({"path": "."}, "CB113"),
        ({"path": ".git"}, "CB113"),
    ],
)
async def test_names_that_nothing_can_have_are_refused_where_they_stand(
    tmp_path: Path, more: dict[str, object], code: str
) -> None:
    repository(tmp_path / "repo")
    [(found, message, hint)] = await failure(tmp_path, {"from": "git", "repository": "repo"} | more)
    assert found == code, message
    assert (message + hint).isprintable()


async def test_a_file_that_is_too_large_for_a_definition_is_not_read(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    repo, url = served
    (repo / "smoke.yaml").write_bytes(bytes(5 * 2**20))
    commit(repo, {})
    [(code, message, _)] = await failure(tmp_path, {"from": "git", "repository": url})
    assert (code, message) == ("CB113", f"{url}/smoke.yaml is larger than 4 MiB")


async def test_what_a_server_says_is_shown_without_what_a_terminal_obeys(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    repo, url = served
    git(repo, "mv", "smoke.yaml", "\x1b[2Jsmoke.yaml")
    commit(repo, {"\x07.yaml": SMOKE})
    [(_, message, hint)] = await failure(tmp_path, {"from": "git", "repository": url})
    assert (message.isprintable(), hint.isprintable()) == (True, True)
    assert "\\x1b[2Jsmoke.yaml" in hint


async def test_git_is_named_when_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path / "repo")
    monkeypatch.setenv("PATH", str(tmp_path))
    [(code, message, hint)] = await failure(tmp_path, {"from": "git", "repository": "repo"})
    assert (code, hint) == ("CB112", "install git"), message


async def test_cancelling_leaves_no_process_of_git(tmp_path: Path) -> None:
    with silent() as address:
        source = {"from": "git", "repository": f"http://{address}/x"}
        await failure(tmp_path, source, policy=Policy(timeout_s=0.3))
        for process in processes(address):
            # It has been killed, and may just be ending.
            assert select.select([process], [], [], 10)[0], "a process is left"


def processes(word: str) -> Iterator[int]:
    """A descriptor of every process with a word in its command; it is readable at its end."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if word.encode() in (entry / "cmdline").read_bytes():
                    process = os.pidfd_open(int(entry.name))
                    yield process
                    os.close(process)
