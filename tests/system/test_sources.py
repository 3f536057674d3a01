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
from tests.sources.servers import SMOKE, commit, git_daemon, repository, silent, web
from tests.system.harness import Callboard, Ran, Test, definition

from callboard.events import TestRunEnded

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
    assert {body.commit for body in ended if isinstance(body, TestRunEnded)} == {made, None}
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
    with silent() as address:
        ran = callboard.run(
            job(
                {"from": "git", "repository": "nothing"},
                {"from": "url", "repository": f"http://{address}/x.tgz"},
                {"from": "git", "repository": "/etc"},
            ),
            "--fetch-timeout",
            "0.5",
        )
    assert (ran.exit_code, ran.document["status"]) == (2, "invalid")
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
