"""Test definitions from git and archives, through the command line."""

import io
import json
import select
import signal
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from tests.commandline import CALLBOARD
from tests.sources.servers import (
    SMOKE,
    commit,
    git,
    git_daemon,
    refusing,
    repository,
    silent,
    web,
)
from tests.system.harness import Callboard, Ran, Test, definition

from callboard.events import TestRunEnded
from callboard.report import schema

SECRET = "user:hunter2-token"


def job(*sources: Mapping[str, object]) -> str:
    """A group of two nodes that both run these sources."""
    data = yaml.safe_load(definition({"a": [Test("t", ["true"])], "b": []}))
    test = data["actions"][-1]["test"]
    test["role"] = ["a", "b"]
    test["definitions"] = [
        {"name": f"test-{number}", "path": "smoke.yaml", **source}
        for number, source in enumerate(sources)
    ]
    return yaml.safe_dump(data, sort_keys=False)


def tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz") as archive:
        for name, text in {"smoke.yaml": SMOKE, "tool.sh": "#!/bin/sh\necho packed\n"}.items():
            entry = tarfile.TarInfo(f"top/{name}")
            entry.size, entry.mode = len(text), 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


def written(ran: Ran) -> str:
    """Everything that a run has written and said."""
    texts = [path.read_text() for path in ran.directory.rglob("*") if path.is_file()]
    return "\n".join([*texts, ran.stderr, json.dumps(ran.document)])


def test_definitions_from_git_and_archives_run_beside_what_they_came_with(
    anybody: Callboard,
) -> None:
    made = repository(anybody.folder / "served/repo")
    with git_daemon(anybody.folder / "served") as url, web() as site:
        site.pages["/tests.tar.xz"] = tar()
        headers = {"Authorization": "Bearer abcdef-secret"}
        ran = anybody.run(
            job(
                {"from": "git", "repository": f"{url}/repo", "branch": "main"},
                {
                    "from": "url",
                    "repository": f"{site.url.replace('://', f'://{SECRET}@')}/tests.tar.xz",
                    "strip-components": 1,
                    "headers": headers,
                },
            )
        )
    assert ran.exit_code == 0, ran.stderr
    for role in ("a", "b"):
        assert ran.results(role) == {"0_test-0/ok": "pass", "1_test-1/ok": "pass"}
        console = ran.console(role)
        assert "from the repository" in console
        assert "packed" in console
        assert any(".git" in line.split() for line in console)
    assert len(site.asked) == 1
    assert f"fetched {url}/repo at {made[:12]}" in ran.stderr
    ended = [each.body for each in ran.events(TestRunEnded)]
    assert {(body.commit, body.revision) for body in ended if isinstance(body, TestRunEnded)} == {
        (made, "main"),
        (None, None),
    }
    results = yaml.safe_load((ran.directory / "results.yaml").read_text())
    [first, *_] = [each for each in results if each["name"] == "0_test-0"]
    assert (first["commit_id"], first["revision"]) == (made, "main")
    assert first["repository"] == f"{url}/repo"
    assert "hunter2" not in written(ran)
    assert "abcdef-secret" not in written(ran)


def test_more_repositories_lie_where_the_definition_wants_them(callboard: Callboard) -> None:
    repository(callboard.folder / "tools", {"tool.sh": "#!/bin/sh\necho a tool\n"})
    repository(callboard.folder / "more", {"data": "some data"})
    commit(callboard.folder / "more", {"data": "other data\n"})
    content = {
        "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "x"},
        "install": {
            "git-repos": ["tools", {"url": "more", "destination": "lib/more", "branch": "main"}],
            "steps": ["./tools/tool.sh"],
        },
        "run": {"steps": ["cat lib/more/data"]},
    }
    inline = {"from": "inline", "repository": content}
    ran = callboard.run(job(inline))
    assert ran.exit_code == 0, ran.stderr
    assert "a tool" in ran.console("a")
    assert any(line.startswith("other data") for line in ran.console("a"))
    skipped = callboard.run(
        job(inline | {"skip_install": ["git-repos", "steps"]}),
        "-o",
        str(callboard.folder / "again"),
    )
    assert skipped.document["directory"].endswith("again")
    assert skipped.exit_code == 1
    assert any("No such file" in line for line in _console(callboard.folder / "again"))


def _console(directory: Path) -> list[str]:
    return [
        json.loads(line)["text"]
        for line in (directory / "events.jsonl").read_text().splitlines()
        if json.loads(line)["kind"] == "console-output"
    ]


def test_bad_sources_are_all_named_and_nothing_is_started(callboard: Callboard) -> None:
    ran = callboard.run(
        job(
            {"from": "git", "repository": "nothing"},
            {"from": "url", "repository": f"http://{refusing()}/x.tgz"},
            {"from": "git", "repository": "/etc"},
        )
    )
    assert (ran.exit_code, ran.document["status"]) == (2, "invalid")
    Draft202012Validator(schema("invalid")).validate(ran.document)
    found = [(each["code"], each["line"]) for each in ran.document["diagnostics"]]
    assert [code for code, _ in found] == ["CB113", "CB112", "CB111"]
    lines = (callboard.folder / "group.yaml").read_text().splitlines()
    assert all("name: test-" in lines[line - 1] for _, line in found)
    assert not ran.directory.exists()


def test_a_network_that_fails_is_not_the_definitions_fault(callboard: Callboard) -> None:
    with silent() as address:
        source: dict[str, object] = {"from": "git", "repository": f"http://{address}/x.git"}
        ran = callboard.run(job(source), "--fetch-timeout", "0.5")
    assert (ran.exit_code, ran.document["status"]) == (3, "failed")
    assert not ran.directory.exists()


@pytest.mark.parametrize("origin", ["git", "url"])
def test_nothing_runs_on_when_callboard_is_killed_while_it_fetches(
    callboard: Callboard, origin: str
) -> None:
    with silent() as address:
        path = callboard.write(job({"from": origin, "repository": f"http://{address}/x"}))
        process = callboard.start("run", str(path), "-o", "run")
        assert process.stderr is not None
        assert "fetching http://" in process.stderr.readline()
        process.kill()
        process.communicate(timeout=10)
        deadline_s = time.monotonic() + 10
        while list(callboard.processes()):
            assert time.monotonic() < deadline_s, "processes are left"
            select.select([], [], [], 0.01)  # processes of others: there is no event to wait for


@pytest.mark.parametrize("origin", ["git", "url"])
def test_ctrl_c_ends_fetching_at_once_and_leaves_nothing(callboard: Callboard, origin: str) -> None:
    with silent() as address:
        path = callboard.write(job({"from": origin, "repository": f"http://{address}/x"}))
        process = callboard.start("run", str(path), "-o", "run")
        assert process.stderr is not None
        assert "fetching http://" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=10)
    assert (process.returncode, stdout) == (130, "")
    assert "Traceback" not in stderr
    assert not (callboard.folder / "run").exists()
    assert not list((callboard.folder / "cache").glob(".new-*"))


@pytest.mark.parametrize("scheme", ["git", "http"])
def test_a_refused_connection_and_a_server_that_fails_are_not_the_definitions_fault(
    callboard: Callboard, scheme: str
) -> None:
    source = {"from": "git", "repository": f"{scheme}://{refusing()}/x.git"}
    with web() as site:
        site.pages["/x"] = 503
        ran = callboard.run(job(source, {"from": "url", "repository": f"{site.url}/x"}))
    assert (ran.exit_code, ran.document["status"]) == (3, "failed")
    assert [each["code"] for each in ran.document["diagnostics"]] == ["CB112", "CB112"]
    assert not ran.directory.exists()


def test_a_full_revision_runs_again_when_its_server_has_gone(callboard: Callboard) -> None:
    made = repository(callboard.folder / "served/repo")
    with git_daemon(callboard.folder / "served") as url:
        source: dict[str, object] = {
            "from": "git",
            "repository": f"{url}/repo",
            "revision": made,
            "history": False,
        }
        first = callboard.run(job(source))
    again = callboard.run(job(source), "-o", str(callboard.folder / "again"))
    assert (first.exit_code, again.exit_code) == (0, 0), again.stderr
    assert not any(".git" in line.split() for line in first.console("a"))
    results = yaml.safe_load((callboard.folder / "again/results.yaml").read_text())
    [found, *_] = [each for each in results if each["name"] == "0_test-0"]
    assert (found["commit_id"], found["revision"]) == (made, made)


@pytest.mark.parametrize("given", ["../outside", "file://FOLDER/outside"])
def test_repositories_outside_of_the_definitions_folder_need_a_users_word(
    callboard: Callboard, given: str
) -> None:
    repository(callboard.folder / "outside")
    (callboard.folder / "jobs").mkdir()
    url = given.replace("FOLDER", str(callboard.folder))
    path = callboard.folder / "jobs/group.yaml"
    path.write_text(job({"from": "git", "repository": url}))
    refused = callboard.run(path)
    [found] = refused.document["diagnostics"]
    assert (refused.exit_code, found["code"], found["file"]) == (2, "CB111", str(path))
    assert "--allow-local" in found["hint"]
    assert callboard.run(path, "--allow-local").exit_code == 0


def test_a_broken_definition_is_shown_in_its_repository_and_in_the_job(
    callboard: Callboard,
) -> None:
    repository(callboard.folder / "repo", {"smoke.yaml": SMOKE.replace("steps:", "stepps:")})
    ran = callboard.run(job({"from": "git", "repository": "repo"}))
    first, *others = ran.document["diagnostics"]
    assert (ran.exit_code, first["file"]) == (2, str(callboard.folder / "group.yaml"))
    assert ("repo/smoke.yaml", 3) in [(each["file"], each["line"]) for each in others]
    assert not ran.directory.exists()


def test_secrets_of_sources_that_fail_are_not_shown(callboard: Callboard) -> None:
    with web() as site:
        site.pages["/moved"] = "http://user:hunter2-more@[x"
        login = site.url.replace("://", f"://{SECRET}@more@")
        headers = {"X-Token": "abcdef-secret"}
        sources: list[dict[str, object]] = [
            {"from": "url", "repository": f"{login}/none", "headers": headers},
            {"from": "url", "repository": f"{login}/moved", "headers": headers},
            {"from": "url", "repository": login, "headers": {"X-Token": "abcdef-secret\n"}},
            {"from": "url", "repository": f"{login}/none", "sha256sum": "0" * 64},
            {"from": "git", "repository": f"{login}/none"},
            {"from": "git", "repository": login.replace("http:", "ftp:")},
            {"from": "git", "repository": f"http://{SECRET}@{refusing()}/x"},
        ]
        as_json = callboard.run(job(*sources))
        process = callboard.start("run", str(callboard.folder / "group.yaml"), "-o", "run")
        stdout, stderr = process.communicate(timeout=30)
    assert (as_json.exit_code, process.returncode) == (2, 2)
    assert len(as_json.document["diagnostics"]) == len(sources)
    for text in (written(as_json), stdout, stderr):
        assert "hunter2" not in text
        assert "abcdef-secret" not in text
        assert "more@" not in text


def test_an_archive_with_a_name_that_is_no_text_is_refused_as_text_and_as_json(
    callboard: Callboard,
) -> None:
    with tarfile.open(callboard.folder / "tests.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../\udcff\x1b[2J"))
    ran = callboard.run(job({"from": "url", "repository": "tests.tar"}))
    [found] = ran.document["diagnostics"]
    assert (ran.exit_code, found["code"]) == (2, "CB114")
    process = callboard.start("run", str(callboard.folder / "group.yaml"))
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, "\x1b[2J" in stderr) == (2, False)


def test_each_source_is_fetched_once_for_all_roles_and_tests(callboard: Callboard) -> None:
    repository(callboard.folder / "repo", {"smoke.yaml": SMOKE.replace("./tool.sh, ", "")})
    with web() as site:
        site.pages["/x"] = tar()
        archive = {"from": "url", "repository": f"{site.url}/x", "strip-components": 1}
        source: dict[str, object] = {"from": "git", "repository": "repo"}
        ran = callboard.run(job(archive, source, archive, source))
    assert ran.exit_code == 0, ran.stderr
    assert len(ran.results("b")) == 4
    assert len(site.asked) == 1
    assert ran.stderr.count("fetched ") == 2


def test_a_run_that_a_hook_starts_does_not_change_the_hooks_repository(
    callboard: Callboard,
) -> None:
    outer = callboard.folder / "outer"
    repository(outer, {"group.yaml": job({"from": "git", "repository": "tests"})})
    made = repository(outer / "tests")
    git(outer, "config", "core.excludesFile", str(outer / ".git/excluded"))
    (outer / ".git/excluded").write_text("tests\n")
    hook = outer / ".git/hooks/post-commit"
    command = " ".join([*CALLBOARD, "run", "group.yaml", "-o", str(callboard.folder / "run")])
    variables = " ".join(
        f"{name}='{callboard.environment[name]}'"
        for name in ("CALLBOARD_STATE", "CALLBOARD_CACHE", "TMPDIR")
    )
    hook.write_text(f"#!/bin/sh\n{variables} {command} > {outer}/.git/said 2>&1\n")
    hook.chmod(0o755)
    head = commit(outer, {"change": "x"})
    assert f"fetched tests at {made[:12]}" in (outer / ".git/said").read_text()
    assert git(outer, "rev-parse", "HEAD") == head
    assert git(outer, "status", "--porcelain") == ""
