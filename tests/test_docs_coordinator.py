"""What the page on the coordinator says: its commands, its settings, its output, its TLS."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from tests.commandline import callboard, document, process
from tests.coordinator.following import Followed, client, send, wait, wait_all
from tests.coordinator.hosting import Host
from tests.coordinator.real import NoReply, ask
from tests.coordinator.running import Coordinator, free_port
from tests.system.harness import Test, definition
from tests.test_docs import ROOT, console_examples

from callboard.coordinator.requests import GroupData
from callboard.coordinator.settings import Settings, networks
from callboard.coordinator.status import telling

PAGE = ROOT / "docs/coordinator.md"
TEXT = PAGE.read_text()
_CURVE = "ec_paramgen_curve:P-256"


def blocks(language: str) -> list[str]:
    """The page's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that somebody has, so that no test listens where others reach it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def gets_as_far_as_listening(folder: Path, port: str, *arguments: str, **variables: str) -> None:
    ran = callboard(folder, "coordinator", "--port", port, *arguments, **variables)
    assert ran.returncode == 3
    assert f"port {port}" in ran.stderr
    assert "CB292" in ran.stderr


def test_the_commands_that_start_a_coordinator_can_be_given(tmp_path: Path, taken: str) -> None:
    commands = re.findall(r"^\$ callboard coordinator (--.*)$", TEXT, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        words = command.replace("/var/lib", str(tmp_path)).split()
        gets_as_far_as_listening(tmp_path, taken, *words)


def test_the_settings_are_taken_from_the_environment_and_from_the_file(
    tmp_path: Path, taken: str
) -> None:
    [lines] = blocks("sh")
    variables = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', lines, re.MULTILINE))
    assert len(variables) == 3
    gets_as_far_as_listening(tmp_path, taken, **variables)
    (tmp_path / "callboard.toml").write_text(blocks("toml")[0])
    gets_as_far_as_listening(tmp_path, taken)


def test_the_options_and_limits_of_the_page_are_those_of_the_command(tmp_path: Path) -> None:
    shown = " ".join(callboard(tmp_path, "coordinator", "--help", COLUMNS="200").stdout.split())
    shown += callboard(tmp_path, "coordinator", "status", "--help").stdout
    ours = TEXT[: TEXT.index("## TLS")]
    for option in set(re.findall(r"`(--[a-z-]+)", ours)):
        assert f"{option} " in shown, option
    for option, default in re.findall(
        r"^\| `(--max-\S+)`[^|]*\| ([\d,]*\d),? (?!MiB)", ours, re.MULTILINE
    ):
        assert re.search(rf"{option} N [^\[]*\[default: {default}\]", shown), option


def test_status_prints_what_the_page_says(tmp_path: Path) -> None:
    allowed = networks("allow", ["10.1.0.0/16"])
    folder = Path("/var/lib/callboard-coordinator")
    groups = Followed(Settings(bind=("0.0.0.0",), allow=allowed, state=folder), figures=FIGURES)
    end_s = groups.now_s + 3 * 3600 + 12 * 60
    groups.now_s = end_s - 310
    groups.join("s101", "c102", "c103", group="7c1d")
    groups.ask(send("s101", "ready", "7c1d"), send("c102", "ready", "7c1d"))
    groups.now_s = end_s - 95
    groups.ask(wait("c103", "go", "7c1d"))
    polling = [wait_all("s101", "ready", group="7c1d")]
    groups.ask(*polling)
    groups.after(55, *polling)
    polling += (GroupData(client(name, "e20b", 3)) for name in ("s211", "c212"))
    groups.ask(*polling)
    groups.after(40, *polling)
    [(command, expected)] = [
        each for each in console_examples(PAGE) if each[0] == "callboard coordinator status"
    ]

    async def printed() -> str:
        path = tmp_path / "status.sock"
        async with telling(groups.overview, path):
            arguments = ("coordinator", "status", "--socket", path)
            ran = await anyio.to_thread.run_sync(lambda: process(tmp_path, *arguments))
        assert ran.stderr == ""
        return ran.stdout

    shown = "\n".join(line.rstrip() for line in anyio.run(printed).splitlines())
    seconds = re.compile(r"\d\d s\b")  # they go on while it is printed
    assert seconds.sub("T s", f"{shown}\n") == seconds.sub("T s", expected), command


FIGURES: Mapping[str, Mapping[str, object]] = {
    "connections": {
        "listening": ["0.0.0.0:3079"],
        "connections": 0,
        "reading": 0,
        "held": 0,
        "answering": 0,
        "accepted": 4_711,
        "refused": 2,
    },
    "store": {"segments": 1, "newest_bytes": 81_920, "behind_bytes": 0, "failure": None},
}


def certificate(folder: Path, name: str, authority: str | None) -> None:
    """Make a key and a certificate in one file; signed by an authority, or one itself."""
    made = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", _CURVE]
    made += ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
    if authority is not None:
        made += ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key"]
        made += ["-addext", "basicConstraints=critical,CA:FALSE"]
        made += ["-addext", f"subjectAltName=DNS:{name}.example"]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    with (folder / f"{name}.pem").open("a") as file:
        file.write((folder / f"{name}.key").read_text())


@contextmanager
def tunnel(folder: Path, text: str, *changes: tuple[str, str]) -> Iterator[None]:
    """One end of the page's tunnel, with changes."""
    for old, new in (("/etc/stunnel", str(folder)), *changes):
        assert old in text
        text = text.replace(old, new)
    file = folder / "tunnel.conf"
    file.write_text(f"foreground = yes\npid =\n{text}")
    with subprocess.Popen(["stunnel", str(file)], stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        try:
            for line in running.stderr:
                if "Configuration successful" in line:
                    break
            yield
        finally:
            running.terminate()
            running.stderr.read()


@pytest.mark.skipif(shutil.which("stunnel") is None, reason="stunnel is not installed")
def test_the_tunnel_lets_in_who_has_a_certificate_and_nobody_else(tmp_path: Path) -> None:
    for name, authority in (
        ("lab-ca", None),
        ("other-ca", None),
        ("control", "lab-ca"),
        ("worker", "lab-ca"),
        ("stranger", "other-ca"),
    ):
        certificate(tmp_path, name, authority)
    (tmp_path / "control.pem").rename(tmp_path / "coordinator.pem")
    at_the_coordinators, at_a_workers = blocks("ini")
    between, entrance = free_port(), free_port()
    inner = ("127.0.0.1:3079", f"127.0.0.1:{entrance}")
    outer = ("control.example:3080", f"127.0.0.1:{between}")
    joining = {
        "request": "group_data",
        "group_name": "g",
        "group_size": 1,
        "client_name": "1",
        "role": "server",
        "hostname": "worker",
    }
    with (
        Coordinator(tmp_path, ["--unlimited", "127.0.0.1"]) as coordinator,
        tunnel(
            tmp_path,
            at_the_coordinators,
            ("accept = 3080", f"accept = 127.0.0.1:{between}"),
            ("127.0.0.1:3079", f"127.0.0.1:{coordinator.port}"),
        ),
    ):
        with tunnel(tmp_path, at_a_workers, inner, outer):
            assert ask(("127.0.0.1", entrance), joining)["roles"] == {"1": "server"}
        with (
            tunnel(tmp_path, at_a_workers, inner, outer, ("worker.pem", "stranger.pem")),
            pytest.raises((NoReply, OSError)),
        ):
            ask(("127.0.0.1", entrance), joining | {"group_name": "h"})
        with pytest.raises((NoReply, OSError)):
            ask(("127.0.0.1", between), joining | {"group_name": "h"})
        assert "group h" not in coordinator.log


def test_two_runs_join_a_group_as_the_page_says(tmp_path: Path) -> None:
    commands = re.findall(r"^\$ callboard (run .*)$", TEXT, re.MULTILINE)
    assert len(commands) == 2
    test = Test("meet", ["lava-self", "lava-sync there"])
    (tmp_path / "group.yaml").write_text(definition({"server": [test], "client": [test]}))
    with Host() as host, ThreadPoolExecutor() as threads:
        url = f"lava://127.0.0.1:{host.address[1]}"
        words = [each.replace("lava://control.example", url).split() for each in commands]
        runs = [threads.submit(process, tmp_path, *each, "--json") for each in words]
        found = [each.result() for each in runs]
    assert [each.returncode for each in found] == [0, 0], [each.stderr for each in found]
    jobs = [(job["id"], job["role"]) for each in found for job in document(each)["jobs"]]
    assert jobs == [(9001, "server"), (9002, "client")]
