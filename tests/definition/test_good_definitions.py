"""Good definitions, part by part."""

import re
from pathlib import Path

import pytest

from callboard.definition import Definition, Place, load, read, read_text
from callboard.definition.model import (
    GitRepo,
    Image,
    LxcContainer,
    Role,
    Step,
    Timeouts,
    VlanInterface,
    Xnbd,
)

GOOD = Path(__file__).parent / "good"


def good(name: str) -> Definition:
    return load(GOOD / f"{name}.yaml")


def at(name: str, line: int, column: int) -> Place:
    return Place(str(GOOD / f"{name}.yaml"), line, column)


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_good_definition_has_no_diagnostics(path: Path) -> None:
    definition, diagnostics = read(path)
    assert definition is not None
    assert diagnostics == ()
    assert definition.text == path.read_text()
    assert definition.file == str(path)


def test_the_examples_of_the_documentation_have_no_diagnostics() -> None:
    page = Path(__file__).parents[2] / "docs/multinode.md"
    examples = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert examples
    assert [read_text(example)[1] for example in examples] == [()] * len(examples)


def test_the_job_of_two_roles() -> None:
    definition = good("two-roles")
    assert definition.multinode
    assert definition.job_name == "two-roles"
    assert definition.device_type is None
    assert definition.priority == 50
    assert definition.visibility == "public"
    assert definition.group_timeout_s == 300
    assert definition.timeouts == Timeouts(
        job_s=1200, action_s=240, connection_s=120, actions_s={"multinode-test": 480}
    )
    assert definition.roles == (
        Role(
            name="server",
            count=1,
            place=at("two-roles", 8, 7),
            device_type="qemu",
            context={"arch": "amd64"},
            essential=True,
        ),
        Role(
            name="client",
            count=2,
            place=at("two-roles", 9, 7),
            device_type="qemu",
            context={"arch": "amd64"},
        ),
    )
    assert definition.role("client") is definition.roles[1]
    with pytest.raises(KeyError):
        definition.role("clint")


def test_the_blocks_of_two_roles() -> None:
    deploy, boot, serve, use = good("two-roles").blocks
    assert (deploy.kind, deploy.method, deploy.os) == ("deploy", "tmpfs", "debian")
    assert deploy.roles == ("server", "client")
    assert deploy.images == (Image("rootfs", "http://files.example/r.img.gz", "gz"),)
    assert deploy.place == at("two-roles", 12, 3)
    assert deploy.parameters["role"] == ["server", "client"]
    assert (boot.kind, boot.method, boot.prompts) == ("boot", "qemu", ("root@x:",))
    assert (serve.kind, serve.method, serve.test_kind) == ("test", "", "shell")
    assert use.roles == ("client",)
    (source,) = use.definitions
    assert (source.name, source.origin, source.path) == ("use", "inline", "inline/use.yaml")
    assert source.inline is not None
    assert [step.text for step in source.inline.run] == ["lava-wait ready", "lava-sync done"]


def test_the_inline_definition_of_the_containers() -> None:
    (source,) = good("containers").blocks[3].definitions
    assert source.signal == "kmsg"
    assert source.expected == ("one", "two")
    assert source.skip_install == {"deps"}
    inline = source.inline
    assert inline is not None
    assert inline.name == "check"
    assert inline.metadata["os"] == ["debian"]
    assert inline.parameters == (("A", "1"), ("B", "two"), ("C", ""), ("B", "three"))
    assert inline.expected == ("one",)
    install = inline.install
    assert install.deps == {"": ("curl",), "debian": ("jq",)}
    assert install.git_repos == (GitRepo("https://git.example/x.git", "x"),)
    assert install.keys == ("0xDEAD",)
    assert install.sources == ("deb http://deb.example stable main",)
    assert [step.text for step in install.steps] == ["true"]
    assert inline.text.startswith("metadata:\n  format: Lava-Test Test Definition 1.0\n")


def test_a_step_knows_where_its_text_begins() -> None:
    inline = good("containers").blocks[3].definitions[0].inline
    assert inline is not None
    assert inline.run == (
        Step("echo one\necho two\n", at("containers", 69, 13)),
        Step("echo 'a: b'", at("containers", 71, 14)),
        Step("lava-sync ready", at("containers", 72, 13)),
    )


def test_sources_outside_of_the_file() -> None:
    git, url, _ = good("ssh-guests").blocks[5].definitions
    assert (git.origin, git.repository, git.path) == (
        "git",
        "https://git.example/tests.git",
        "smoke.yaml",
    )
    assert git.options == {"branch": "main"}
    assert git.inline is None
    assert (url.origin, url.options) == ("url", {"compression": "xz"})
    (smoke,) = good("containers").blocks[4].definitions
    assert smoke.parameters == (("X", "1"), ("Y", "2"))
    assert smoke.expected is None


def test_namespaces_and_retries() -> None:
    definition = good("containers")
    deploy, boot, board, check, smoke = definition.blocks
    assert [block.namespace for block in definition.blocks] == [
        "box",
        "box",
        "device",
        "box",
        "device",
    ]
    assert (deploy.timeout_s, deploy.failure_retry, boot.failure_retry) == (540, 3, 3)
    assert board.connection_namespace is None
    assert smoke.connection_namespace == "box"
    assert check.timeout_s == 300


def test_containers() -> None:
    board, helper = good("containers").containers
    assert board == LxcContainer(
        role="board",
        name="lxc-board",
        distribution="debian",
        release="bookworm",
        template="debian",
        mirror="http://deb.example/debian",
        place=at("containers", 15, 12),
    )
    assert (helper.role, helper.template, helper.arch) == ("helper", "download", "amd64")
    assert (helper.verbose, helper.persist) == (True, False)
    (alone,) = good("single").containers
    assert (alone.role, alone.persist) == (None, True)


def test_what_is_only_copied() -> None:
    definition = good("containers")
    assert definition.visibility == ("kernel",)
    assert definition.priority == 70
    assert definition.timeouts.queue_s == 86_400
    assert definition.secrets == {"TOKEN": "hunter2-and-more"}
    assert definition.metadata == {"suite": ["a", "b"], "build": 12}
    assert definition.notify == {"criteria": {"status": "finished"}}
    assert not definition.reboot_to_fastboot
    board = definition.role("board")
    assert (board.tags, board.environment) == (("usb",), {"LEVEL": 1, "DEBUG": True})


def test_vlans() -> None:
    assert good("vlans").vlans == (
        VlanInterface("client", "vlan_one", ("RJ45", "10M"), at("vlans", 11, 14)),
        VlanInterface("server", "vlan_one", ("RJ45", "100M"), at("vlans", 12, 14)),
        VlanInterface("server", "vlan_two", (), at("vlans", 12, 46)),
    )


def test_calls() -> None:
    guests = good("ssh-guests")
    (call,) = guests.blocks[1].calls
    assert (call.protocol, call.action, call.request) == (
        "lava-multinode",
        "prepare-scp-overlay",
        "lava-wait",
    )
    assert (call.message_id, call.message, call.timeout_s) == ("addr", {"ipaddr": "$ipaddr"}, 300)
    sync, lxc = good("containers").blocks[2].calls
    assert (sync.message_id, sync.message, sync.timeout_s) == ("flashed", None, None)
    assert (lxc.protocol, lxc.request, lxc.timeout_s) == ("lava-lxc", "pre-os-command", 20)
    (vlan,) = good("vlans").blocks[0].calls
    assert (vlan.protocol, vlan.request) == ("lava-vland", "deploy_vlans")


def test_guests() -> None:
    guest = good("ssh-guests").role("guest")
    assert (guest.device_type, guest.connection, guest.host_role) == (None, "ssh", "host")
    assert (guest.request, guest.expect_role, guest.timeout_s) == ("lava-start", "host", 900)


def test_a_job_for_one_device() -> None:
    definition = good("single")
    assert not definition.multinode
    assert (definition.device_type, definition.priority) == ("qemu", 0)
    assert (definition.context, definition.environment) == ({"arch": "amd64"}, {"A": "b"})
    assert definition.tags == ("kvm",)
    assert definition.xnbd == Xnbd(at("single", 12, 14), None, 30)
    _, boot, command, test, interactive, monitors = definition.blocks
    assert boot.prompts == ("root@x:",)
    assert (command.kind, command.method) == ("command", "usb-hub-on")
    assert (test.timeout_s, test.timeout_skip) == (120, True)
    assert (interactive.test_kind, monitors.test_kind) == ("interactive", "monitors")


def test_secrets_and_texts_are_not_in_the_representation() -> None:
    assert "hunter2" not in repr(good("containers"))


def test_a_call_may_be_a_map_a_scalar_message_and_a_number_of_seconds() -> None:
    text = (GOOD / "two-roles.yaml").read_text()
    call = "{action: lava-overlay, request: lava-send, messageID: x, message: hi, timeout: 7}"
    definition, diagnostics = read_text(
        text.replace(
            "    to: tmpfs", f"    to: tmpfs\n    protocols: {{lava-multinode: {call}}}", 1
        )
    )
    assert [diagnostic.code for diagnostic in diagnostics] == ["CB080"]
    assert definition is not None
    (sent,) = definition.blocks[0].calls
    assert (sent.message, sent.timeout_s) == ({"hi": None}, 7)
