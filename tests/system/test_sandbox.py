"""Local nodes are throw-away: whatever a test does to one, the machine stays as it was."""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from tests.system.harness import Callboard, Test, definition

from callboard.events import ConsoleOutput, JobStarted

CALM = Test("calm", ["lava-sync both", "lava-test-case fine --result pass"])


def cases(**commands: str) -> list[str]:
    """Steps that report for each command whether it succeeds."""
    return [
        f"lava-test-case {name.replace('_', '-')} --shell {_quoted(command)}"
        for name, command in commands.items()
    ]


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"


def devices(callboard: Callboard, **limits: int) -> list[str]:
    """The options for two nodes with these limits."""
    named = {name.replace("_", "-"): value for name, value in limits.items()}
    rack = {"devices": {name: {"type": "qemu", "limits": named} for name in ("one", "two")}}
    path = callboard.folder / "rack.yaml"
    path.write_text(yaml.safe_dump(rack))
    return ["--devices", str(path)]


# What a node is


def test_a_node_has_what_definitions_take_for_granted(anybody: Callboard) -> None:
    steps = [
        "test -z \"$(ls -A /tmp)\"",
        'test "$(cat uuid)" && test -f "/lava-$(lava-self)/bin/lava-self"',
        "echo own > /tmp/lava_multi_node_cache.txt; rm /tmp/lava_multi_node_cache.txt",
        "lava-send here name=$(hostname)",
        "lava-wait-all here",
        "sort /tmp/lava_multi_node_cache.txt | cut -d: -f2",
        "test \"$(tty)\" = /dev/pts/0",
        "getent hosts $(hostname)",
        "touch /etc/mine /usr/mine /srv/mine /mine",
        "echo x > /dev/null; head -c 4 /dev/urandom | wc -c; test -w /dev/shm",
        'test -z "$(ls -l /proc/self/fd | grep socket)"',
        "test \"$(ls /proc | grep -c '^[0-9]')\" -lt 20",
        "! ls -l /proc/self/fd | grep socket",
    ]  # fmt: skip
    test = Test("t", steps)
    ran = anybody.run(definition({"a": [test], "b": [test]}))
    assert ran.exit_code == 0, ran.console("a")
    console = ran.console("a")
    assert console[console.index("name=local-1") + 1] == "name=local-2"
    assert not any(Path(folder, "mine").exists() for folder in ("/etc", "/usr", "/srv", "/"))


def test_nodes_do_not_see_each_others_files_and_processes(anybody: Callboard) -> None:
    marks = "/tmp/mark /etc/mark /run/mark /dev/shm/mark /var/tmp/mark"
    writes = f"for file in {marks}; do echo mine > $file; done; sleep 4711 &"
    looks = f"for file in {marks}; do test ! -e $file || exit 1; done; ! pgrep -x sleep"
    ran = anybody.run(
        definition(
            {
                "a": [Test("t", [writes, "lava-sync written", "lava-sync seen"])],
                "b": [Test("t", ["lava-sync written", *cases(alone=looks), "lava-sync seen"])],
            }
        )
    )
    assert ran.exit_code == 0
    assert ran.results("b")["0_t/alone"] == "pass"


def test_an_ordinary_user_writes_to_home_and_working_folder_but_not_to_what_is_roots(
    ordinary: Callboard,
) -> None:
    work = Path("/var/tmp") / ordinary.folder.parent.name / "work"
    work.mkdir(parents=True)
    (work / "file").write_text("as it was")
    os.chown(work, 65534, 65534)
    os.chown(work / "file", 65534, 65534)
    steps = cases(
        own_file=f"echo changed > {work}/file && test $(cat {work}/file) = changed",
        new_file=f"echo new > {work}/new",
        roots_file="echo x >> /etc/passwd",
        roots_folder="touch /usr/bin/new",
        nobody_else="test $(id -u) = 65534",
    )
    try:
        ran = ordinary.run(definition({"a": [Test("t", steps)], "b": []}), cwd=work)
        assert ran.results("a") == {
            "0_t/own-file": "pass",
            "0_t/new-file": "pass",
            "0_t/roots-file": "fail",
            "0_t/roots-folder": "fail",
            "0_t/nobody-else": "pass",
        }
        assert (work / "file").read_text() == "as it was"
        assert not (work / "new").exists()
    finally:
        for path in work.iterdir():
            path.unlink()
        work.rmdir()
        work.parent.rmdir()


MOUNT_MORE = """
mount -t tmpfs none /srv && mkdir /srv/data && echo here > /srv/data/file
mount --bind "$1/single" /etc/issue
mount -t tmpfs -o ro none /opt
shift
"$@"
status=$?
test "$(cat /srv/data/file)" = here && test ! -e /srv/new || exit 97
test "$(cat /etc/issue)" = single || exit 98
exit $status
"""


def test_every_mounted_file_system_is_seen_and_left_as_it_is(callboard: Callboard) -> None:
    (callboard.folder / "single").write_text("single\n")
    prefix = ("unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT_MORE, "-")
    board = Callboard(callboard.folder, callboard.temporary, (*prefix, str(callboard.folder)))
    steps = cases(
        folder="test $(cat /srv/data/file) = here && echo x > /srv/data/file && touch /srv/new",
        file="test $(cat /etc/issue) = single && echo x > /etc/issue",
        read_only="touch /opt/new",
    )
    ran = board.run(definition({"a": [Test("t", steps)], "b": []}))
    assert ran.exit_code == 0, ran.console("a")


MOUNT_CLOSED = """
mount -t tmpfs none /srv && mkdir -m 700 /srv/closed /srv/closed/inner && mkdir -m 755 /srv/open
mount -t tmpfs none /srv/closed/inner
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount what a user can't see")
def test_mounts_that_a_user_can_not_reach_are_no_hindrance(ordinary: Callboard) -> None:
    prefix = ("unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT_CLOSED, "-")
    board = Callboard(ordinary.folder, ordinary.temporary, (*prefix, *ordinary.prefix))
    steps = cases(open="touch /srv/open/x", closed="ls /srv/closed/inner")
    ran = board.run(definition({"a": [Test("t", steps)], "b": []}))
    assert ran.results("a") == {"0_t/open": "pass", "0_t/closed": "fail"}


def test_sockets_elsewhere_are_seen_but_answer_nobody(callboard: Callboard) -> None:
    path = Path(f"/srv/callboard-test-{os.getpid()}.socket")
    reach = f"import socket; socket.socket(socket.AF_UNIX).connect('{path}')"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        try:
            server.listen()
            steps = cases(seen=f"test -S {path}", reached=f'/usr/bin/python3 -c "{reach}"')
            ran = callboard.run(definition({"a": [Test("t", steps)], "b": []}))
        finally:
            path.unlink()
    assert ran.results("a") == {"0_t/seen": "pass", "0_t/reached": "fail"}, ran.console("a")


# Packages

SMALL = "hello"
"""A package of this machine's distribution that nothing else needs."""


def test_nodes_install_a_package_and_leave_no_trace_of_it(callboard: Callboard) -> None:
    assert shutil.which(SMALL) is None
    database = Path("/var/lib/dpkg/status")
    before = database.read_bytes()
    folders = ["/var/lib/dpkg/info", "/var/lib/apt/lists", "/var/cache/apt", "/usr/bin"]
    listed = [sorted(os.listdir(each)) for each in folders]  # noqa: PTH208
    test = Test("t", ["lava-test-case greets --shell hello"], packages=[SMALL])
    ran = callboard.run(definition({"a": [test], "b": [test]}, action_s=120), timeout_s=200)
    assert ran.exit_code == 0, ran.console("a")
    assert ran.results("a") == ran.results("b") == {"0_t/greets": "pass"}
    assert shutil.which(SMALL) is None
    assert database.read_bytes() == before
    assert [sorted(os.listdir(each)) for each in folders] == listed  # noqa: PTH208


def test_an_installation_that_needs_root_names_the_cure(ordinary: Callboard) -> None:
    test = Test("t", ["true"], packages=[SMALL])
    ran = ordinary.run(definition({"a": [test], "b": [Test("calm", ["true"])]}))
    assert ran.exit_code == 3
    assert "run callboard as root" in "".join(ran.console("a"))
    assert ran.jobs("a")[0]["error"]["type"] == "TestError"
    assert ran.suites("b") == {"0_calm": "pass"}


# What a stranger's definition can't do


def _state() -> dict[str, object]:
    """What of the machine the tests here try to change."""
    folders = ["/", "/etc", "/usr", "/usr/bin", "/usr/share", "/var/lib/dpkg", "/dev"]
    return {
        "files": {each: sorted(os.listdir(each)) for each in folders},  # noqa: PTH208
        "times": {each: Path(each).stat().st_mtime_ns for each in folders if each != "/dev"},
        "passwd": Path("/etc/passwd").read_bytes(),
        "null": Path("/dev/null").stat().st_mode,
        "mounts": _mounts(),
        "host name": socket.gethostname(),
        "sysctl": Path("/proc/sys/vm/swappiness").read_text(),
        "clock": abs(time.time() - time.monotonic() - _BOOTED_S) < 5,
    }


_BOOTED_S = time.time() - time.monotonic()

FORBIDDEN = cases(
    mount="mount -t tmpfs none /mnt",
    bind="mount --bind /tmp /mnt",
    remount="mount -o remount,rw /sys",
    unmount="umount /proc/sys",
    device="mknod /tmp/disk b 254 0 || mknod /tmp/mem c 1 1",
    clock="date -s 2001-01-01",
    sysctl="sysctl -w vm.swappiness=7",
    sysctl_file="echo 7 > /proc/sys/vm/swappiness",
    sysrq="test -e /proc/sysrq-trigger && echo b > /proc/sysrq-trigger",
    interrupts="echo 1 > /proc/irq/default_smp_affinity",
    sysfs="echo 1 > /sys/kernel/profiling || echo x > /sys/power/state",
    cgroup="mkdir /sys/fs/cgroup/pids/escape || mkdir /sys/fs/cgroup/escape",
    host_name="hostname changed",
    systemd="systemctl list-units",
    reboot="reboot -f",
    module="modprobe dummy || insmod /tmp/x.ko",
    interface="ip link add dummy0 type dummy",
    firewall="iptables -A INPUT -j DROP || nft add table inet callboard",
    kernel_log="dmesg -C",
    init="ls /proc/1/root || cat /proc/1/environ || ls -l /proc/1/exe",
    trace="strace -p 1 || gdb -p 1 -batch",
    cgroup_namespace="unshare -UrmC sh -c 'mount -t cgroup2 none /mnt && mkdir /mnt/callboard-x'",
    packets='/usr/bin/python3 -c "import socket; socket.socket(socket.AF_PACKET, 3)"',
    old_packets='/usr/bin/python3 -c "import socket; socket.socket(socket.AF_INET, 10)"',
    raw_disk="ls /dev/vda || ls /dev/sda || ls /dev/mem || ls /dev/kvm",
)


def test_what_would_change_the_machine_is_refused(anybody: Callboard) -> None:
    before = _state()
    ran = anybody.run(definition({"a": [Test("t", [*FORBIDDEN, *CALM.steps])], "b": [CALM]}))
    results = ran.results("a")
    allowed = {name for name, result in results.items() if result == "pass"}
    assert allowed == {"0_t/fine", "0_t/multinode-sync-both"}, ran.console("a")
    assert len(results) == len(FORBIDDEN) + 2
    assert ran.results("b")["0_calm/fine"] == "pass"
    assert _state() == before


ADD_KEY = (
    "import ctypes, os; os._exit(ctypes.CDLL(None).syscall({}, b'user', b'x', b'x', 1, -4) < 0)"
)


@pytest.mark.skipif(os.geteuid() != 0, reason="a user's keys are in the node's own namespace")
def test_roots_node_can_not_reach_keys_and_make_users_but_has_threads(
    callboard: Callboard,
) -> None:
    number = {"x86_64": 248}.get(os.uname().machine, 217)
    thread = "import threading; t = threading.Thread(target=print); t.start(); t.join()"
    steps = cases(
        key=f'/usr/bin/python3 -c "{ADD_KEY.format(number)}"',
        user_namespace="unshare --user true",
        mount_namespace="unshare --mount true",
        thread=f'/usr/bin/python3 -c "{thread}"',
        stop="kill -INT 1; kill -TERM 1; kill -STOP 1; kill -KILL 1; true",
    )
    ran = callboard.run(definition({"a": [Test("t", steps)], "b": []}))
    assert ran.results("a") == {
        "0_t/key": "fail",
        "0_t/user-namespace": "fail",
        "0_t/mount-namespace": "fail",
        "0_t/thread": "pass",
        "0_t/stop": "pass",
    }


@pytest.mark.parametrize(
    "step",
    [
        "rm -rf --no-preserve-root /etc /usr /var /home /root /opt",
        "chmod -R 0 /dev /etc",
        "for pid in $(ls /proc | grep '^[0-9]'); do rm -rf /proc/$pid/root/etc; done",
        "find / -xdev -type f -name 'a*' -exec sh -c 'for each; do : >$each; done' sh '{}' +",
    ],
    ids=["delete", "chmod", "through proc", "truncate"],
)
def test_destroying_a_node_leaves_the_machine_and_other_nodes_as_they_were(
    anybody: Callboard, step: str
) -> None:
    before = _state()
    # What can't be destroyed is not listed: that alone would be a flood of the console.
    test = Test("t", ["lava-sync both", f"{step} 2> /dev/null || true", "echo still here"])
    later = Test("later", ["sleep 1", "cat /etc/passwd", "ls /usr/bin/env"])
    ran = anybody.run(definition({"a": [test], "b": [CALM, later]}, action_s=40))
    assert "still here" in ran.console("a")
    assert ran.suites("b") == {"0_calm": "pass", "1_later": "pass"}
    assert _state() == before


def test_killing_everything_kills_one_node(anybody: Callboard) -> None:
    test = Test("t", ["lava-sync both", "kill -9 -1; sleep 60"])
    ran = anybody.run(definition({"a": [test], "b": [CALM]}))
    assert ran.exit_code == 3
    assert ran.jobs("a")[0]["error"]["type"] == "InfrastructureError"
    assert ran.jobs("b")[0]["health"] == "complete"


def test_a_fork_bomb_fills_only_its_node(anybody: Callboard) -> None:
    bomb = "bash -c 'bomb() { bomb | bomb & }; bomb' 2> /dev/null; sleep 2; lava-sync over"
    forks = "for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true || exit 1; sleep 0.1; done"
    ran = anybody.run(
        definition(
            {
                "a": [Test("t", ["lava-sync both", bomb])],
                "b": [CALM, Test("more", [forks])],
            },
            limit_s=3,
            action_s=12,
        ),
        *devices(anybody, processes=100),
    )
    assert ran.suites("b") == {"0_calm": "pass", "1_more": "pass"}
    assert ran.jobs("b")[0]["health"] == "complete"


def test_a_full_disk_is_full_for_one_node_only(anybody: Callboard) -> None:
    steps = [
        *cases(
            fill="dd if=/dev/zero of=/var/tmp/fill bs=1M count=64",
            fill_tmp="dd if=/dev/zero of=/tmp/fill bs=1M count=64",
            full="rm /var/tmp/fill /tmp/fill && echo x > /tmp/x",
        ),
        "lava-sync both",
    ]
    ran = anybody.run(
        definition({"a": [Test("t", steps)], "b": [CALM]}), *devices(anybody, disk_mib=16)
    )
    assert ran.results("a") == {
        "0_t/fill": "fail",
        "0_t/fill-tmp": "fail",
        "0_t/full": "pass",
        "0_t/multinode-sync-both": "pass",
    }
    assert any("No space left on device" in line for line in ran.console("a"))
    assert ran.results("b")["0_calm/fine"] == "pass"


def test_memory_is_limited_for_each_node(anybody: Callboard) -> None:
    eat = "head -c 400M /dev/zero | tail > /dev/null"
    ran = anybody.run(
        definition({"a": [Test("t", cases(eat=eat))], "b": [Test("calm", ["true"])]}),
        *devices(anybody, memory_mib=100),
    )
    assert ran.results("a") == {"0_t/eat": "fail"}
    assert ran.suites("b") == {"0_calm": "pass"}


def test_sockets_in_run_are_out_of_reach(callboard: Callboard) -> None:
    path = Path(f"/run/callboard-test-{os.getpid()}.socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        try:
            server.listen()
            ran = callboard.run(
                definition({"a": [Test("t", cases(there=f"test -e {path}"))], "b": []})
            )
        finally:
            path.unlink()
    assert ran.results("a") == {"0_t/there": "fail"}


# Callboard is killed


@pytest.mark.parametrize("events", [1, 8, 30, 60, 90])
def test_nothing_is_left_of_a_callboard_that_is_killed(anybody: Callboard, events: int) -> None:
    steps = ["setsid sh -c 'trap \"\" HUP TERM; sleep 4711' &", "echo x > /etc/left", "sleep 600"]
    path = anybody.write(definition({"a": [Test("t", steps)], "b": [Test("t", steps)]}))
    mounts, cgroups = _mounts(), _cgroups()
    process = anybody.start("run", str(path), "--json", "-o", str(anybody.folder / "run"))
    log = anybody.folder / "run/events.jsonl"
    deadline_s = time.monotonic() + 30
    while not log.exists() or log.read_text().count("\n") < events:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        select.select([], [], [], 0.002)  # the log is a file: there is no event to wait for
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    while list(anybody.processes()):
        assert time.monotonic() < deadline_s, "processes are left"
        select.select([], [], [], 0.01)  # processes of others: there is no event to wait for
    assert _mounts() == mounts
    assert not Path("/etc/left").exists()
    while _cgroups() - cgroups:
        assert time.monotonic() < deadline_s, "cgroups are left"
        select.select([], [], [], 0.01)  # those of another test may just be made or removed


def test_a_holder_that_is_killed_ends_its_nodes_and_the_run(callboard: Callboard) -> None:
    path = callboard.write(definition({"a": [Test("t", ["echo up", "sleep 600"])], "b": []}))
    process = callboard.start("run", str(path), "--json", "-o", str(callboard.folder / "run"))
    _wait_for_text(callboard, process, '"text":"up"')
    os.kill(_holder(callboard), signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 3, (stdout, stderr)
    assert "Traceback" not in stderr


def _wait_for_text(callboard: Callboard, process: "subprocess.Popen[str]", text: str) -> None:
    """Wait until a run has recorded a text."""
    log = callboard.folder / "run/events.jsonl"
    deadline_s = time.monotonic() + 30
    while not log.exists() or text not in log.read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        select.select([], [], [], 0.01)  # the log is a file: there is no event to wait for


def _holder(callboard: Callboard) -> int:
    (holder,) = (
        pid
        for pid in callboard.processes()
        if b"sandbox.holder" in Path(f"/proc/{pid}/cmdline").read_bytes()
        and Path(f"/proc/{pid}/ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
    )
    return holder


def test_a_holder_that_hangs_does_not_keep_a_run_from_ending(callboard: Callboard) -> None:
    """Its nodes are killed with it; this takes as long as callboard waits for its end."""
    path = callboard.write(definition({"a": [Test("t", ["echo up", "sleep 600"])], "b": []}))
    process = callboard.start("run", str(path), "--json", "-o", str(callboard.folder / "run"))
    _wait_for_text(callboard, process, '"text":"up"')
    os.kill(_holder(callboard), signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, (stdout, stderr)


def _mounts() -> list[str]:
    """What is mounted, but for what other tests have in their folders at the same time."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [each for each in lines if "/pytest-of-" not in each]


def _cgroups() -> set[str]:
    """Cgroups of runs that have ended; those of other tests that are running are locked."""
    import fcntl

    left = set[str]()
    # Not `rglob`, which fails where a cgroup is removed while it looks.
    for folder in (Path(at) for at, _, _ in os.walk("/sys/fs/cgroup")):
        if not folder.name.startswith("callboard-"):
            continue
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.add(str(folder))
            finally:
                os.close(lock)
    return left


# Machines without namespaces, and runs that want none


def test_without_namespaces_nothing_is_started_and_the_cure_is_named(
    ordinary: Callboard,
) -> None:
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    inside = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", forbid, "-"]
    board = Callboard(ordinary.folder, ordinary.temporary, (*ordinary.prefix, *inside))
    ran = board.run(definition({"a": [Test("t", ["true"])], "b": []}))
    assert ran.exit_code == 2
    assert [each["code"] for each in ran.document["diagnostics"]] == ["CB100"]
    assert "sysctl -w user.max_user_namespaces" in ran.document["diagnostics"][0]["hint"]
    assert not ran.directory.exists()
    ran = board.run(definition({"a": [Test("t", ["true"])], "b": []}), "--no-sandbox")
    assert ran.exit_code == 0


def test_no_sandbox_warns_once_and_changes_the_machine(callboard: Callboard) -> None:
    mark = callboard.folder / "mark"
    ran = callboard.run(definition({"a": [Test("t", [f"touch {mark}"])], "b": []}), "--no-sandbox")
    assert ran.exit_code == 0
    assert ran.stderr.count("--no-sandbox") == 1
    assert mark.exists()


def test_the_log_tells_what_every_node_of_many_said(anybody: Callboard) -> None:
    ran = anybody.run(definition({"a": [Test("t", ["hostname"])], "b": []}, counts={"a": 20}))
    assert ran.exit_code == 0
    assert len(ran.events(JobStarted)) == 21
    bodies = [each.body for each in ran.events(ConsoleOutput)]
    printed = {body.text for body in bodies if isinstance(body, ConsoleOutput)}
    assert {f"local-{number}" for number in range(1, 21)} <= printed
