"""`callboard cluster`: a server to try one, what is made there, and its configuration."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.server import Server
from tests.commandline import callboard

from callboard.cluster.server import find_server


@contextmanager
def _dev(
    *arguments: str, ended_by: signal.Signals = signal.SIGINT
) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """A server for trying, and what it has said of itself."""
    command = [sys.executable, "-m", "callboard", "cluster", "dev", "--port", "0", "--json"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.wait()
            text += line
        yield process, json.loads(text)
        process.send_signal(ended_by)
        assert process.wait(30) == 0
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


@pytest.mark.parametrize("words", ["worker", "list", "submit scenarios/demo.yaml"])
def test_without_the_client_library_each_command_says_what_to_install(words: str) -> None:
    run = "import sys, runpy; sys.modules['nats'] = sys.modules['nkeys'] = None;"
    run += "runpy.run_module('callboard', run_name='__main__')"
    command = [sys.executable, "-c", run, *words.split(), "--nats", "nats://127.0.0.1:4"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 3
    assert "error[CB270]: the NATS client is not installed" in ran.stderr
    assert "-m pip install 'callboard[nats]'" in ran.stderr


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_for_trying_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with _dev("--lease", "2", ended_by=number) as (_, said):
        ran = callboard(tmp_path, "cluster", "init", "--nats", said["url"], "--json")
        assert ran.returncode == 0
        assert json.loads(ran.stdout)["made"] == []
        assert json.loads(ran.stdout)["lease"] == 2.0
    assert not Path(said["directory"]).exists()
    assert _gone(said["pid"])


def test_in_a_directory_of_ones_own_a_cluster_stays_as_it_was_made(tmp_path: Path) -> None:
    folder = str(tmp_path / "nats")
    with _dev("--dir", folder, "--lease", "3"):
        ran = callboard(tmp_path, "cluster", "dev", "--port", "0", "--dir", folder)
        assert ran.returncode == 3
        assert "error[CB270]: another server has its store in" in ran.stderr
    with _dev("--dir", folder) as (_, said):
        ran = callboard(tmp_path, "cluster", "init", "--nats", said["url"], "--json")
        assert json.loads(ran.stdout)["lease"] == 3.0


def test_a_port_that_is_in_use_is_called_so(server: Server, tmp_path: Path) -> None:
    ran = callboard(tmp_path, "cluster", "dev", "--port", str(server.port))
    assert ran.returncode == 3
    assert "error[CB270]: the port is in use already" in ran.stderr
    assert "--port" in ran.stderr


def test_a_server_program_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "nats-server")
    ran = callboard(tmp_path, "cluster", "dev", CALLBOARD_NATS_SERVER=missing)
    assert ran.returncode == 3
    assert f"error[CB270]: {missing} can't be started: No such file" in ran.stderr


def test_init_makes_what_is_missing_and_leaves_what_is_there(
    own_server: Server, tmp_path: Path
) -> None:
    command = ["cluster", "init", "--nats", own_server.url]
    first = callboard(tmp_path, *command, "--lease", "5", "--retention", "172800")
    assert first.returncode == 0
    assert "callboard-log" in first.stdout
    assert first.stdout.endswith("lease 5 s, groups are kept for 2 days\n")
    second = callboard(tmp_path, *command, "--lease", "7")
    assert second.returncode == 0
    assert second.stdout.startswith("everything was there already\nlease 5 s")
    assert "warning: lease and retention stay as they were made" in second.stderr


def test_init_without_permission_says_what_is_forbidden(tmp_path: Path) -> None:
    extra = """
    authorization { users: [{ user: a, password: b, permissions: {
      publish: ["$JS.API.STREAM.INFO.>"], subscribe: ["_INBOX.>"] } }] }
    """
    with Server(tmp_path / "nats", extra) as guarded:
        url = f"nats://a:b@127.0.0.1:{guarded.port}"
        ran = callboard(tmp_path, "cluster", "init", "--nats", url)
    assert ran.returncode == 3
    assert "error[CB279]: the NATS server at nats://127.0.0.1" in ran.stderr
    assert "a:b" not in ran.stderr


def test_the_recommended_configuration_is_one_and_tells_why_it_syncs(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "cluster", "config", "--store", str(tmp_path / "store"))
    assert ran.returncode == 0
    assert "sync_interval: always" in ran.stdout
    assert "power cut" in ran.stdout
    file = tmp_path / "server.conf"
    file.write_text(ran.stdout)
    program = find_server()
    assert program is not None
    subprocess.run([program, "-t", "-c", file], check=True, capture_output=True)


def _cluster_check(folder: Path, url: str) -> dict[str, Any]:
    ran = callboard(folder, "doctor", "--nats", url, "--json")
    found = {each["name"]: each for each in json.loads(ran.stdout)["checks"]}
    assert found["NATS client"]["ok"]
    assert found["NATS server"]["ok"]
    check: dict[str, Any] = found["cluster"]
    return check


def test_the_doctor_tries_a_cluster(own_server: Server, tmp_path: Path) -> None:
    assert callboard(tmp_path, "cluster", "init", "--nats", own_server.url).returncode == 0
    check = _cluster_check(tmp_path, own_server.url)
    assert not check["ok"]
    assert "workers: 0, of which lead groups: 0; lease 10 s; nobody leads" in check["detail"]
    assert check["cure"] == f"callboard worker --nats {own_server.url}"
    check = _cluster_check(tmp_path, "nats://127.0.0.1:1")
    assert "can't be reached" in check["detail"]


@pytest.mark.parametrize("verb", ["dev", "init", "config"])
def test_each_verb_explains_itself(verb: str, tmp_path: Path) -> None:
    ran = callboard(tmp_path, "cluster", verb, "--help")
    assert ran.returncode == 0
    assert "--json" in ran.stdout
