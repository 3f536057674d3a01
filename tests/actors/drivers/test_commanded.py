"""A node whose console is what a command gives: scripts on a terminal stand for devices."""

import random
from pathlib import Path

import pytest
from attrs import evolve
from tests.actors.drivers.consoles import (
    BOOT,
    GETTY,
    LOGIN,
    SILENT,
    board,
    perform,
    plans,
    prepared,
)
from tests.actors.test_bare_driver import ask, read_until

from callboard.actors.drivers.processes import lives
from callboard.actors.errors import ActionError, InfrastructureError, JobError
from callboard.definition.command_devices import CommandDevice

pytestmark = pytest.mark.asyncio

TOOLS = {
    *("base64", "cat", "gzip", "md5sum", "mkdir", "rm", "sha1sum", "sha256sum", "stty", "tar"),
    "wc",
}
PANIC = "'Kernel panic - not syncing: no root'"
HAVE_SHELL = (*BOOT, "expect-shell-connection")


async def test_a_login_ends_in_a_shell_without_echo_and_prompt(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    async with prepared(device.node()) as node:
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        console = await node.open_shell()
        assert await ask(console, "echo one; echo two") == "one\ntwo\n"
        assert await ask(console, "x=1; cd /") == ""
        assert await ask(console, "echo $x $PWD") == "1 /\n"
        assert await ask(console, "tty -s && echo terminal") == "terminal\n"
        console.send(b"sh -c 'echo under way; exec sleep 600'\n")
        await read_until(console, lambda output: b"under way" in output)
        console.send(b"\x03\n")
        assert "alive" in await ask(console, "echo alive")
    assert "Linux version 6.1.0 (board)" in device.heard
    assert any("board\x1b[0m login: root" in line for line in device.heard)
    assert "hush" not in "".join(device.heard)


async def test_the_overlay_goes_over_the_console(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    content = random.Random(0).randbytes(20_000)
    async with prepared(device.node()) as node:
        await node.install(device.overlay(["echo hello"], content))
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        root = tmp_path / "lava-7"
        assert (root / "0/tests/0_t/content").read_bytes() == content
        assert (root / "secrets").stat().st_mode & 0o777 == 0o600
        assert (root / "bin/lava-self").stat().st_mode & 0o777 == 0o755
        console = await node.open_shell()
        assert await ask(console, f"{root}/bin/lava-self") == "7\n"
        assert await ask(console, "umask; ls /tmp/.callboard-$$* 2>/dev/null") == "0022\n"
    assert any("KiB, goes over the console in" in text for text in device.said)
    assert any("has arrived after" in text for text in device.said)
    longest = max((word for line in device.heard for word in line.split()), key=len)
    assert len(longest) < 100, "the data are not in the log"


@pytest.mark.parametrize("lacking", ["base64", "gzip", "sha256sum md5sum sha1sum"])
async def test_the_overlay_arrives_where_tools_are_missing(tmp_path: Path, lacking: str) -> None:
    tools = {
        "base64",
        "gzip",
        "tar",
        "sha256sum",
        "md5sum",
        "sha1sum",
        "stty",
        "cat",
        "rm",
        "mkdir",
        "wc",
    }
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in tools - set(lacking.split()):
        (folder / tool).symlink_to(f"/usr/bin/{tool}")
    device = board(tmp_path, f"PATH={folder}; PS1='root@board:~# ' exec /bin/sh -i")
    async with prepared(device.node()) as node:
        await node.install(device.overlay(content=bytes(range(256))))
        await perform(
            node, plans(f"{SILENT}, parameters: {{kernel-start-message: ''}}"), *HAVE_SHELL
        )
    assert (tmp_path / "lava-7/0/tests/0_t/content").read_bytes() == bytes(range(256))


async def test_an_overlay_that_is_there_does_not_travel_again(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    async with prepared(device.node()) as node:
        await node.install(device.overlay())
        await perform(node, plans(LOGIN), *HAVE_SHELL)
    async with prepared(device.node()) as node:
        await node.install(device.overlay())
        await perform(node, plans(LOGIN), *HAVE_SHELL)
    assert device.said[-1] == "the overlay is on the device already"


async def test_an_overlay_that_comes_after_the_boot_goes_the_same_way(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    async with prepared(device.node()) as node:
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        console = await node.open_shell()
        await node.install(device.overlay(content=b"late"))
        assert (tmp_path / "lava-7/0/tests/0_t/content").read_bytes() == b"late"
        assert "here\n" in await ask(console, "echo here")


async def test_an_overlay_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.actors.drivers.commanded.transfer.MOST_BYTES", 2**20)
    device = board(tmp_path, GETTY)
    async with prepared(device.node()) as node:
        await node.install(device.overlay(content=random.Random(0).randbytes(1_200_000)))
        with pytest.raises(JobError, match=r"1\.2 MiB, and over a console go at most 1"):
            await perform(node, plans(LOGIN), *HAVE_SHELL)


async def fails(path: Path, boot: str, block: str, limit_s: int = 20) -> ActionError:
    """How the boot of a device fails, by its login at the latest."""
    device = board(path, boot)
    async with prepared(device.node()) as node:
        with pytest.raises(ActionError) as caught:
            await perform(node, plans(block, limit_s), *BOOT)
    return caught.value


async def test_a_wrong_password_is_refused_at_once(tmp_path: Path) -> None:
    error = await fails(tmp_path, GETTY, LOGIN.replace("hush-hush", "hash-hash"))
    assert isinstance(error, JobError)
    assert "the device refused the login; the last lines of the console: " in str(error)
    assert "Login incorrect" in str(error)
    assert "hash-hash" not in str(error)


async def test_a_prompt_that_never_comes_is_named_with_what_came(tmp_path: Path) -> None:
    boot = "echo Linux version 6; echo half way; printf 'still here'; read -r _"
    error = await fails(tmp_path, boot, SILENT, limit_s=1)
    assert isinstance(error, JobError)
    assert str(error) == (
        "a prompt (`root@board:`) did not come within 1 s; "
        "the last lines of the console: Linux version 6 | half way | still here"
    )


async def test_a_console_that_shows_nothing_is_told(tmp_path: Path) -> None:
    error = await fails(tmp_path, "read -r _", SILENT, limit_s=1)
    assert str(error).startswith("the boot message (`Linux version [0-9]`) did not come within 1 s")
    assert str(error).endswith("the console has shown nothing")


async def test_a_kernel_panic_ends_the_wait(tmp_path: Path) -> None:
    boot = f"echo Linux version 6; echo {PANIC}; read -r _"
    error = await fails(tmp_path, boot, SILENT)
    assert str(error).startswith("the kernel panicked before a prompt")


async def test_a_console_that_ends_is_opened_again_and_then_given_up(tmp_path: Path) -> None:
    device = board(tmp_path, "")
    device.console = CommandDevice(("echo", "refused"), power_on=(("true",),))
    async with prepared(device.node()) as node:
        with pytest.raises(InfrastructureError) as caught:
            await perform(node, plans(SILENT), *BOOT)
    assert str(caught.value) == (
        "the console ended before a prompt (`root@board:`) came; "
        "the last lines of the console: refused"
    )
    assert caught.value.failure("x").type == "InfrastructureError"
    assert device.said == ["the console has ended; it is opened again"] * 3


async def test_a_console_that_is_there_only_with_power_is_reached(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    command = f"[ -e {tmp_path}/on ] && exec bash {tmp_path}/powered {tmp_path}"
    (tmp_path / "powered").write_text(f"stty sane\n{GETTY}")
    device.console = CommandDevice(
        ("sh", "-c", command),
        power_on=(("touch", f"{tmp_path}/on"),),
        power_off=(("rm", "-f", f"{tmp_path}/on"),),
    )
    async with prepared(device.node()) as node:
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        assert await ask(await node.open_shell(), "echo here") == "here\n"
        assert (tmp_path / "on").exists()
    assert not (tmp_path / "on").exists()


async def test_a_flood_hides_no_prompt_and_fills_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.actors.drivers.commanded.node._KEPT_CHARACTERS", 2**20)
    flood = "yes 'all work and no play' | head -c 8000000\n"
    device = board(tmp_path, f"echo Linux version 6\n{flood}{GETTY}")
    async with prepared(device.node()) as node:
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        assert await ask(await node.open_shell(), "echo here") == "here\n"
    assert sum(len(line) for line in device.heard) < 2**21
    assert "the console has filled 1 MiB of log before its shell was there" in device.said


async def test_a_console_that_never_stops_lets_the_wait_end(tmp_path: Path) -> None:
    boot = "echo Linux version 6; exec yes 'all work and no play'"
    error = await fails(tmp_path, boot, SILENT, limit_s=1)
    assert "did not come within 1 s; the last lines of the console: all work" in str(error)


async def test_a_device_that_does_not_boot_is_reset_and_tried_again(tmp_path: Path) -> None:
    boot = f"if [ $boots = 1 ]; then echo Linux version 0; echo {PANIC}; else {GETTY} fi"
    device = board(tmp_path, boot)
    actions = plans(f"failure_retry: 2, {LOGIN}")
    async with prepared(device.node()) as node:
        with pytest.raises(JobError, match="the kernel panicked"):
            await perform(node, actions, *BOOT)
        await perform(node, actions, *HAVE_SHELL)
        assert await ask(await node.open_shell(), "echo here") == "here\n"
    assert actions["minimal-boot"].max_retries == 2


async def test_a_console_that_is_the_device_is_opened_anew_for_another_try(tmp_path: Path) -> None:
    device = board(tmp_path, "")
    tried = tmp_path / "tried"
    (tmp_path / "guest").write_text(f"stty sane\n{GETTY}")
    first = f"touch {tried}; echo {PANIC}; read -r _"
    script = f"[ -e {tried} ] || {{ {first}; }}; exec bash {tmp_path}/guest"
    device.console = CommandDevice(("sh", "-c", script))
    actions = plans(LOGIN)
    async with prepared(device.node()) as node:
        with pytest.raises(JobError, match="the kernel panicked"):
            await perform(node, actions, "connect-device", "login-action")
        await perform(node, actions, "connect-device", "login-action", HAVE_SHELL[-1])
        assert await ask(await node.open_shell(), "echo here") == "here\n"


async def test_a_login_that_is_tried_again_begins_with_a_reset(tmp_path: Path) -> None:
    boot = f"if [ $boots = 1 ]; then echo Linux version 0; echo {PANIC}; else {GETTY} fi"
    device = board(tmp_path, boot)
    async with prepared(device.node()) as node:
        with pytest.raises(JobError, match="the kernel panicked"):
            await perform(node, plans(LOGIN), *BOOT)
        await perform(node, plans(LOGIN), "login-action", HAVE_SHELL[-1])
        assert await ask(await node.open_shell(), "echo here") == "here\n"


async def test_a_password_that_the_device_echoes_is_masked(tmp_path: Path) -> None:
    boot = "echo Linux version 6; printf 'login:'; read -r _; printf 'Password:'; read -r w"
    error = await fails(tmp_path, f"{boot}; echo got $w; read -r _", LOGIN, limit_s=1)
    assert "got [MASKED]" in str(error)
    assert "hush" not in str(error)


async def test_a_second_boot_ends_in_a_shell_of_the_same_session(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY.replace("exec bash", "bash"))
    async with prepared(device.node()) as node:
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        console = await node.open_shell()
        console.send(b"exit\n")
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        assert "second" in await ask(console, "echo second")
        again = await node.open_shell()
        assert await read_until(console, lambda _output: False) == b"", "the one before has ended"
        assert await ask(again, "echo third") == "third\n"


async def test_a_boot_without_reset_joins_the_system_that_runs(tmp_path: Path) -> None:
    device = board(tmp_path, "")
    script = tmp_path / "running"
    script.write_text("stty sane\nread -r _\nPS1='root@board:~# ' exec bash --norc -i")
    device.console = CommandDevice(("bash", str(script)))
    actions = plans(f"reset: false, {LOGIN}")
    async with prepared(device.node()) as node:
        assert "pdu-reboot" not in actions
        await perform(node, actions, "connect-device", "login-action", "expect-shell-connection")
        assert await ask(await node.open_shell(), "echo here") == "here\n"
        await perform(node, actions, "connect-device", "login-action", "expect-shell-connection")
        assert await ask(await node.open_shell(), "echo again") == "again\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("sh", "-c", "echo busy >&2; exit 3"), "`sh` ended with status 3: busy"),
        (("no-such-pdu",), "no-such-pdu"),
        (("sleep", "600"), "did not end within"),
    ],
)
async def test_a_reset_that_fails_is_the_lab_s_fault(
    tmp_path: Path, command: tuple[str, ...], message: str
) -> None:
    device = board(tmp_path, GETTY)
    actions = dict(plans(LOGIN))
    actions["pdu-reboot"] = evolve(actions["pdu-reboot"], duration_s=1)
    async with prepared(device.node(hard_reset=(command,))) as node:
        with pytest.raises(InfrastructureError, match="`hard_reset` of board failed") as caught:
            await perform(node, actions, *BOOT)
    assert message in str(caught.value)


async def test_a_console_whose_program_is_missing_is_told(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    device.console = CommandDevice(("no-such-telnet", "serial-1"))
    async with prepared(device.node()) as node:
        with pytest.raises(OSError, match="no program `no-such-telnet`"):
            await perform(node, plans(LOGIN), "connect-device")


async def test_the_commands_before_boot_run_or_are_missed(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    boot = f"pre_power_command: true, pre_os_command: true, {LOGIN}"
    commands = {"pre-os-command": (("touch", f"{tmp_path}/os"),)}
    async with prepared(device.node(commands=commands)) as node:
        await perform(node, plans(boot), "pre-os-command")
        assert (tmp_path / "os").exists()
        with pytest.raises(JobError, match="`board` has no `pre_power_command`"):
            await perform(node, plans(boot), "pre-power-command")


async def test_two_namespaces_do_not_share_a_console(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    async with prepared(device.node()) as node:
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        await node.open_shell()
        actions = dict(plans(LOGIN))
        other = evolve(actions["expect-shell-connection"], namespace="other")
        with pytest.raises(JobError, match="one console, and the namespace `common` uses it"):
            await perform(node, {**actions, "expect-shell-connection": other}, HAVE_SHELL[-1])


async def test_there_is_no_shell_before_a_boot_and_no_boot_without_prompts(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    async with prepared(device.node()) as node:
        with pytest.raises(OSError, match="nobody has logged in"):
            await node.open_shell()
        actions = dict(plans(SILENT))
        login = actions["login-action"]
        assert login.block is not None
        actions["login-action"] = evolve(login, block=evolve(login.block, prompts=()))
        with pytest.raises(JobError, match="there are no `prompts`"):
            await perform(node, actions, "login-action")


async def test_a_shell_that_ends_is_the_end_of_the_session_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    device = board(tmp_path, GETTY)
    async with prepared(device.node()) as node:
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        console = await node.open_shell()
        pid = int(await ask(console, "echo $$"))
        assert lives(pid)
        console.send(b"kill -9 $$\n")
        assert await read_until(console, lambda _output: False) == b""
        assert await console.receive() == b""
    assert not lives(pid)


async def test_killing_ends_the_console_at_once(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    async with prepared(device.node()) as node:
        await perform(node, plans(LOGIN), *HAVE_SHELL)
        pid = int(await ask(await node.open_shell(), "echo $$"))
        node.kill()
    assert not lives(pid)


async def test_power_that_can_not_be_taken_away_is_said_and_the_console_closed(
    tmp_path: Path,
) -> None:
    device = board(tmp_path, GETTY)
    node = device.node(power_off=(("false",),))
    await node.prepare()
    await perform(node, plans(LOGIN), *HAVE_SHELL)
    pid = int(await ask(await node.open_shell(), "echo $$"))
    with pytest.raises(InfrastructureError, match="`power_off` of board failed"):
        await node.release()
    assert not lives(pid)
    await node.release()


async def test_what_a_console_can_not_do_has_a_reason(tmp_path: Path) -> None:
    device = board(tmp_path, GETTY)
    device.console = CommandDevice(("true",))
    node = device.node()
    assert node.unable("pdu-reboot") == "the device has neither `hard_reset` nor `power_on`"
    for action in ("http-download", "execute-qemu", "fastboot-deploy", "user-command"):
        assert node.unable(action)
    for action in ("connect-device", "login-action", "overlay-unpack", "multinode-test"):
        assert node.unable(action) is None


async def test_a_console_never_shows_whether_its_device_is_busy(tmp_path: Path) -> None:
    async with prepared(board(tmp_path, GETTY).node()) as node:
        assert await node.busy() is None
    assert await node.busy() is False
