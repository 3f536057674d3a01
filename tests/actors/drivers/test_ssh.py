"""Logins over ssh, with the system's own client and server, on a throw-away host."""

import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from attrs import evolve
from tests.actors.drivers.hosting import (
    HERE,
    Host,
    ask,
    hosting,
    needs_sshd,
    overlay_for,
    read_until,
)

from callboard.actors.drivers.processes import marked
from callboard.actors.drivers.ssh import Login
from callboard.actors.drivers.ssh.link import Link

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("temporary"), needs_sshd]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for keys and sockets, in which nothing may be left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


# What a guest is


OF_THE_MACHINE = {str(each) for each in (*Path("/").glob("lava-*"), *Path("/tmp").glob("lava-*"))}


async def left(host: Host) -> list[str]:
    """What there is of overlays on a host, but for those of the machine that it is a view of."""
    found = await host.ask("ls -1d /lava-* /tmp/lava-* 2> /dev/null")
    return [each for each in found.split() if each not in OF_THE_MACHINE]


async def test_a_guest_finds_its_overlay_on_the_host_and_a_shell_without_echo_or_prompt() -> None:
    async with hosting() as host:
        await host.serve()
        console = await (await host.reached(7)).open_shell()
        assert await ask(console, "echo one; echo two") == "one\ntwo\n"
        assert await ask(console, "x=1; cd /") == ""
        assert await ask(console, "echo $x $PWD $(id -un)") == "1 / root\n"
        assert await ask(console, "/lava-7/bin/lava-self") == "7\n"
        assert await ask(console, "sh -c 'exit 42'; echo $?") == "42\n"
        assert await ask(console, "tty -s && echo terminal; command -v sshd") == (
            "terminal\n/usr/sbin/sshd\n"
        )


async def test_an_interrupt_ends_the_command_of_a_guest_and_not_its_shell() -> None:
    async with hosting() as host:
        await host.serve()
        console = await (await host.reached()).open_shell()
        console.send(b"sh -c 'echo begun; exec sleep 1000'\n")
        await read_until(console, b"begun\n")
        console.send(b"\x03")
        assert await ask(console, "echo goes on") == "goes on\n"


async def test_long_lines_and_much_output_pass_as_they_are() -> None:
    async with hosting() as host:
        await host.serve()
        console = await (await host.reached()).open_shell()
        text = "x" * 3_000
        assert await ask(console, f"echo {text}") == f"{text}\n"
        assert await ask(console, "head -c 300000 /dev/zero | tr '\\0' '~'") == "~" * 300_000


async def test_more_guests_than_a_server_lets_in_at_once_log_in_at_once() -> None:
    async with hosting() as host:
        await host.serve()
        said: dict[int, str] = {}

        async def log_in(job: int) -> None:
            guest = await host.reached(job)
            said[job] = await ask(await guest.open_shell(), f"/lava-{job}/bin/lava-self")

        async with anyio.create_task_group() as group:
            for job in range(20, 34):
                group.start_soon(log_in, job)
        assert said == {job: f"{job}\n" for job in range(20, 34)}
        assert len({node.cache for node in host.nodes}) == 14


async def test_a_guest_that_logs_in_again_has_a_new_connection_and_its_overlay() -> None:
    async with hosting() as host:
        await host.serve()
        guest = await host.reached(7)
        before = await guest.open_shell()
        await host.ask("rm -r /lava-7")
        await guest.reach(HERE)
        assert await read_until(before, b"never") is not None
        assert await ask(await guest.open_shell(), "/lava-7/bin/lava-self") == "7\n"


async def test_it_is_not_seen_whether_a_guest_is_busy_while_it_is_logged_in() -> None:
    async with hosting() as host:
        await host.serve()
        guest = host.guest()
        assert await guest.busy() is False
        await guest.reach(HERE)
        assert await guest.busy() is None
        await guest.release()
        assert await guest.busy() is False


# Its end


async def test_nothing_of_a_guest_is_left_on_its_host() -> None:
    async with hosting() as host:
        await host.serve()
        keys = await host.ask("cat /root/.ssh/authorized_keys")
        guest, other = await host.reached(7), await host.reached(8)
        await ask(await other.open_shell(), "sleep 4712 & :")
        console = await guest.open_shell()
        await ask(console, f"echo x > {guest.cache}; nohup setsid sleep 4711 > /dev/null 2>&1 & :")
        await guest.release()
        assert await left(host) == ["/lava-1", "/lava-8"]
        assert await host.ask("pgrep -fx 'sleep 4711'") == ""
        assert await host.ask("pgrep -cfx 'sleep 4712'") == "1\n"
        assert await host.ask("cat /root/.ssh/authorized_keys") == keys
        await guest.release()


async def test_a_guest_that_is_killed_ends_its_sessions() -> None:
    async with hosting() as host:
        await host.serve()
        guest = await host.reached()
        console = await guest.open_shell()
        guest.kill()
        await read_until(console, b"never")
        await guest.release()


async def test_a_session_ends_when_its_server_is_killed_and_the_guest_can_be_released() -> None:
    async with hosting() as host:
        await host.serve()
        guest = await host.reached()
        console = await guest.open_shell()
        console.send(b"sh -c 'echo begun; exec sleep 1000'\n")
        await read_until(console, b"begun\n")
        await host.stop()
        await read_until(console, b"never")
        with pytest.raises(OSError, match=r"opens no shell"):
            await guest.open_shell()
        await guest.release()


async def test_a_login_that_is_cancelled_leaves_no_process() -> None:
    async with hosting() as host:
        with socket.create_server((HERE, host.port)) as silent:
            async with anyio.create_task_group() as group:
                group.start_soon(host.guest().reach, HERE)
                await anyio.wait_readable(silent)
                assert list(marked(host.ring.mark)) != []
                group.cancel_scope.cancel()
        assert list(marked(host.ring.mark)) == []


# What goes wrong


async def test_a_guest_without_an_address_says_what_its_boot_needs() -> None:
    async with hosting() as host:
        guest = host.guest()
        await guest.prepare()
        with pytest.raises(OSError, match=r"not logged in yet; its boot needs `method: ssh`"):
            await guest.open_shell()


async def test_an_overlay_that_can_not_be_built_is_refused_before_the_login() -> None:
    async with hosting() as host:
        guest = host.guest()
        bad = evolve(overlay_for(guest, 7), environment=(("1", "x"),))
        with pytest.raises(ValueError, match="shell variable"):
            await guest.install(bad)


@pytest.mark.parametrize(
    "address", ["-oProxyCommand=true", "root@host", "a b", "host:22", "$(id)", "a;b", "fe80::g"]
)
async def test_what_is_no_address_never_meets_a_command_line(address: str) -> None:
    async with hosting() as host:
        with pytest.raises(ValueError, match="neither a host name nor an IP address"):
            await host.guest().reach(address)


async def test_an_empty_address_asks_for_the_interface() -> None:
    async with hosting() as host:
        with pytest.raises(ValueError, match="sent an empty address; is that the name of its int"):
            await host.guest().reach("")


async def test_a_host_without_a_server_refuses_the_login() -> None:
    async with hosting() as host:
        refused = rf"^can't log in as root@127\.0\.0\.1 port {host.port}: the connection is refused"
        with pytest.raises(OSError, match=rf"{refused}; start an ssh server on that port"):
            await host.guest().reach(HERE)


async def test_a_name_that_nobody_knows_is_told() -> None:
    async with hosting() as host:
        with pytest.raises(OSError, match="nobody knows that name; send an IP address that"):
            await host.guest().reach("nowhere.invalid")


async def test_a_host_with_another_key_than_its_own_is_not_trusted() -> None:
    async with hosting() as host:
        key = "/etc/ssh/ssh_host_ed25519_key"
        await host.ask(f"rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f {key}")
        await host.serve()
        with pytest.raises(OSError, match=rf"host key is not the expected one; .* use {key}"):
            await host.guest().reach(HERE)


async def test_a_host_without_the_runs_key_lets_nobody_in() -> None:
    async with hosting() as host:
        await host.serve()
        await host.ask("rm /root/.ssh/authorized_keys")
        with pytest.raises(OSError, match=r"root is not let in; give .* `authorize: ssh`"):
            await host.guest().reach(HERE)


async def test_a_key_that_others_can_read_is_not_used() -> None:
    async with hosting() as host:
        await host.serve()
        host.ring.identity.chmod(0o644)
        with pytest.raises(OSError, match=r"others can read the key .*; run `chmod 600 "):
            await host.guest().reach(HERE)


async def test_a_full_host_says_that_it_can_not_take_the_overlay() -> None:
    async with hosting() as host:
        await host.serve()
        guest = host.guest()
        await guest.install(overlay_for(guest, 7))
        await host.ask("echo x > /lava-7")
        with pytest.raises(OSError, match=r"the overlay can't be copied to root@127\.0\.0\.1"):
            await guest.reach(HERE)


async def test_the_first_key_that_a_host_shows_is_taken_and_then_no_other() -> None:
    async with hosting() as host:
        await host.serve()
        login = Login(host.ring.first_seen(), host.ring.identity)
        await host.guest(login).reach(HERE)
        await host.guest(login).reach(HERE)
        await host.stop()
        key = "/etc/ssh/ssh_host_ed25519_key"
        await host.ask(f"rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f {key}")
        await host.serve()
        with pytest.raises(OSError, match="host key is not the expected one"):
            await host.guest(login).reach(HERE)


async def test_keys_are_made_for_each_run_and_each_host() -> None:
    async with hosting() as one, hosting() as other:
        access = await one.ring.access("host")
        assert access == await one.ring.access("host")
        assert access.authorized == (await one.ring.access("second")).authorized
        assert access.host_public != (await one.ring.access("second")).host_public
        assert access.authorized != (await other.ring.access("host")).authorized
        assert one.ring.path.stat().st_mode & 0o777 == 0o700
        assert access.host_key not in repr(access)


# Fixed machines


async def test_a_machine_whose_key_is_known_gets_its_overlay_at_once() -> None:
    async with hosting() as host:
        await host.serve()
        machine = host.machine([(await host.ring.access("host")).host_public])
        await machine.prepare()
        await machine.install(overlay_for(machine, 7))
        console = await machine.open_shell()
        assert await ask(console, "/lava-7/bin/lava-self") == "7\n"
        await machine.release()
        assert await left(host) == ["/lava-1"]


async def test_a_machine_that_has_ended_its_connection_is_logged_in_to_again() -> None:
    async with hosting() as host:
        await host.serve()
        machine = host.machine()
        await machine.prepare()
        await machine.install(overlay_for(machine, 7))
        for _boot in range(2):
            console = await machine.open_shell()
            assert await ask(console, "/lava-7/bin/lava-self") == "7\n"
            await _lose(machine.link)
        await machine.release()
        assert await left(host) == ["/lava-1"]


async def test_a_machine_that_was_killed_is_not_logged_in_to_again() -> None:
    async with hosting() as host:
        await host.serve()
        machine = host.machine()
        await machine.prepare()
        await machine.install(overlay_for(machine, 7))
        machine.kill()
        await machine.release()
        assert await left(host) == ["/lava-1", "/lava-7"]


async def _lose(link: Link) -> None:
    """End a connection from here, as a machine that starts anew ends it from there."""
    await link.close()
    assert not link.lives


async def test_a_machine_with_another_key_than_the_devices_file_says_is_not_trusted() -> None:
    async with hosting() as host:
        await host.serve()
        other = (await host.ring.access("other")).host_public
        with pytest.raises(OSError, match="host key is not the expected one; mend `host_key`"):
            await host.machine([other]).prepare()


async def test_a_machine_lets_guests_in_only_while_its_job_runs() -> None:
    async with hosting() as host:
        await host.serve()
        path = "/root/.ssh/authorized_keys"
        await host.ask(f"printf '# others, without an end' >> {path}")
        before, keys = await host.ask(f"cat {path}"), await host.ask("cat /etc/ssh/*_key.pub")
        access = evolve(await host.ring.access("host"), authorized="ssh-ed25519 AAAA guest's")
        machine = host.machine()
        await machine.prepare()
        for job in (7, 8):
            await machine.install(evolve(overlay_for(machine, job), access=access))
        assert await host.ask(f"cat {path}") == f"{before}\nssh-ed25519 AAAA guest's\n"
        await machine.release()
        assert await host.ask(f"cat {path}") == f"{before}\n"
        assert await host.ask("cat /etc/ssh/*_key.pub") == keys
