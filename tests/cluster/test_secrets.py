"""Where a definition's secrets go: to who needs them, and nowhere else."""

import asyncio
import base64
import os
import re
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.cluster.lab import open_lab
from tests.cluster.server import Server
from tests.cluster.workers import Process, a_worker, make_cluster
from tests.commandline import CALLBOARD

pytestmark = pytest.mark.timeout(180)

Ran = subprocess.CompletedProcess[str]

TOKEN = "sesame-open-0815"
PASSWORD = "only-for-the-left-4711"

GROUP = f"""\
job_name: secretive
visibility: public
timeouts: {{job: {{minutes: 2}}}}
secrets: {{TOKEN: {TOKEN}}}
protocols:
  lava-multinode:
    roles:
      left: {{device_type: qemu, count: 1, worker: rack-1}}
      right: {{device_type: qemu, count: 1, worker: rack-2}}
actions:
- deploy: {{role: [left, right], to: tmpfs}}
- boot:
    role: [left]
    method: qemu
    prompts: ['#']
    auto_login: {{login_prompt: 'login:', username: root, password_prompt: 'Password:',
                  password: {PASSWORD}}}
- boot: {{role: [right], method: qemu, prompts: ['#']}}
- test:
    role: [left, right]
    definitions:
    - from: inline
      name: talkative
      path: talkative.yaml
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: talkative}}
        run:
          steps:
          - cat /lava-*/secrets
          - lava-test-case known --shell grep -q {TOKEN} /lava-*/secrets
          - lava-sync both
"""


def _readable(data: bytes) -> Iterator[bytes]:
    """Some bytes, and what is packed in them, at any depth."""
    yield data
    for found in re.finditer(rb"\x1f\x8b\x08", data):
        try:
            yield from _readable(zlib.decompressobj(31).decompress(data[found.start() :]))
        except zlib.error:
            continue
    for text in re.findall(rb"[A-Za-z0-9+/]{24,}={0,2}", data):
        try:
            yield from _readable(base64.b64decode(text, validate=True))
        except ValueError:
            continue


def _holds(data: bytes, secret: str) -> bool:
    return any(secret.encode() in each for each in _readable(data))


def _run(
    server: Server, folder: Path, stack: ExitStack, *options: str, **creds: str
) -> tuple[Ran, list[Process]]:
    """Run `GROUP` by a leader and two workers."""
    (folder / "group.yaml").write_text(GROUP)
    workers: list[Process] = []
    for name in ("stage", "rack-1", "rack-2"):
        what = ("--nodes", "0") if name == "stage" else ("--nodes", "1", "--no-lead")
        state = str(folder / f"state-{name}")
        who = ("--creds", creds[name]) if creds else ()
        opened = a_worker(server, "--name", name, *what, *who, CALLBOARD_STATE=state)
        workers.append(stack.enter_context(opened))
        workers[-1].until("ready")
    who = ("--creds", creds["ann"]) if creds else ()
    state = str(folder / "state-ann")
    ran = subprocess.run(
        [*CALLBOARD, "run", "--nats", server.url, "-v", "group.yaml", *options, *who],
        cwd=folder,
        env=os.environ | {"CALLBOARD_STATE": state},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran, workers


def test_a_group_runs_with_what_each_member_may_do_and_tries_nothing_else(tmp_path: Path) -> None:
    with ExitStack() as stack:
        lab = stack.enter_context(open_lab(tmp_path))
        names = ("stage", "rack-1", "rack-2", "ann")
        creds = {name: str(lab.folder / f"{name}.creds") for name in names}
        ran, _ = _run(lab.server, tmp_path, stack, **creds)
        assert ran.returncode == 0, ran.stderr
        assert not [line for line in lab.server.log if "Violation" in line]


def test_a_worker_gives_up_its_machine_to_no_group_unless_its_owner_says_so(
    own_server: Server, tmp_path: Path
) -> None:
    make_cluster(own_server, tmp_path)
    with ExitStack() as stack:
        ran, _ = _run(own_server, tmp_path, stack, "--no-sandbox")
    assert ran.returncode == 3
    said = ran.stdout + ran.stderr
    assert "it runs groups with --no-sandbox only if it was started with that itself" in said


def test_secrets_reach_the_bundle_and_those_who_have_the_jobs_and_nobody_else(
    own_server: Server, tmp_path: Path
) -> None:
    make_cluster(own_server, tmp_path)
    heard: list[tuple[str, bytes]] = []
    with ExitStack() as stack:
        ran, workers = asyncio.run(_overheard(own_server, tmp_path, stack, heard))
        assert ran.returncode == 0, ran.stderr
        said = [ran.stdout, ran.stderr]
        for worker in workers:
            worker.popen.terminate()
            said += worker.popen.communicate()
    for secret, hosts in ((TOKEN, {"rack-1", "rack-2"}), (PASSWORD, {"rack-1"})):
        subjects = {_kind(subject, data) for subject, data in heard if _holds(data, secret)}
        assert subjects == {"bundle", *(f"cb.down.{host}" for host in hosts)}
        assert not [text for text in said if secret in text]
        for file in (tmp_path / "callboard-runs").rglob("*"):
            assert not file.is_file() or not _holds(file.read_bytes(), secret), file
    own_server.stop()
    for file in (own_server.folder / "store").rglob("*"):
        if file.is_file():  # the group has ended, and its bundle is gone
            assert not _holds(file.read_bytes(), TOKEN), file


async def _overheard(
    server: Server, folder: Path, stack: ExitStack, heard: list[tuple[str, bytes]]
) -> tuple[Ran, list[Process]]:
    """The group, while somebody listens to everything that is said."""
    spy = Client()
    await spy.connect(server.url)

    async def hear(message: Msg) -> None:
        heard.append((message.subject, message.data))

    await spy.subscribe(">", cb=hear, pending_bytes_limit=2**30)
    await spy.flush()
    try:
        return await asyncio.to_thread(_run, server, folder, stack)
    finally:
        await spy.close()


def _kind(subject: str, data: bytes) -> str:
    """What carries it; an answer of the server to the leader says which entry it is about."""
    if subject.startswith("$O.") or (subject.startswith("_INBOX.") and b'"subject":"$O.' in data):
        return "bundle"
    return ".".join(subject.split(".")[:3])
