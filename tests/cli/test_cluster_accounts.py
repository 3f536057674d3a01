"""`callboard cluster accounts`: credentials, and a configuration that a server takes."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.commandline import callboard

from callboard.cluster.server import find_server

MEMBERS = ("--leader", "stage", "--worker", "rack-1", "--user", "ann")


def _takes(configuration: Path) -> bool:
    program = find_server()
    assert program is not None
    tried = subprocess.run([program, "-c", configuration, "-t"], capture_output=True, check=False)
    return tried.returncode == 0


def test_it_makes_all_that_members_and_server_need(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "cluster", "accounts", "lab", *MEMBERS)
    assert ran.returncode == 0
    assert ran.stdout.splitlines() == [
        "made lab/stage.creds",
        "made lab/rack-1.creds",
        "made lab/ann.creds",
        "the server: nats-server -c lab/nats-server.conf",
    ]
    assert _takes(tmp_path / "lab" / "nats-server.conf")


def test_what_the_owner_has_changed_stays(tmp_path: Path) -> None:
    callboard(tmp_path, "cluster", "accounts", "lab", *MEMBERS)
    configuration = tmp_path / "lab" / "nats-server.conf"
    configuration.write_text(configuration.read_text().replace("4222", "4333"))
    more = ("--worker", "rack-2", "--shut-out", "rack-1")
    ran = callboard(tmp_path, "cluster", "accounts", "lab", *MEMBERS[:2], *more)
    assert ran.stdout.splitlines() == [
        "made lab/rack-2.creds",
        "shut out rack-1",
        "the server: nats-server -c lab/nats-server.conf (as it was)",
        "if it runs: nats-server --signal reload",
    ]
    assert "4333" in configuration.read_text()


def test_with_json_it_says_where_everything_is(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "cluster", "accounts", "lab", *MEMBERS, "--json")
    assert json.loads(ran.stdout) == {
        "server": "lab/nats-server.conf",
        "accounts": "lab/accounts.conf",
        "members": {name: f"lab/{name}.creds" for name in ("stage", "rack-1", "ann")},
        "shut_out": [],
    }


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["--worker", "a.b"], "CB280", "use letters, digits"),
        (["--worker", "ann"], "CB280", "call one otherwise"),
        (["--shut-out", "nobody"], "CB280", "name a member"),
        (["--host", "0.0.0.0"], "CB280", "give --tls-cert and --tls-key"),
        (["--host", "lab.example"], "CB280", "listen on 127.0.0.1"),
        (["--tls-cert", "x.pem"], "CB104", "give --tls-cert and --tls-key"),
        (["--tls-cert", "x.pem", "--tls-key", "x.key"], "CB104", ""),
    ],
)
def test_what_can_not_be_made_is_refused_before_anything_is_written(
    arguments: list[str], code: str, hint: str, tmp_path: Path
) -> None:
    ran = callboard(tmp_path, "cluster", "accounts", "lab", "--user", "ann", *arguments)
    assert ran.returncode == 2
    assert f"error[{code}]" in ran.stderr
    assert hint in ran.stderr
    assert not list(tmp_path.glob("lab/*.creds"))


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("")
    ran = callboard(tmp_path, "cluster", "accounts", "lab/accounts", "--user", "ann")
    assert ran.returncode == 2
    assert "error[CB280]: the accounts can't be written: lab/accounts" in ran.stderr
