"""LXC's tools: what they may be told, and what is made of what they say."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict, evolve
from hypothesis import example, given
from hypothesis import strategies as st
from tests.actors.drivers.faketools import FakeTools, fake_tools

from callboard.actors.drivers.lxc.bases import Bases
from callboard.actors.drivers.lxc.container import LxcContainer
from callboard.actors.drivers.lxc.name import ContainerName, base_name
from callboard.actors.drivers.lxc.order import Order, order_of, order_of_device
from callboard.actors.drivers.lxc.recipe import Recipe, read_recipe
from callboard.actors.drivers.lxc.reclaim import reclaim
from callboard.actors.drivers.lxc.removal import remove
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.errors import InfrastructureError, JobError
from callboard.definition.lxc_devices import LxcDevice
from callboard.definition.model import LxcContainer as Described
from callboard.definition.model import Place

pytestmark = pytest.mark.asyncio

WEB = ContainerName("web-1")
HOSTILE = [
    "",
    ".",
    "..",
    "/",
    "a/b",
    "../a",
    "-n",
    "--help",
    "a b",
    "a\n",
    "a\0",
    "a.b",
    "é",
    "$(reboot)",
    "a;b",
    "*",
    "base.",
    "base.0123456789abcdef/",
    "base.0123456789ABCDEF",
    "x" * 64,
    "x" * 200,
]
_ALLOWED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_START = "lxc-start web-1 20261126155927.251 ERROR    start - ../src/lxc/start.c:__lxc_start:21 - "


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    return fake_tools(tmp_path, monkeypatch)


@pytest.fixture
def tools(fakes: FakeTools) -> Tools:
    made = Tools(Store(fakes.store))
    made.store.prepare()
    return made


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_other_name_than_a_harmless_one_can_be_made(text: str) -> None:
    with pytest.raises(ValueError, match="a container can't be called"):
        ContainerName(text)
    described = Described(None, text, "debian", "12", Place("f", 1, 1), "busybox", persist=True)
    with pytest.raises(ValueError, match="a container can't be called"):
        order_of(described, "run", 1)


@given(st.text())
@example("a" * 63)
async def test_a_name_has_nothing_but_letters_digits_and_two_signs(text: str) -> None:
    try:
        name = ContainerName(text)
    except ValueError:
        return
    assert name.is_base or (set(text) <= set(_ALLOWED) and 0 < len(text) < 64)
    assert text[0] not in "-_."


@given(st.text(max_size=80))
async def test_whatever_a_device_is_called_its_container_has_a_harmless_name(device: str) -> None:
    order = order_of_device(device, LxcDevice(template="busybox"), "run", 7)
    assert order.name.text.endswith("-7")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("release", "../../etc"),
        ("release", "a b"),
        ("distribution", "$(reboot)"),
        ("arch", "-x"),
        ("mirror", "file:///etc"),
        ("mirror", "http://x/'; reboot"),
        ("security_mirror", "http://x/\nhttp://y"),
    ],
)
async def test_a_template_is_told_nothing_that_is_not_a_word_or_an_address(
    key: str, text: str
) -> None:
    recipe = Recipe("debian", "debian", "stable", "amd64", "http://m/", "http://s/")
    assert read_recipe(recipe.document()) == recipe
    assert read_recipe(json.dumps({**asdict(recipe), key: text})) is None
    described = Described(None, "web", "debian", "stable", Place("f", 1, 1), "debian")
    changed: dict[str, Any] = {key: text, "template": "download"}
    if key in ("release", "distribution", "arch"):
        with pytest.raises(ValueError, match="of a container can't be"):
            order_of(evolve(described, **changed), "run", 1)


async def test_a_template_is_told_what_lava_tells_it() -> None:
    debian = Recipe("debian", "debian", "bookworm", "amd64", "http://m/debian", "http://s/debian")
    assert debian.arguments() == [
        *("--release", "bookworm", "--mirror", "http://m/debian"),
        *("--security-mirror", "http://s/debian", "--packages", "systemd,systemd-sysv"),
        *("--arch", "amd64"),
    ]
    download = Recipe("download", "alpine", "3.20")
    assert download.arguments() == ["--dist", "alpine", "--release", "3.20"]
    assert Recipe("busybox").arguments() == []


async def test_every_tool_gets_the_same_folder_and_the_name(fakes: FakeTools, tools: Tools) -> None:
    base = base_name("0" * 16)
    await tools.create(base, "busybox", [], _unsaid)
    await tools.clone(base, WEB)
    await tools.start(WEB)
    await tools.stop(WEB)
    await tools.destroy(WEB)
    assert await tools.state(WEB) is None
    folder = f"-P {fakes.store} -n"
    calls = [line.partition(" -l ERROR")[0] for line in fakes.calls()]
    assert calls == [
        f"lxc-create {folder} {base} -t busybox",
        f"lxc-copy {folder} {base} -N web-1 -s -B overlay",
        f"lxc-start {folder} web-1",
        f"lxc-stop {folder} web-1 -k",
        f"lxc-destroy {folder} web-1 -f",
        f"lxc-info {folder} web-1 -sH",
    ]


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        ("Invalid release nosuch (not found in mirror)", JobError, "mirror has no release nosuch"),
        ("ERROR: Couldn't find a matching image", JobError, "no image of that distribution"),
        (
            "ERROR: Failed to download https://images.example//meta",
            InfrastructureError,
            "the image server can't be reached (https://images.example//meta)",
        ),
        (
            "lxc-create: w: ../src/lxc/utils.c: get_template_path: 900 bad template: nosuch",
            InfrastructureError,
            "the template is not installed; install the packages lxc and lxc-templates",
        ),
        ("tar: write error: No space left on device", InfrastructureError, "the disk is full"),
        (
            "E: Failed getting release file http://m/Release",
            InfrastructureError,
            "the mirror doesn't answer (http://m/Release)",
        ),
        ("something else", JobError, "something else"),
        ("", JobError, "the tool doesn't say why"),
        ("\x1b[2J\x07\x00 weird \x1b]0;x", JobError, "weird"),
    ],
)
async def test_a_creation_that_fails_says_whose_fault_it_is(
    fakes: FakeTools, tools: Tools, said: str, error: type[Exception], text: str
) -> None:
    (fakes.folder / "said").write_text(said)
    fakes.script("lxc-create", f'cat "{fakes.folder}/said"; exit 1')
    with pytest.raises(error) as raised:
        await tools.create(WEB, "debian", [], _unsaid)
    assert str(raised.value).startswith("lxc container 'web-1' can't be created")
    assert text in str(raised.value)
    assert "\x1b" not in str(raised.value)


async def test_the_creation_of_a_base_that_fails_says_what_it_was_to_be(
    fakes: FakeTools, tools: Tools
) -> None:
    fakes.script("lxc-create", "echo Invalid release nosuch, not there; exit 1")
    made = LxcContainer(tools, Order(WEB, Recipe("download", "debian", "nosuch"), "run", 1))
    wanted = "^an lxc container of debian nosuch can't be created: the mirror has no release nosuch"
    with pytest.raises(JobError, match=wanted):
        await made.create([])
    await made.remove()


async def test_a_mount_that_does_not_exist_is_told_from_other_failures(
    fakes: FakeTools, tools: Tools
) -> None:
    mount = 'No such file or directory - Failed to mount "/srv/none" onto "/usr/lib/lxc/rootfs/x"'
    fakes.script("lxc-start", f"echo '{mount}' >&2; exit 1")
    with pytest.raises(InfrastructureError, match="the devices file mounts /srv/none, and there"):
        await tools.start(WEB)


async def test_a_copy_that_fails_in_silence_says_what_stands_in_its_log(
    fakes: FakeTools, tools: Tools
) -> None:
    log = 'while [ "$1" != -o ]; do shift; done; echo "$LINE" > "$2"; exit 1'
    line = _START.replace("lxc-start", "lxc-copy") + "Container base is not defined"
    fakes.script("lxc-copy", f"LINE='{line}'; {log}")
    with pytest.raises(InfrastructureError, match=r"can't be made of base\.0+: Container base is"):
        await tools.clone(base_name("0" * 16), WEB)
    fakes.script("lxc-copy", "exit 1")
    with pytest.raises(InfrastructureError, match="the tool doesn't say why"):
        await tools.clone(base_name("0" * 16), WEB)


async def test_a_start_that_fails_says_the_first_reason_of_its_log(
    fakes: FakeTools, tools: Tools
) -> None:
    lines = [f"{_START}Failed to mount x", f'{_START}Failed to setup container "web-1"']
    (fakes.folder / "lines").write_text("\n".join(lines))
    body = 'while [ "$1" != -o ]; do shift; done; cat "${0%/*}/lines" > "$2"; exit 1'
    fakes.script("lxc-start", body)
    with pytest.raises(InfrastructureError, match=r"can't be started: Failed to mount x$"):
        await tools.start(WEB)


async def test_a_start_that_succeeds_with_errors_in_its_log_has_succeeded(
    fakes: FakeTools, tools: Tools
) -> None:
    fakes.script("lxc-start", "echo 'Container is already running' >&2; exit 0")
    await tools.start(WEB)


async def test_a_tool_that_floods_its_output_is_cut_short(fakes: FakeTools, tools: Tools) -> None:
    fakes.script("lxc-create", "head -c 20000000 /dev/zero; echo; exit 1")
    with pytest.raises(JobError) as raised:
        await tools.create(WEB, "debian", [], _unsaid)
    assert len(str(raised.value)) < 1_000


async def test_stopping_what_does_not_run_is_fine(fakes: FakeTools, tools: Tools) -> None:
    fakes.script("lxc-stop", "echo 'web-1 is not running' >&2; exit 2")
    await tools.stop(WEB)
    fakes.script("lxc-stop", "echo 'no permission' >&2; exit 1")
    with pytest.raises(InfrastructureError, match="'web-1' can't be stopped: no permission"):
        await tools.stop(WEB)


async def test_a_tool_that_is_missing_is_an_error_of_this_machine(
    fakes: FakeTools, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    for script in fakes.folder.glob("lxc-*"):
        script.unlink()
    monkeypatch.setenv("PATH", str(fakes.folder))
    with pytest.raises(FileNotFoundError):
        await tools.start(WEB)


async def test_a_removal_goes_on_after_a_step_that_fails(fakes: FakeTools, tools: Tools) -> None:
    path = tools.store.path(WEB)
    path.mkdir()
    fakes.script("lxc-stop", "exit 1")
    once = f'[ -e "{fakes.folder}/once" ] || {{ : > "{fakes.folder}/once"; exit 1; }}'
    fakes.script("lxc-destroy", f'{once}; rmdir "{path}"')
    said: list[str] = []
    await remove(tools, WEB, said.append)
    assert not path.exists()
    assert len(fakes.calls("lxc-destroy")) == 2
    assert [line.partition(",")[0] for line in said] == [
        "lxc container 'web-1' can't be stopped",
        "lxc container 'web-1' can't be destroyed",
    ]


async def test_what_the_tools_can_not_remove_is_removed_without_them(
    fakes: FakeTools, tools: Tools
) -> None:
    store = tools.store
    base = base_name("0" * 16)
    for name in (base, WEB):
        (store.path(name) / "rootfs").mkdir(parents=True)
    lower, upper = store.path(base) / "rootfs", store.path(WEB) / "overlay/delta"
    store.configuration(WEB).write_text(f"lxc.rootfs.path = overlay:{lower}:{upper}\n")
    snapshots = store.path(base) / "lxc_snapshots"
    snapshots.write_text(f"{store.folder}\nother\n{store.folder}\nweb-1\n")
    fakes.script("lxc-destroy", "exit 1")
    said: list[str] = []
    await remove(tools, WEB, said.append)
    assert not store.path(WEB).exists()
    assert snapshots.read_text() == f"{store.folder}\nother\n", "its base can be destroyed later"
    assert said[-1] == "lxc container 'web-1' is removed without LXC's tools"


async def test_a_folder_that_is_a_link_is_not_followed(fakes: FakeTools, tools: Tools) -> None:
    outside = fakes.folder / "outside"
    outside.mkdir()
    (outside / "file").touch()
    tools.store.path(WEB).symlink_to(outside)
    fakes.script("lxc-destroy", "exit 1")
    await remove(tools, WEB, _unsaid)
    assert (outside / "file").exists()


async def test_what_can_not_be_looked_at_is_left_and_the_rest_is_cleaned_up(
    fakes: FakeTools, tools: Tools
) -> None:
    store = tools.store
    fakes.script("lxc-destroy", f'rm -r "{store.folder}/$4"')
    for name in ("a", "b", "web-1"):
        store.path(ContainerName(name)).mkdir()
        store.configuration(ContainerName(name)).write_text(
            "lxc.group = callboard\nlxc.group = job-1\nlxc.group = since-1\n"
        )
    store.lock(ContainerName("a")).mkdir()
    store.configuration(WEB).unlink()
    store.configuration(WEB).symlink_to("config")  # as unreadable as on a broken disk
    store.lock(WEB).write_text("one that was killed\n0\n")
    said: list[str] = []
    done = await reclaim(tools, said.append)
    assert (done.removed, done.left) == (["b"], ["a", "web-1"])
    assert store.path(WEB).exists()
    assert [line.split(":")[0] for line in sorted(said)] == [
        "lxc container 'a' can't be cleaned up",
        "lxc container 'web-1' can't be cleaned up",
    ]


async def test_a_persistent_container_that_can_not_be_looked_at_is_not_made_anew(
    fakes: FakeTools, tools: Tools
) -> None:
    store = tools.store
    store.path(WEB).mkdir()
    store.configuration(WEB).symlink_to("config")
    container = LxcContainer(tools, Order(WEB, Recipe("busybox"), "run", 1, persistent=True))
    with pytest.raises(InfrastructureError, match="'web-1' can't be created"):
        await container.create([])
    await container.remove()
    assert fakes.calls("lxc-destroy") == []
    assert store.locked_names() == []


async def test_a_folder_in_which_callboard_keeps_nothing_is_not_touched(fakes: FakeTools) -> None:
    store = Store(fakes.folder / "other")
    (store.folder / "web").mkdir(parents=True)
    done = await reclaim(Tools(store), _unsaid)
    assert (done.removed, done.left) == ([], [])
    assert [path.name for path in store.folder.iterdir()] == ["web"]


async def test_a_base_is_used_as_long_as_a_clone_says_so(fakes: FakeTools, tools: Tools) -> None:
    store = tools.store
    base = base_name("0" * 16)
    for name in (base, WEB):
        store.path(name).mkdir()
    (store.path(base) / "ready").write_text(Recipe("busybox").document())
    lower, upper = store.path(base) / "rootfs", store.path(WEB) / "overlay/delta"
    store.configuration(WEB).write_text(f"lxc.rootfs.path = overlay:{lower}:{upper}\n")
    assert (await reclaim(tools, _unsaid, bases=True)).bases == []
    assert fakes.calls() == []


async def test_whoever_fails_to_make_a_container_gives_its_name_back(
    fakes: FakeTools, tools: Tools
) -> None:
    fakes.script("lxc-create", "echo 'tar: No space left on device'; exit 1")
    container = LxcContainer(tools, Order(WEB, Recipe("busybox"), "run", 1))
    with pytest.raises(InfrastructureError, match="the disk is full"):
        await container.create([])
    await container.remove()
    assert [name.text for name in tools.store.locked_names() if not name.is_base] == []


async def test_what_a_template_prints_is_said_only_if_that_is_wanted(
    fakes: FakeTools, tools: Tools
) -> None:
    fakes.script("lxc-create", "echo detail; exit 1")
    for verbose in (False, True):
        said: list[str] = []
        with pytest.raises(JobError):
            async with Bases(tools, {}).use(Recipe("busybox"), said.append, verbose=verbose):
                pass
        assert ("detail" in said) == verbose


def _unsaid(_line: str) -> None:
    """Not for anybody."""
