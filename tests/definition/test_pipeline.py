"""The pipelines of node jobs: names, levels, limits and calls."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from callboard.definition import (
    Definition,
    NodeJob,
    PipelineAction,
    load,
    pipeline,
    read_text,
    split,
)
from callboard.definition.model import Image

GOOD = Path(__file__).parent / "good"


def walk(actions: tuple[PipelineAction, ...]) -> Iterator[PipelineAction]:
    for action in actions:
        yield action
        yield from walk(action.children)


def outline(job: NodeJob, *, ssh: bool = False) -> str:
    """One line an action: level, name, and R for a retry action."""
    return "".join(
        f"{action.level} {action.name}{' R' if action.retry else ''}\n"
        for action in walk(pipeline(job, ssh=ssh))
    )


def job_of(name: str, role: str) -> NodeJob:
    jobs = split(load(GOOD / f"{name}.yaml"), first_id=1, group="g")
    return next(job for job in jobs if job.role is None or job.role.name == role)


def single(*blocks: str, timeouts: str = "job: {minutes: 60}") -> NodeJob:
    """A job for one device with these blocks."""
    actions = "\n".join(f"- {block}" for block in blocks)
    definition, diagnostics = read_text(
        f"job_name: x\ndevice_type: qemu\nvisibility: public\ntimeouts: {{{timeouts}}}\n"
        "protocols: {lava-lxc: {name: b, distribution: debian, release: x}}\n"
        f"actions:\n{actions}"
    )
    assert isinstance(definition, Definition), diagnostics
    return split(definition, first_id=1, group="g")[0]


def shell(name: str = "smoke", extra: str = "") -> str:
    source = f"from: git, name: {name}, path: x, repository: y"
    return f"test: {{definitions: [{{{source}}}]{extra}}}"


def actions(job: NodeJob) -> dict[str, PipelineAction]:
    """The job's actions by name; of several the last."""
    return {action.name: action for action in walk(pipeline(job))}


def test_a_node_of_two_roles() -> None:
    assert (
        outline(job_of("two-roles", "client"))
        == """\
1 deployimages
1.1 lava-overlay
1.1.1 lava-vland-overlay
1.1.2 lava-multinode-overlay
1.1.3 test-definition
1.1.3.1 inline-repo-action
1.1.3.2 test-overlay
1.1.3.3 test-install-overlay
1.1.3.4 test-runscript-overlay
1.1.4 compress-overlay
1.2 deploy-device-env
1.3 download-retry R
1.3.1 http-download
1.4 apply-overlay-guest
2 boot-image-retry R
2.1 boot-qemu-image R
2.1.1 execute-qemu
2.2 auto-login-action R
2.2.1 login-action
2.3 expect-shell-connection
2.4 export-device-env
3 multinode-test
4 finalize
4.1 power-off
4.2 read-feedback
"""
    )


def test_an_ssh_guest_with_three_definitions() -> None:
    assert (
        outline(job_of("ssh-guests", "guest"))
        == """\
1 scp-overlay
1.1 lava-overlay
1.1.1 ssh-authorize
1.1.2 lava-vland-overlay
1.1.3 lava-multinode-overlay
1.1.4 test-definition
1.1.4.1 git-repo-action
1.1.4.2 test-overlay
1.1.4.3 test-install-overlay
1.1.4.4 test-runscript-overlay
1.1.4.5 url-repo-action
1.1.4.6 test-overlay
1.1.4.7 test-install-overlay
1.1.4.8 test-runscript-overlay
1.1.4.9 inline-repo-action
1.1.4.10 test-overlay
1.1.4.11 test-install-overlay
1.1.4.12 test-runscript-overlay
1.1.5 compress-overlay
1.2 prepare-scp-overlay
1.2.1 extract-rootfs
1.2.2 extract-modules
1.3 deploy-device-env
2 login-ssh R
2.1 scp-deploy
2.2 prepare-ssh
2.3 ssh-connection
2.4 auto-login-action R
2.4.1 login-action
2.5 expect-shell-connection
2.6 export-device-env
2.7 scp-overlay-unpack
3 multinode-test
4 finalize
4.1 power-off
4.2 read-feedback
"""
    )


def test_a_container_beside_a_device() -> None:
    assert (
        outline(job_of("containers", "board"))
        == """\
1 lxc-deploy
1.1 lxc-create-action
1.2 lxc-create-udev-rule-action
1.3 boot-lxc
1.4 lxc-apt-update
1.5 lxc-apt-install
1.6 lxc-stop
1.7 deploy-device-env
1.8 lava-overlay
1.8.1 lava-vland-overlay
1.8.2 lava-multinode-overlay
1.8.3 test-definition
1.8.3.1 inline-repo-action
1.8.3.2 test-overlay
1.8.3.3 test-install-overlay
1.8.3.4 test-runscript-overlay
1.8.4 compress-overlay
1.9 apply-lxc-overlay
2 lxc-boot R
2.1 boot-lxc
2.2 lxc-add-static
2.3 connect-lxc
2.4 expect-shell-connection
2.5 export-device-env
3 fastboot-deploy
3.1 lava-overlay
3.1.1 lava-vland-overlay
3.1.2 lava-multinode-overlay
3.1.3 test-definition
3.1.3.1 git-repo-action
3.1.3.2 test-overlay
3.1.3.3 test-install-overlay
3.1.3.4 test-runscript-overlay
3.1.4 compress-overlay
3.2 deploy-device-env
3.3 download-retry R
3.3.1 lxc-download
4 multinode-test
5 multinode-test
6 finalize
6.1 power-off
6.2 read-feedback
"""
    )


def test_a_single_node_job() -> None:
    assert (
        outline(job_of("single", ""))
        == """\
1 deployimages
1.1 lava-overlay
1.1.1 lava-vland-overlay
1.1.2 lava-multinode-overlay
1.1.3 test-definition
1.1.3.1 inline-repo-action
1.1.3.2 test-overlay
1.1.3.3 test-install-overlay
1.1.3.4 test-runscript-overlay
1.1.4 compress-overlay
1.2 deploy-device-env
1.3 download-retry R
1.3.1 http-download
1.4 apply-overlay-guest
2 boot-image-retry R
2.1 boot-qemu-image R
2.1.1 execute-qemu
2.2 auto-login-action R
2.2.1 login-action
2.3 expect-shell-connection
2.4 overlay-unpack
2.5 export-device-env
3 user-command
4 lava-test-retry R
4.1 lava-test-shell
5 lava-test-interactive-retry R
5.1 lava-test-interactive
6 lava-test-monitor-retry R
6.1 lava-test-monitor
7 finalize
7.1 power-off
7.2 read-feedback
"""
    )


def test_vlans_with_the_overlay_as_the_whole_deploy() -> None:
    job = job_of("vlans", "server")
    assert outline(job).startswith(
        "1 lava-overlay\n1.1 lava-vland-overlay\n1.2 lava-multinode-overlay\n"
    )
    (call,) = actions(job)["lava-vland-overlay"].calls
    assert call.request == "deploy_vlans"


UNTESTED = {
    "deploy: {to: download, images: {k: {url: 'file:///k'}}}": """\
1 download-deploy
1.1 download-retry R
1.1.1 file-download
1.2 copy-to-lxc
""",
    "deploy: {to: downloads, postprocess: {}, images: {k: {url: 'scp://h/k'}}}": """\
1 downloads
1.1 download-retry R
1.1.1 scp-download
1.2 download-postprocess-docker
""",
    "deploy: {to: lxc, os: debian}": """\
1 lxc-deploy
1.1 lxc-create-action
1.2 lxc-create-udev-rule-action
""",
    "deploy: {to: tftp, kernel: {url: 'downloads://k'}, dtb: {url: 'HTTPS://d'}}": """\
1 tftp-deploy
1.1 download-retry R
1.1.1 pre-downloaded
1.2 download-retry R
1.2.1 http-download
""",
    "deploy: {to: nfs}": "1 nfs-deploy\n",
    "deploy: {to: recovery}": "1 recovery-mode\n",
    "deploy: {to: iso-installer}": "1 deploy-iso-installer\n",
    "deploy: {to: new-thing}": "1 new-thing-deploy\n",
    "boot: {method: minimal}": """\
1 minimal-boot R
1.1 connect-device
1.2 reset-device
1.2.1 pdu-reboot
""",
    "boot: {method: minimal, reset: false, pre_power_command: true, pre_os_command: true}": """\
1 minimal-boot R
1.1 connect-device
1.2 pre-power-command
1.3 pre-os-command
""",
    "boot: {method: new_connection, prompts: [x]}": """\
1 secondary-shell-action R
1.1 connect-shell
1.2 auto-login-action R
1.2.1 login-action
""",
    "boot: {method: qemu}": """\
1 boot-image-retry R
1.1 boot-qemu-image R
1.1.1 execute-qemu
""",
    "boot: {method: schroot}": "1 schroot-login\n",
    "boot: {method: u-boot, prompts: [x]}": """\
1 uboot-action R
1.1 expect-shell-connection
1.2 export-device-env
""",
    "boot: {method: new-thing}": """\
1 new-thing-boot R
1.1 expect-shell-connection
1.2 export-device-env
""",
    "command: {name: x}": "1 user-command\n",
}


@pytest.mark.parametrize(("block", "expected"), UNTESTED.items())
def test_a_block_without_tests(block: str, expected: str) -> None:
    finalize = "2 finalize\n2.1 power-off\n2.2 read-feedback\n"
    assert outline(single(block)) == expected + finalize


def test_a_docker_test_makes_an_overlay_of_its_own() -> None:
    job = single(shell(extra=", docker: {image: debian}"))
    assert (
        outline(job)
        == """\
1 lava-docker-test
1.1 lava-docker-test-set-environment
1.2 lava-create-overlay
1.2.1 lava-vland-overlay
1.2.2 lava-multinode-overlay
1.2.3 test-definition
1.2.3.1 git-repo-action
1.2.3.2 test-overlay
1.2.3.3 test-install-overlay
1.2.3.4 test-runscript-overlay
1.3 lava-docker-test-shell
1.4 read-feedback
2 finalize
2.1 power-off
2.2 read-feedback
"""
    )


def test_a_docker_test_of_a_group_has_its_own_shell() -> None:
    text = (GOOD / "two-roles.yaml").read_text()
    text = text.replace("    role: [server]\n", "    role: [server]\n    docker: {image: x}\n")
    definition, _ = read_text(text)
    assert definition is not None
    server = split(definition, first_id=1, group="g")[0]
    assert "3.3 lava-multinode-docker-test-shell\n" in outline(server)


def test_an_overlay_for_docker_is_not_packed() -> None:
    names = actions(single("deploy: {to: docker, image: x}", shell()))
    assert "deploy-docker" in names
    assert "compress-overlay" not in names


@pytest.mark.parametrize(
    ("deploy", "ssh", "authorized"),
    [
        ("to: tmpfs", False, False),
        ("to: tmpfs", True, True),
        ("to: tmpfs, authorize: ssh", False, True),
        ("to: tmpfs, authorize: other", False, False),
        ("to: ssh", False, True),
    ],
)
def test_keys_are_authorized_where_ssh_can_be_used(
    deploy: str, ssh: bool, authorized: bool
) -> None:
    job = single(f"deploy: {{{deploy}}}", shell())
    assert ("ssh-authorize" in outline(job, ssh=ssh)) == authorized


def test_only_the_namespace_of_a_test_gets_an_overlay_and_a_shell() -> None:
    job = single(
        "deploy: {to: tmpfs, namespace: a}",
        "deploy: {to: tmpfs, namespace: b}",
        "boot: {method: qemu, namespace: a, prompts: [x]}",
        "boot: {method: qemu, namespace: b, prompts: [x]}",
        shell(extra=", namespace: b"),
    )
    one, two, first, second, *_ = pipeline(job)
    assert [child.name for child in one.children] == []
    assert [child.name for child in two.children] == [
        "lava-overlay",
        "deploy-device-env",
        "apply-overlay-guest",
    ]
    assert "expect-shell-connection" not in [child.name for child in first.children]
    assert "expect-shell-connection" in [child.name for child in second.children]


def test_a_test_over_another_namespaces_connection_needs_a_shell_there() -> None:
    job = single(
        "boot: {method: qemu, namespace: a, prompts: [x]}",
        shell(extra=", namespace: b, connection-namespace: a"),
    )
    assert "expect-shell-connection" in actions(job)


def test_stages_count_tests_and_indices_count_definitions_of_a_namespace() -> None:
    two = ", ".join(f"{{from: git, name: {name}, path: x, repository: y}}" for name in ("n1", "n2"))
    job = single(
        "deploy: {to: overlay, namespace: a}",
        shell("a1", ", namespace: a"),
        shell("b1", ", namespace: b"),
        "test: {namespace: a, interactive: [{name: x, prompts: [], script: []}]}",
        f"test: {{namespace: a, definitions: [{two}]}}",
    )
    assert [
        (action.source.name, action.stage, action.index)
        for action in walk(pipeline(job))
        if action.source is not None and action.name.endswith("-repo-action")
    ] == [("a1", 0, 0), ("n1", 1, 1), ("n2", 1, 2)]
    shells = [action for action in walk(pipeline(job)) if action.name == "lava-test-shell"]
    assert [(action.namespace, action.stage) for action in shells] == [("a", 0), ("b", 0), ("a", 1)]


def test_each_action_of_a_definition_names_it() -> None:
    children = actions(job_of("two-roles", "server"))["test-definition"].children
    assert [child.source and child.source.name for child in children] == ["serve"] * 4


def test_downloads_know_their_url() -> None:
    image = actions(job_of("two-roles", "server"))["http-download"].image
    assert image is not None
    assert image.url == "http://files.example/r.img.gz"


@pytest.mark.parametrize(
    ("url", "compression", "name"),
    [
        ("https://files.example/a/r.img.gz?token=x/y", "gz", "r.img"),
        ("https://files.example/a/r.img.gz#part", None, "r.img.gz"),
        ("https://files.example/kernel", "xz", "kernel"),
        ("https://files.example", None, ""),
        ("https://files.example/a/", None, ""),
        ("file:///srv/what?.img", None, "what?.img"),
        ("images/r.img.xz", "xz", "r.img"),
        ("lxc:///r.img", None, "r.img"),
        ("downloads://r.img", None, "r.img"),
    ],
)
def test_a_file_is_called_as_the_end_of_its_url(
    url: str, compression: str | None, name: str
) -> None:
    assert Image("rootfs", url, compression).name == name


def test_every_action_says_what_it_does_and_where_it_belongs() -> None:
    for path in GOOD.glob("*.yaml"):
        for job in split(load(path), first_id=1, group="g"):
            for action in walk(pipeline(job)):
                assert action.summary
                assert (action.block is None) == (
                    action.level.split(".")[0] == str(len(job.blocks) + 1)
                )
                assert action.block is None or action.namespace == action.block.namespace


# Limits, rule by rule.

RETRIED = "boot: {method: qemu, prompts: [x], failure_retry: 3"


@pytest.mark.parametrize(
    ("timeouts", "block", "name", "expected_s"),
    [
        ("", "boot: {method: qemu}", "execute-qemu", 30),
        (", action: {seconds: 50}", "boot: {method: qemu}", "execute-qemu", 50),
        (", action: {seconds: 50}", "boot: {method: qemu}", "finalize", 50),
        (
            ", action: {seconds: 50}",
            "boot: {method: qemu, timeout: {seconds: 70}}",
            "boot-image-retry",
            70,
        ),
        (
            ", action: {seconds: 50}",
            "boot: {method: qemu, timeout: {seconds: 70}}",
            "execute-qemu",
            70,
        ),
        (", action: {seconds: 50}", "boot: {method: qemu, timeout: {seconds: 70}}", "finalize", 50),
        ("", RETRIED + ", timeout: {seconds: 70}}", "boot-image-retry", 70),
        ("", RETRIED + ", timeout: {seconds: 70}}", "boot-qemu-image", 23),
        ("", RETRIED + ", timeout: {seconds: 70}}", "execute-qemu", 7),
        ("", RETRIED + "}", "auto-login-action", 10),
        (", actions: {boot-image-retry: {seconds: 90}}", RETRIED + "}", "boot-image-retry", 90),
        (", actions: {boot-image-retry: {seconds: 90}}", RETRIED + "}", "boot-qemu-image", 30),
        (", actions: {boot-qemu-image: {seconds: 90}}", RETRIED + "}", "boot-qemu-image", 90),
        (", actions: {boot-qemu-image: {seconds: 90}}", RETRIED + "}", "execute-qemu", 30),
        (
            ", actions: {execute-qemu: {seconds: 90}}",
            "boot: {method: qemu, timeout: {seconds: 70}, timeouts: {execute-qemu: {seconds: 99}}}",
            "execute-qemu",
            99,
        ),
        (
            ", actions: {execute-qemu: {seconds: 90}}",
            "boot: {method: qemu, timeout: {seconds: 70}}",
            "execute-qemu",
            90,
        ),
        (
            "",
            "boot: {method: qemu, timeouts: {boot-image-retry: {seconds: 99}}, failure_retry: 2}",
            "boot-qemu-image",
            49,
        ),
        (", actions: {finalize: {seconds: 90}}", "boot: {method: qemu}", "finalize", 90),
    ],
)
def test_the_duration_of_an_action(timeouts: str, block: str, name: str, expected_s: int) -> None:
    job = single(block, timeouts=f"job: {{minutes: 60}}{timeouts}")
    assert actions(job)[name].duration_s == expected_s


@pytest.mark.parametrize(
    ("timeouts", "block", "expected_s"),
    [
        ("", "boot: {method: qemu}", 30),
        (", connection: {seconds: 40}", "boot: {method: qemu}", 40),
        ("", "boot: {method: qemu, connection_timeout: {seconds: 20}}", 20),
        (
            ", connection: {seconds: 40}",
            "boot: {method: qemu, connection_timeout: {seconds: 20}}",
            40,
        ),
        (
            ", connection: {seconds: 40}, connections: {execute-qemu: {seconds: 60}}",
            "boot: {method: qemu}",
            60,
        ),
    ],
)
def test_the_limit_of_a_wait_on_the_connection(timeouts: str, block: str, expected_s: int) -> None:
    job = single(block, timeouts=f"job: {{minutes: 60}}{timeouts}")
    assert actions(job)["execute-qemu"].connection_s == expected_s


def test_every_retry_action_of_a_block_reads_its_retries() -> None:
    job = single(
        "boot: {method: qemu, prompts: [x], failure_retry: 3}", "boot: {method: qemu, repeat: 2}"
    )
    first, second, _ = pipeline(job)
    assert {(a.name, a.max_retries, a.repeat) for a in walk((first,)) if a.retry} == {
        ("boot-image-retry", 3, None),
        ("boot-qemu-image", 3, None),
        ("auto-login-action", 3, None),
    }
    assert {(a.name, a.max_retries, a.repeat) for a in walk((second,)) if a.retry} == {
        ("boot-image-retry", 1, 2),
        ("boot-qemu-image", 1, 2),
    }
    assert {(a.max_retries, a.repeat) for a in walk((first, second)) if not a.retry} == {(1, None)}


# Calls.


def group(block: str) -> NodeJob:
    definition, diagnostics = read_text(
        "job_name: x\nvisibility: public\ntimeouts: {job: {minutes: 60}}\n"
        "protocols: {lava-multinode: {roles: {one: {device_type: x, count: 1}}}}\nactions:\n"
        f"- {block}"
    )
    assert definition is not None, diagnostics
    return split(definition, first_id=1, group="g")[0]


CALL = "request: lava-sync, messageID: x"


def test_each_instance_of_an_action_makes_its_calls() -> None:
    job = group(
        "boot: {role: [one], method: qemu, prompts: [x], protocols: {lava-multinode: ["
        f"{{action: auto-login-action, {CALL}}}, {{action: boot-image-retry, {CALL}}}, "
        f"{{action: auto-login-action, request: lava-wait, messageID: y}}]}}}}"
    )
    calls = {a.name: [c.request for c in a.calls] for a in walk(pipeline(job)) if a.calls}
    assert calls == {
        "boot-image-retry": ["lava-sync"],
        "auto-login-action": ["lava-sync", "lava-wait"],
    }


@pytest.mark.parametrize(
    ("block", "top"),
    [
        ("deploy: {role: [one], to: tftp", "tftp-deploy"),
        ("deploy: {role: [one], to: new-thing", "new-thing-deploy"),
        ("boot: {role: [one], method: u-boot", "uboot-action"),
    ],
)
def test_in_an_unknown_block_the_top_action_makes_the_calls_that_nobody_else_makes(
    block: str, top: str
) -> None:
    job = group(f"{block}, protocols: {{lava-multinode: [{{action: somewhere, {CALL}}}]}}}}")
    assert [(a.name, len(a.calls)) for a in walk(pipeline(job)) if a.calls] == [(top, 1)]


def test_in_a_known_block_nobody_makes_such_a_call() -> None:
    job = group(
        "deploy: {role: [one], to: tmpfs, "
        f"protocols: {{lava-multinode: [{{action: z, {CALL}}}]}}}}"
    )
    assert [a.name for a in walk(pipeline(job)) if a.calls] == []
