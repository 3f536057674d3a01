"""What the documentation says of more than one machine works as written, in three terminals."""

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.sources.servers import free_port
from tests.test_docs import ROOT, console_examples, of_a_cluster, on_a_terminal, unified

_WAIT_S = 60.0


def comparable(text: str) -> str:
    """`text` without what differs from machine to machine, and from time to time."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"callboard-nats-\w+", "callboard-nats-X", text)
    text = re.sub(r"worker \S+ at", "worker NAME at", text)
    text = re.sub(r"\S+/local-", "NAME/local-", text)
    text = text.replace(" and as many containers", "")  # where the machine can make them
    text = re.sub(r"submitted as [0-9a-f]{8}", "submitted as ID", text)
    lines = unified(text).splitlines()
    return "\n".join(line for line in lines if not line.startswith("waiting for"))


@contextmanager
def terminal(words: list[str], folder: Path, expected: str) -> Iterator[str]:
    """A command that goes on, from when it has said as many lines as expected; then Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "callboard", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"CALLBOARD_STATE": str(folder / words[0])},
    )
    assert process.stdout is not None
    said = b""
    try:
        while said.count(b"\n") < expected.count("\n"):
            ready, _, _ = select.select([process.stdout], [], [], _WAIT_S)
            piece = os.read(process.stdout.fileno(), 65536) if ready else b""
            assert piece, said.decode()
            said += piece
        yield said.decode()
    finally:
        process.send_signal(2)
        rest, _ = process.communicate(timeout=_WAIT_S)
        print((said + rest).decode())  # noqa: T201 - for a failure


@pytest.mark.timeout(300)
def test_the_three_terminals_of_the_readme_show_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    port = str(free_port())
    examples = [
        ([*command.replace("4222", port).split()[1:]], output)
        for command, output in console_examples(ROOT / "README.md")
        if of_a_cluster(command)
    ]
    (serve, served), (work, worked), (run, ran) = examples
    with (
        terminal([*serve, "--port", port], tmp_path, served) as server,
        terminal(work, tmp_path, worked) as worker,
    ):
        shown = on_a_terminal([sys.executable, "-m", "callboard", *run], tmp_path)
    assert comparable(server) == comparable(served)
    assert comparable(worker) == comparable(worked)
    assert comparable(shown) == comparable(ran)


def test_the_page_shows_the_same_commands_as_the_readme() -> None:
    readme = [command for command, _ in console_examples(ROOT / "README.md")]
    page = (ROOT / "docs/cluster.md").read_text()
    short = [command.removeprefix(".venv/bin/") for command in readme if of_a_cluster(command)]
    assert len(short) == 3
    for command in short:
        assert f"$ {command}\n" in page
