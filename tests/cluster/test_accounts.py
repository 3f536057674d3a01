"""Who may do what, found out by trying: each member does what it should not, at a real server."""

import asyncio
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.errors import Error as NatsError
from tests.cluster.lab import LEASE_S, MEMBERS, Lab, make_cluster, open_lab
from tests.commandline import SCENARIOS, callboard

from callboard.cluster import bucket, subjects
from callboard.cluster.access import Access
from callboard.cluster.accounts import make_accounts
from callboard.cluster.client import Client
from callboard.cluster.connection import connect
from callboard.cluster.denial import denied, is_denial
from callboard.cluster.errors import ClusterError
from callboard.cluster.fleet import watched
from callboard.cluster.identity import read_identity
from callboard.cluster.permissions import STREAMS, Kind, covers, local, permissions
from callboard.cluster.records import Registration, encode

GROUP = "8f1c"
SINGLE = SCENARIOS / "single.yaml"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with open_lab(tmp_path_factory.mktemp("lab")) as opened:
        asyncio.run(make_cluster(opened))
        yield opened


@pytest.mark.asyncio
async def test_without_credentials_there_is_nothing(lab: Lab) -> None:
    with pytest.raises(ClusterError, match="does not know these credentials"):
        async with connect(Access(lab.server.url), name="nobody", note=print):
            pass


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["stage", "rack-1", "ann"])
async def test_each_member_connects_with_its_credentials_alone(lab: Lab, name: str) -> None:
    access = Access(lab.server.url, creds=lab.folder / f"{name}.creds")
    async with connect(access, name=name, note=pytest.fail) as cluster:
        assert cluster.lease_s == LEASE_S
        if name != "rack-1":
            assert await bucket.take_job_ids(cluster.bucket(subjects.TABLE), 2)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["rack-1", "ann"])
async def test_who_may_not_make_a_cluster_says_who_has_to(name: str, tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab:
        access = Access(lab.server.url, creds=lab.folder / f"{name}.creds")
        with pytest.raises(ClusterError) as refused:
            async with connect(access, name=name, note=pytest.fail):
                pass
        assert refused.value.code == "CB283"
        assert "`callboard cluster init`" in str(refused.value.cure)


@pytest.mark.asyncio
async def test_a_worker_that_asks_for_groups_is_told_that_it_may_not(lab: Lab) -> None:
    access = Access(lab.server.url, creds=lab.folder / "rack-1.creds")
    said: list[str] = []
    async with connect(access, name="rack-1", note=said.append) as cluster:
        with pytest.raises(ClusterError) as refused:
            await Client(cluster).groups()
    assert refused.value.code == "CB279"
    assert refused.value.text == (
        f"{access.creds} is for a worker that leads no groups, who may not see groups"
    )
    assert "--user NAME" in str(refused.value.cure)
    assert said == [], "it is said by who has asked"


@pytest.mark.asyncio
async def test_who_asks_for_what_is_allowed_is_not_disturbed_by_what_is_not(lab: Lab) -> None:
    access = Access(lab.server.url, creds=lab.folder / "rack-1.creds")
    said: list[str] = []
    async with connect(access, name="rack-1", note=said.append) as cluster:

        async def ask() -> str | None:
            await cluster.nc.publish(subjects.log(GROUP), b"mine")
            info = await cluster.js.stream_info(f"KV_{subjects.WORKERS}")
            return info.config.name

        assert await cluster.permitted(ask()) == f"KV_{subjects.WORKERS}"
    assert said == [f"{access.creds} is for a worker that leads no groups, who may not lead groups"]


@pytest.mark.parametrize(("kind", "name"), MEMBERS[1:4:2], ids=str)
def test_whatever_a_kind_of_member_may_do_another_is_told_who_may(kind: Kind, name: str) -> None:
    access = Access("nats://127.0.0.1:4222")
    for pattern in permissions("leader", name).publish:
        if any(covers(each, local(pattern)) for each in permissions(kind, name).publish):
            continue
        subject = pattern.replace("*", "x").replace(">", "x.y").lower()
        for known_as in {subject, local(subject)}:
            text = f'nats: permissions violation for publish to "{known_as}"'
            assert is_denial(text)
            error = denied(text, access, kind)
            assert "callboard cluster accounts DIR --" in str(error.cure), known_as
            assert f"--{kind} " not in str(error.cure)


def test_what_nobody_may_do_is_said_as_the_server_says_it() -> None:
    access = Access("nats://lab:secret@127.0.0.1:4222")
    for how, doing in (("publish", "publish"), ("subscription", "listen")):
        error = denied(f'nats: permissions violation for {how} to "x.y"', access, None)
        said = f"the NATS server at nats://127.0.0.1:4222 does not let us {doing} to x.y"
        assert error.text == said
        assert error.cure == "see the permissions of our account in the server's configuration"


@pytest.mark.parametrize(
    ("arguments", "doing"),
    [
        (["list"], "see groups"),
        (["devices"], "see who has which devices"),
        (["submit", SINGLE], "submit groups"),
        (["run", SINGLE], "submit groups"),
        (["cancel", "8f1c"], "see groups"),
        (["logs", "8f1c"], "see groups"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_verb_that_is_forbidden_says_so_once(
    lab: Lab, tmp_path: Path, arguments: list[str | Path], doing: str
) -> None:
    creds = lab.folder / "rack-1.creds"
    ran = callboard(tmp_path, *arguments, "--nats", lab.server.url, "--creds", creds)
    assert ran.returncode == 3
    assert ran.stderr == (
        f"callboard: error[CB279]: {creds} is for a worker that leads no groups, "
        f"who may not {doing}\n"
        "  hint: `callboard cluster accounts DIR --user NAME` makes credentials that will do\n"
    )


def test_a_cluster_is_made_with_credentials_of_a_leader(lab: Lab, tmp_path: Path) -> None:
    creds = lab.folder / "ann.creds"
    ran = callboard(tmp_path, "cluster", "init", "--nats", lab.server.url, "--creds", creds)
    assert ran.returncode == 2
    assert f"error[CB279]: {creds} is for somebody who submits groups" in ran.stderr
    assert "--leader NAME" in ran.stderr


@pytest.mark.asyncio
async def test_credentials_whose_key_is_none_are_named(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "ann.creds"
    text = (lab.folder / "ann.creds").read_text()
    file.write_text(re.sub(r"\bSU[A-Z0-9]{56}\b", "SUNONE", text))
    with pytest.raises(ClusterError, match="is no credentials file") as refused:
        async with connect(Access(lab.server.url, creds=file), name="ann", note=print):
            pass
    assert refused.value.code == "CB284"


@pytest.mark.asyncio
async def test_parcels_go_both_ways_and_name_their_sender(lab: Lab) -> None:
    async with lab.member("stage") as leader, lab.member("rack-1") as worker:
        up = await leader.hear(subjects.up("*", GROUP))
        down = await worker.hear(subjects.down("rack-1", "*"))
        assert await worker.publishes(subjects.up("rack-1", GROUP), b"up")
        assert await leader.publishes(subjects.down("rack-1", GROUP), b"down")
        await leader.settled()
        await worker.settled()
        assert [(subjects.sender(each.subject), each.data) for each in up] == [
            (("rack-1", GROUP), b"up")
        ]
        assert [each.data for each in down] == [b"down"]


@pytest.mark.asyncio
async def test_a_worker_registers_and_asks_what_became_of_a_group(lab: Lab) -> None:
    async with lab.member("stage") as leader, lab.member("rack-1") as worker:
        bucket = await worker.js.key_value(subjects.WORKERS)
        await bucket.put("rack-1", b"here")
        read = await (await leader.js.key_value(subjects.WORKERS)).get("rack-1")
        assert read.value == b"here"
        asked = await leader.nc.subscribe(subjects.ask("*"), queue="leaders")
        await leader.settled()
        question = worker.nc.request(subjects.ask("rack-1"), b"?", timeout=2)
        answering = asked.next_msg(2)
        asking = asyncio.create_task(question)
        await (await answering).respond(b"over")
        assert (await asking).data == b"over"


@pytest.mark.asyncio
async def test_a_worker_speaks_as_nobody_else(lab: Lab) -> None:
    async with lab.member("rack-1") as worker:
        for subject in (
            subjects.up("rack-2", GROUP),
            subjects.down("rack-2", GROUP),
            subjects.down("rack-1", GROUP),
            subjects.ask("rack-2"),
            subjects.log(GROUP),
            f"$KV.{subjects.WORKERS}.rack-2",
            f"$KV.{subjects.LEADERS}.{GROUP}",
            f"$KV.{subjects.GROUPS}.{GROUP}",
            f"$KV.{subjects.TABLE}.table",
            f"$O.{subjects.BUNDLES}.M.x",
            f"_INBOX.{'rack-2'}.x",
            "_INBOX.users.ann.x",
        ):
            assert not await worker.publishes(subject), subject


@pytest.mark.asyncio
async def test_a_worker_reads_nothing_but_what_is_for_it(lab: Lab) -> None:
    async with lab.member("rack-1") as worker:
        for subject in (
            ">",
            "cb.>",
            subjects.down("rack-2", "*"),
            subjects.down("*", GROUP),
            subjects.up("rack-2", "*"),
            subjects.log(GROUP),
            subjects.ask("*"),
            "_INBOX.>",
            "_INBOX.rack-2.>",
            "_INBOX.users.ann.>",
            "$KV.>",
            "$SYS.>",
        ):
            assert not await worker.listens(subject), subject
        for stream in STREAMS:
            for request in ("STREAM.MSG.GET", "DIRECT.GET", "CONSUMER.CREATE", "STREAM.DELETE"):
                assert not await worker.publishes(f"cb.api.{request}.{stream}"), (request, stream)
                assert not await worker.publishes(f"$JS.API.{request}.{stream}"), (request, stream)


@pytest.mark.asyncio
async def test_a_worker_reads_its_own_registration_and_no_other(lab: Lab) -> None:
    async with lab.member("rack-1") as one, lab.member("rack-2") as two:
        await two.js.publish(f"$KV.{subjects.WORKERS}.rack-2", b"not for rack-1")
        await one.js.publish(f"$KV.{subjects.WORKERS}.rack-1", b"mine")
        own = f"cb.api.DIRECT.GET.KV_{subjects.WORKERS}.$KV.{subjects.WORKERS}.rack-1"
        assert (await one.nc.request(own, timeout=2)).data == b"mine"
        for wish in (
            {"seq": 1},
            {"last_by_subj": f"$KV.{subjects.WORKERS}.rack-2"},
            {"next_by_subj": f"$KV.{subjects.WORKERS}.rack-2"},
            {"multi_last": [">"]},
            {"seq": 1, "batch": 10},
        ):
            answer = await one.nc.request(own, json.dumps(wish).encode(), timeout=2)
            assert answer.data in (b"mine", b""), wish


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["stage", "ann"])
async def test_who_may_see_the_fleet_hears_of_a_worker_at_once(lab: Lab, name: str) -> None:
    access = Access(lab.server.url, creds=lab.folder / f"{name}.creds")
    entry = Registration("rack-2", f"for {name}", "m", subjects.PROTOCOL, "1", "host")
    said: list[str] = []
    async with (
        connect(access, name=name, note=said.append) as cluster,
        watched(cluster) as fleet,
        lab.member("rack-2") as worker,
    ):
        await worker.js.publish(f"$KV.{subjects.WORKERS}.rack-2", encode(entry))
        while fleet.get("rack-2") != entry:
            await fleet.changed()
    assert not [line for line in said if "forbids" in line]


@pytest.mark.asyncio
async def test_the_answer_to_a_worker_spoils_nobodys_log_and_is_nobodys_parcel(lab: Lab) -> None:
    async with lab.member("stage") as leader, lab.member("rack-1") as worker:
        heard = await leader.hear("cb.up.*.*")
        before = (await leader.js.stream_info(subjects.LOG)).state.messages
        own = f"$KV.{subjects.WORKERS}.rack-1"
        await worker.js.publish(own, b"a parcel")
        for reply in (subjects.log("victim"), subjects.up("rack-2", "victim")):
            assert await worker.publishes(f"$KV.{subjects.WORKERS}.rack-1", b"{}", reply)
            request = f"cb.api.STREAM.INFO.KV_{subjects.WORKERS}"
            assert await worker.publishes(request, b"", reply)
            request = f"cb.api.DIRECT.GET.KV_{subjects.WORKERS}.{own}"
            assert await worker.publishes(request, b"", reply)
        await (await worker.js.key_value(subjects.WORKERS)).put("rack-1", b"{}")
        assert (await leader.js.stream_info(subjects.LOG)).state.messages == before
        assert heard == []


@pytest.mark.asyncio
async def test_a_worker_removes_no_other_registration(lab: Lab) -> None:
    async with lab.member("stage") as leader, lab.member("rack-1") as one:
        async with lab.member("rack-2") as two:
            await (await two.js.key_value(subjects.WORKERS)).put("rack-2", b"here")
        with pytest.raises(NatsError):
            await one.js.publish(
                f"$KV.{subjects.WORKERS}.rack-1", b"{}", headers={"Nats-Rollup": "all"}
            )
        bucket = await leader.js.key_value(subjects.WORKERS)
        assert (await bucket.get("rack-2")).value == b"here"


@pytest.mark.asyncio
async def test_a_user_submits_follows_and_cancels(lab: Lab) -> None:
    async with lab.member("stage") as leader, lab.member("ann") as user:
        groups = await user.js.key_value(subjects.GROUPS)
        revision = await groups.create(GROUP, b"queued")
        await groups.update(GROUP, b"cancel", revision)
        assert (await groups.get(GROUP)).value == b"cancel"
        watcher = await groups.watchall()
        async for entry in watcher:
            assert entry is not None
            assert entry.value == b"cancel"
            break
        await leader.js.publish(subjects.log(GROUP), b"one")
        log = await user.js.subscribe(
            subjects.log(GROUP), stream=subjects.LOG, ordered_consumer=True
        )
        assert (await log.next_msg(2)).data == b"one"
        await leader.js.publish(subjects.log(GROUP), b"two")
        assert (await log.next_msg(2)).data == b"two"
        await log.unsubscribe()
        await user.js.publish(f"$O.{subjects.BUNDLES}.C.1", b"chunk")
        assert user.refused == []


@pytest.mark.asyncio
async def test_a_user_writes_no_log_no_table_and_no_lead(lab: Lab) -> None:
    async with lab.member("ann") as user:
        for subject in (
            subjects.log(GROUP),
            subjects.up("rack-1", GROUP),
            subjects.down("rack-1", GROUP),
            subjects.ask("rack-1"),
            f"$KV.{subjects.WORKERS}.rack-1",
            f"$KV.{subjects.LEADERS}.{GROUP}",
            f"$KV.{subjects.TABLE}.table",
            f"cb.api.STREAM.DELETE.{subjects.LOG}",
            f"cb.api.STREAM.PURGE.{subjects.LOG}",
            f"cb.api.STREAM.UPDATE.{subjects.LOG}",
            "cb.api.STREAM.CREATE.mirror",
        ):
            assert not await user.publishes(subject), subject


@pytest.mark.asyncio
async def test_a_user_reads_no_bundle_and_no_parcel(lab: Lab) -> None:
    bundles = f"OBJ_{subjects.BUNDLES}"
    async with lab.member("bob") as user:
        for subject in ("cb.>", "_INBOX.users.ann.>", "_INBOX.>", "$O.>"):
            assert not await user.listens(subject), subject
        for request in ("STREAM.MSG.GET", "DIRECT.GET", "CONSUMER.CREATE"):
            assert not await user.publishes(f"cb.api.{request}.{bundles}"), request
            assert not await user.publishes(f"cb.api.{request}.{bundles}.x"), request


@pytest.mark.asyncio
async def test_what_a_user_has_read_delivered_elsewhere_is_nobodys_parcel(lab: Lab) -> None:
    groups = f"KV_{subjects.GROUPS}"
    targets = (
        subjects.down("rack-1", "victim"),
        subjects.up("rack-1", "victim"),
        subjects.log("victim"),
        f"$KV.{subjects.TABLE}.table",
        f"$KV.{subjects.LEADERS}.victim",
    )
    async with (
        lab.member("stage") as leader,
        lab.member("rack-1") as worker,
        lab.member("bob") as user,
    ):
        up = await leader.hear("cb.up.*.victim")
        down = await worker.hear("cb.down.rack-1.*")
        await (await user.js.key_value(subjects.GROUPS)).put("forged", b"a parcel")
        stored = (subjects.LOG, f"KV_{subjects.TABLE}", f"KV_{subjects.LEADERS}")
        before = [(await leader.js.stream_info(each)).state.last_seq for each in stored]
        for number, target in enumerate(targets):
            config = {
                "name": f"thief-{number}",
                "deliver_subject": target,
                "filter_subject": f"$KV.{subjects.GROUPS}.forged",
                "ack_policy": "none",
                "mem_storage": True,
            }
            request = {"stream_name": groups, "config": config, "action": ""}
            await user.nc.request(
                f"cb.api.CONSUMER.CREATE.{groups}.thief-{number}.{config['filter_subject']}",
                json.dumps(request).encode(),
            )
            get = f"cb.api.DIRECT.GET.{groups}.$KV.{subjects.GROUPS}.forged"
            await user.publishes(get, b"", target)
        # By now the server has done all that was asked for before.
        await (await user.js.key_value(subjects.GROUPS)).get("forged")
        await leader.settled()
        await worker.settled()
        assert (up, down) == ([], [])
        after = [(await leader.js.stream_info(each)).state.last_seq for each in stored]
        assert after == before


@pytest.mark.asyncio
async def test_who_is_shut_out_stays_outside_and_the_others_do_not(tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab:
        await make_cluster(lab)
        stolen = (lab.folder / "rack-1.creds").read_text()
        made = make_accounts(lab.folder, [("worker", "rack-3")], ["rack-1"])
        lab.server.extra = made.configuration.read_text()
        lab.server.restart()
        async with lab.member("rack-2") as worker, lab.member("rack-3"):
            assert await worker.publishes(subjects.up("rack-2", GROUP))
        (lab.folder / "rack-1.creds").write_text(stolen)
        with pytest.raises(NatsError, match="Authorization Violation"):
            async with lab.member("rack-1"):
                pass
        (lab.folder / "rack-1.creds").unlink()
        make_accounts(lab.folder, [("worker", "rack-1")])
        async with lab.member("rack-1") as anew:
            assert await anew.publishes(subjects.up("rack-1", GROUP))
        assert made.shut_out == ("rack-1",)


def test_making_accounts_again_leaves_what_is_there(tmp_path: Path) -> None:
    first = make_accounts(tmp_path, MEMBERS)
    texts = {name: path.read_text() for name, path in first.members.items()}
    again = make_accounts(tmp_path, [*MEMBERS, ("worker", "rack-3")])
    assert list(again.members) == ["rack-3"]
    assert texts == {name: path.read_text() for name, path in first.members.items()}


def test_only_the_owner_reads_keys_and_credentials(tmp_path: Path) -> None:
    made = make_accounts(tmp_path, MEMBERS)
    secret = [*made.members.values(), *(tmp_path / "owner").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert stat.S_IMODE((tmp_path / "owner").stat().st_mode) == 0o700
    assert "SEED" not in made.configuration.read_text()


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("a.>", "a.b", True),
        ("a.>", "a", False),
        ("a.*", "a.b", True),
        ("a.*", "a.>", False),
        ("a.>", "a.*.c", True),
        ("a.b", "a.*", False),
        ("a.b", "a.b.c", False),
        ("a.b.c", "a.b", False),
        ("a", "a", True),
    ],
)
def test_a_subject_covers_another(wide: str, narrow: str, expected: bool) -> None:
    assert covers(wide, narrow) is expected


@pytest.mark.parametrize("name", ["", ".", "..", "a.b", "a b", "*", ">", "-x", "a/b", "x" * 65])
def test_a_name_that_would_mean_something_in_a_subject_is_refused(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError) as refused:
        make_accounts(tmp_path, [("worker", name)])
    assert refused.value.code == "CB280"
    with pytest.raises(ClusterError):
        make_accounts(tmp_path, [], [name])


def test_a_member_stays_of_its_kind(tmp_path: Path) -> None:
    make_accounts(tmp_path, [("user", "ann")])
    with pytest.raises(ClusterError, match="ann is a member already, and no leader"):
        make_accounts(tmp_path, [("leader", "ann")])
    with pytest.raises(ClusterError, match="two members"):
        make_accounts(tmp_path, [("leader", "bob"), ("user", "bob")])


@pytest.mark.parametrize(
    "text", ["", "junk", "-----BEGIN NATS USER JWT-----\nx.y.z\n------END NATS USER JWT------"]
)
def test_what_is_no_credentials_file_is_said_to_be_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.creds").write_text(text)
    with pytest.raises(ClusterError, match=r"x\.creds is no credentials file"):
        read_identity(tmp_path / "x.creds")
    with pytest.raises(ClusterError, match="can't be read: No such file"):
        read_identity(tmp_path / "y.creds")


def test_damaged_keys_are_named(tmp_path: Path) -> None:
    make_accounts(tmp_path, MEMBERS)
    (tmp_path / "owner" / "leaders.seed").write_text("SAnonsense")
    with pytest.raises(ClusterError, match=r"leaders\.seed can't be understood"):
        make_accounts(tmp_path, MEMBERS)
