"""Junk on every subject and in every bucket: workers and leaders live, go on, and say little."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest
from attrs import evolve
from nats.aio.client import Client
from tests.cluster.server import Server
from tests.cluster.workers import a_worker, make_cluster
from tests.commandline import CALLBOARD, SCENARIOS

from callboard.cluster import subjects
from callboard.cluster.records import Registration, encode
from callboard.cluster.subjects import PROTOCOL

JUNK = (
    *(b"", b"junk", b"{}", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 50_000),
    *(b'{"v":%d,"t":1,"i":"x","m":[[1,1,"/host",0]],"b":[["Dismiss",{}]]}' % PROTOCOL,),
    *(b'{"v":%d,"t":99,"i":"","m":[[1]],"b":[]}' % PROTOCOL, b'{"v":%d}' % (PROTOCOL + 1)),
    *(b'{"v":%d,"t":1e999,"i":0}' % PROTOCOL, b"x\x9c" + bytes(1000)),
)


def _targets() -> list[str]:
    up = [subjects.up(worker, group) for worker in ("rack-1", "nobody") for group in ("g", "h")]
    down = [subjects.down(worker, "g") for worker in ("rack-1", "stage", "nobody")]
    buckets = (subjects.GROUPS, subjects.WORKERS)
    entries = [f"$KV.{bucket}.{key}" for bucket in buckets for key in ("junk", "a/b", "-")]
    return [*up, *down, subjects.ask("rack-1"), subjects.ask("nobody"), *entries]


async def _throw(server: Server) -> None:
    thrower = Client()
    await thrower.connect(server.url)
    try:
        for data in JUNK:
            for subject in _targets():
                await thrower.publish(subject, data, reply="cb.nowhere")
        newer = Registration("newer", "i", "m", PROTOCOL, "9", "host")
        data = encode(evolve(newer, protocol=PROTOCOL + 1))
        await thrower.jetstream().publish(f"$KV.{subjects.WORKERS}.newer", data)
    finally:
        await thrower.close()


@pytest.mark.timeout(180)
def test_junk_ends_nobody_and_is_spoken_of_in_a_few_lines(
    own_server: Server, tmp_path: Path
) -> None:
    make_cluster(own_server, tmp_path)
    alone = {"CALLBOARD_STATE": str(tmp_path / "rack-1")}
    with (
        a_worker(own_server, "--name", "stage", "--nodes", "0") as stage,
        a_worker(own_server, "--name", "rack-1", "--nodes", "4", "--no-lead", **alone) as rack,
    ):
        for worker in (stage, rack):
            worker.until("ready")
        asyncio.run(_throw(own_server))
        ran = subprocess.run(
            [*CALLBOARD, "run", "--nats", own_server.url, "-q", str(SCENARIOS / "demo.yaml")],
            cwd=tmp_path,
            env=os.environ | {"CALLBOARD_STATE": str(tmp_path / "client")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        said = []
        for worker in (rack, stage):
            worker.popen.send_signal(signal.SIGTERM)
            out, problems = worker.popen.communicate(timeout=60)
            assert worker.popen.returncode == 0
            assert problems == ""
            said += out.splitlines()
        assert any("'newer'" in line for line in said)
        assert len(said) < 60
