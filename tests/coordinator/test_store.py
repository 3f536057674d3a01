"""What was answered is on the disk, and what can't be kept is not answered."""

import errno
import os
import resource
import threading
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from tests.coordinator.asking import state
from tests.coordinator.keeping import client, filled, opened, recalled, running

from callboard.coordinator.calendar import Calendar
from callboard.coordinator.errors import StateError
from callboard.coordinator.requests import ClearGroup, Forget, GroupData, LavaSend

pytestmark = pytest.mark.asyncio


def contents(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir()}


class Disk:
    """Stands for `fdatasync`: can be slow, or fail, when told so."""

    def __init__(self) -> None:
        self._called = threading.Semaphore(0)
        self.failing = False
        self.free = threading.Event()
        self.free.set()

    def __call__(self, file: int) -> None:
        self._called.release()
        assert self.free.wait(30)
        if self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(file)

    @property
    def called_more(self) -> bool:
        """Whether it has been called more often than waited for."""
        return self._called.acquire(blocking=False)

    async def called(self) -> None:
        """Wait until it has been called once more."""
        assert await anyio.to_thread.run_sync(self._called.acquire, True, 30)


# What is on the disk when


async def test_groups_are_what_they_were_after_another_start(tmp_path: Path) -> None:
    async with running(tmp_path / "made" / "for it") as kept:
        await kept.ask(LavaSend(client(), "x", {"é\ud800": [1, None, {"deep": 1e300}]})).wait()
        await kept.ask(GroupData(client("ended"))).wait()
        await kept.ask(ClearGroup(client("ended"))).wait()
        await kept.ask(GroupData(client("forgotten"))).wait()
        await kept.ask(Forget(client("forgotten"))).wait()
    again = await recalled(tmp_path / "made" / "for it")
    assert state(again) == state(kept.exchange)
    assert list(again.groups) == ["g"]


async def test_a_group_is_as_old_as_it_was_by_the_clock_of_the_machine(tmp_path: Path) -> None:
    on_monday = Calendar(lambda: 50.0, lambda: 1_000.0)
    async with running(tmp_path, calendar=on_monday, segment_bytes=5_000) as kept:
        await kept.ask(LavaSend(client("imaged"), "x", {})).wait()
        while kept.store._segments.index.newest < 3:  # its beginning is removed by then
            await kept.ask(LavaSend(client("other"), "x", {"fill": "x" * 200})).wait()
        await kept.ask(LavaSend(client("begun"), "x", {})).wait()
    on_tuesday = Calendar(lambda: 7.0, lambda: 2_000.0)
    again = await recalled(tmp_path, on_tuesday)
    ages_s = {name: 7.0 - again.groups[name].created_s for name in ("imaged", "begun")}
    assert ages_s == {"imaged": 1_050.0, "begun": 1_050.0}
    assert again.vanished(7.0) == []  # who may have asked meanwhile has not been silent


async def test_what_is_noted_in_one_turn_is_written_in_one_go(tmp_path: Path) -> None:
    disk = Disk()
    async with running(tmp_path, sync=disk) as kept:
        answers = [kept.ask(GroupData(client(f"g{number}"))) for number in range(50)]
        for each in answers:
            await each.wait()
        await disk.called()
        assert not disk.called_more


async def test_what_was_noted_before_the_store_is_closed_is_written(tmp_path: Path) -> None:
    async with running(tmp_path) as kept:
        answer = kept.ask(GroupData(client()))
    assert answer.is_set()
    assert list((await recalled(tmp_path)).groups) == ["g"]


async def test_no_answer_leaves_before_what_was_noted_before_it(tmp_path: Path) -> None:
    disk = Disk()
    async with running(tmp_path, sync=disk) as kept:
        assert not kept.ask(GroupData(client(name="a"))).is_set()
        await kept.ask(GroupData(client(name="b"))).wait()
        await disk.called()
        assert kept.ask(GroupData(client(name="b"))).is_set()  # nothing has changed
        disk.free.clear()
        first = kept.ask(LavaSend(client(), "x", {}))
        await disk.called()
        asks = kept.ask(GroupData(client(name="a")))
        later = kept.ask(LavaSend(client(), "y", {}))
        assert not any(each.is_set() for each in (first, asks, later))
        assert kept.store.behind_bytes > 0
        disk.free.set()
        for each in (first, asks, later):
            await each.wait()
        assert kept.store.behind_bytes == 0


async def test_segments_are_removed_when_no_group_needs_them(tmp_path: Path) -> None:
    async with running(tmp_path, segment_bytes=5_000) as kept:
        await kept.ask(LavaSend(client("long"), "x", {"kept": 1})).wait()
        for number in range(120):
            group = f"g{number}"
            await kept.ask(LavaSend(client(group), "x", {"fill": "x" * 200})).wait()
            await kept.ask(ClearGroup(client(group))).wait()
            assert sum(map(len, contents(tmp_path).values())) < 25_000
        assert kept.store.segments <= 2
    assert state(await recalled(tmp_path)) == state(kept.exchange)


# A disk that fails


async def test_nothing_is_answered_while_the_disk_fails_and_all_is_kept_after(
    tmp_path: Path,
) -> None:
    disk = Disk()
    async with running(tmp_path, sync=disk, pause_s=0.001) as kept:
        await kept.ask(GroupData(client())).wait()
        await disk.called()
        disk.failing = True
        answers = [kept.ask(LavaSend(client(), "x", {}))]
        for _ in range(5):
            await disk.called()
        answers += [kept.ask(LavaSend(client("new"), "y", {})), kept.ask(ClearGroup(client()))]
        assert kept.store.failure is not None
        assert kept.store.failure.errno == errno.EIO
        assert not any(each.is_set() for each in answers)
        assert kept.kinds == ["state-not-kept"]
        assert kept.store.behind_bytes == 0  # it is all in the groups, which are written anew
        disk.failing = False
        for each in answers:
            await each.wait()
        assert kept.store.failure is None
        assert kept.kinds == ["state-not-kept", "state-kept-again"]
    assert len(contents(tmp_path)) <= 4  # lock, index, and one segment or two
    assert state(await recalled(tmp_path)) == state(kept.exchange)


async def test_a_disk_that_fails_to_the_end_keeps_nobody_from_ending(tmp_path: Path) -> None:
    disk = Disk()
    async with running(tmp_path, sync=disk) as kept:
        await kept.ask(GroupData(client())).wait()
        disk.failing = True
        answer = kept.ask(LavaSend(client(), "x", {}))
    assert not answer.is_set()
    assert "x" not in (await recalled(tmp_path)).memory("g").memory.messages


async def test_a_full_disk_is_used_again_when_there_is_room(small_disk: Path) -> None:
    async with running(small_disk, pause_s=0.001) as kept:
        (small_disk / ".other").write_bytes(bytes(40_000))
        settled = []
        for number in range(20):
            settled.append(kept.ask(LavaSend(client(f"g{number}"), "x", {"fill": "x" * 1000})))
            await anyio.sleep(0.002)
        await kept.failed.wait()
        assert kept.store.failure is not None
        assert kept.store.failure.errno == errno.ENOSPC
        assert not settled[-1].is_set()
        (small_disk / ".other").unlink()
        await settled[-1].wait()
        assert kept.kinds == ["state-not-kept", "state-kept-again"]
    assert state(await recalled(small_disk)) == state(kept.exchange)


async def test_a_limit_of_file_sizes_is_as_a_full_disk(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with running(tmp_path, pause_s=0.001) as kept:
        await kept.ask(LavaSend(client(), "x", {})).wait()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
            answer = kept.ask(LavaSend(client(), "y", {"long": "y" * 5_000}))
            await kept.failed.wait()
            assert not answer.is_set()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await answer.wait()
    assert state(await recalled(tmp_path)) == state(kept.exchange)


# Damage


async def test_any_changed_byte_is_reported_with_its_place(tmp_path: Path) -> None:
    await filled(tmp_path)
    async with running(tmp_path, segment_bytes=1) as kept:
        await kept.ask(LavaSend(client(), "x", {})).wait()
    for name, whole in contents(tmp_path).items():
        path = tmp_path / name
        for place in range(0, len(whole), 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
            with pytest.raises(StateError, match=rf"{path}(: byte \d+: | is of a newer)") as caught:
                opened(tmp_path)
            assert f"mv {tmp_path} {tmp_path}.damaged" in (caught.value.cure or "") or (
                "newer" in caught.value.text
            )
        path.write_bytes(whole)
    assert state(await recalled(tmp_path)) == state(kept.exchange)


async def test_damage_is_told_with_the_groups_from_there_on(tmp_path: Path) -> None:
    await filled(tmp_path)
    path = tmp_path / "00000001.log"
    text = path.read_bytes()
    path.write_bytes(text.replace(b'"number":1', b'"number":7'))
    with pytest.raises(StateError) as caught:
        opened(tmp_path)
    place = text.index(b"\n", text.index(b'"g0"')) + 1
    assert caught.value.text == (
        f"{path}: byte {place}: record 2 has not the checksum that it was written with"
        " (from there on it is about 'g1', 'g2')"
    )
    assert path.read_bytes() != text  # nothing was mended, or removed


async def test_an_unfinished_record_is_left_out_and_told(tmp_path: Path) -> None:
    await filled(tmp_path)
    path = tmp_path / "00000001.log"
    path.write_bytes(path.read_bytes()[:-10])
    kept = opened(tmp_path)
    assert list(kept.exchange.groups) == ["g0", "g1"]
    assert kept.kinds == ["state-unfinished", "state-recalled"]
    assert "it was never acknowledged" in kept.facts[0].text
    await kept.store.close()
    again = opened(tmp_path)
    assert list(again.exchange.groups) == ["g0", "g1"]
    assert again.kinds == ["state-recalled"]  # the rest is told once
    await again.store.close()


async def test_what_older_segments_were_removed_for_is_never_taken_for_unfinished(
    tmp_path: Path,
) -> None:
    await filled(tmp_path)
    async with running(tmp_path, segment_bytes=1) as kept:  # a record has one image
        while kept.store.segments > 1:  # noqa: ASYNC110 - figures tell nobody that they change
            await anyio.sleep(0.001)
    path = tmp_path / "00000002.log"
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(StateError, match=rf"{path}: byte \d+: "):
            opened(tmp_path)
    path.write_bytes(whole)
    assert list((await recalled(tmp_path)).groups) == ["g0", "g1", "g2"]


@pytest.mark.parametrize("name", ["00000001.log", "00000002.log", "segments"])
async def test_a_file_that_is_missing_is_told(tmp_path: Path, name: str) -> None:
    await filled(tmp_path)
    kept = opened(tmp_path)  # begins the second segment
    await kept.store.close()
    (tmp_path / name).unlink()
    with pytest.raises(StateError, match=rf"{name}.* missing"):
        opened(tmp_path)
