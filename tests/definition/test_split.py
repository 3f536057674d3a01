"""The split of a definition into the jobs of its nodes."""

from pathlib import Path

import pytest
import yaml
from attrs import evolve

from callboard.definition import DefinitionError, NodeJob, load, read_text, split
from callboard.definition.split import group_first

GOOD = Path(__file__).parent / "good"
GROUP = "1d6f0f7e-0000-4000-8000-000000000000"


def jobs(name: str, **options: dict[str, int]) -> tuple[NodeJob, ...]:
    counts = options.get("counts")
    return split(load(GOOD / f"{name}.yaml"), first_id=1200, group=GROUP, counts=counts)


SSH_PAIR = """\
job_name: ssh-pair
timeouts: {job: {minutes: 30}}
visibility: public
protocols:
  lava-multinode:
    roles:
      host: {device_type: qemu, count: 1}
      guest:
        connection: ssh
        count: 2
        host_role: host
        request: lava-start
        expect_role: host
        timeout: {minutes: 15}
actions:
- boot: {role: [host], method: qemu}
- deploy: {role: [guest], to: ssh, os: debian}
"""


def test_a_guest_is_written_as_lava_writes_it() -> None:
    definition, _ = read_text(SSH_PAIR)
    assert definition is not None
    first_guest = split(definition, first_id=1200, group=GROUP)[1]
    assert (
        first_guest.text
        == f"""\
job_name: ssh-pair
connection: ssh
host_role: host
timeouts:
  job:
    minutes: 30
visibility: public
protocols:
  lava-multinode:
    target_group: {GROUP}
    role: guest
    group_size: 3
    sub_id: 1
    request: lava-start
    expect_role: host
    timeout:
      minutes: 15
    roles:
      '1200': host
actions:
- deploy:
    role: guest
    to: ssh
    os: debian
"""
    )


def test_jobs_come_role_by_role_in_the_order_written() -> None:
    assert [(job.id, job.sub_id, job.role and job.role.name) for job in jobs("two-roles")] == [
        (1200, 0, "server"),
        (1201, 1, "client"),
        (1202, 2, "client"),
    ]


def test_a_job_has_the_blocks_of_its_role() -> None:
    server, client, _ = jobs("two-roles")
    assert [block.kind for block in client.blocks] == ["deploy", "boot", "test"]
    assert client.blocks[2].definitions[0].name == "use"
    assert server.blocks[2].definitions[0].name == "serve"


def test_counts_can_be_changed_and_are_seen_by_all() -> None:
    scaled = jobs("two-roles", counts={"client": 4})
    assert len(scaled) == 5
    written = yaml.safe_load(scaled[4].text)["protocols"]["lava-multinode"]
    assert (written["group_size"], written["sub_id"], len(written["roles"])) == (5, 4, 5)
    assert len(jobs("two-roles", counts={"client": 0})) == 1


def test_a_count_for_a_role_that_isnt_there_is_an_error() -> None:
    with pytest.raises(DefinitionError, match="did you mean `client`"):
        jobs("two-roles", counts={"clint": 4})


@pytest.mark.parametrize(
    ("role_s", "group_s", "wait_s", "start_s"),
    [("", "", 30, 90), ("", "6", 6, 6), ("5", "", 5, 5), ("5", "6", 5, 5)],
)
def test_limits_are_the_roles_else_the_groups_else_lavas(
    role_s: str, group_s: str, wait_s: int, start_s: int
) -> None:
    text = SSH_PAIR.replace("        timeout: {minutes: 15}\n", "")
    if role_s:
        text = text.replace("count: 1", f"count: 1, timeout: {{seconds: {role_s}}}")
    if group_s:
        text = text.replace("    roles:", f"    timeout: {{seconds: {group_s}}}\n    roles:")
    definition, diagnostics = read_text(text)
    assert [d.code for d in diagnostics] == ["CB064"] * bool(role_s and group_s)
    assert definition is not None
    host = split(definition, first_id=1, group=GROUP)[0]
    assert (host.wait_limit_s, host.start_limit_s) == (wait_s, start_s)
    written = yaml.safe_load(host.text)["protocols"]["lava-multinode"].get("timeout")
    assert written == ({"seconds": wait_s} if role_s or group_s else None)


def test_what_is_copied_and_what_is_lost() -> None:
    board, helper, _ = jobs("containers")
    text = yaml.safe_load(board.text)
    assert list(text) == [
        "job_name",
        "device_type",
        "context",
        "timeouts",
        "priority",
        "visibility",
        "notify",
        "metadata",
        "reboot_to_fastboot",
        "secrets",
        "protocols",
        "actions",
    ]
    multinode = text["protocols"]["lava-multinode"]
    assert list(multinode) == [
        "target_group",
        "role",
        "group_size",
        "sub_id",
        "tags",
        "environment",
        "roles",
    ]
    assert text["protocols"]["lava-lxc"]["name"] == "lxc-board"
    assert (board.tags, board.environment) == (("usb",), {"LEVEL": 1, "DEBUG": True})
    assert board.container is not None
    assert (board.container.name, helper.container and helper.container.name) == (
        "lxc-board",
        "helper",
    )


def test_vlans_are_flattened() -> None:
    client, server = jobs("vlans")
    assert yaml.safe_load(client.text)["protocols"]["lava-vland"] == {
        "vlan_one": {"tags": ["RJ45", "10M"]}
    }
    assert [vlan.vlan for vlan in server.vlans] == ["vlan_one", "vlan_two"]


def test_secrets_are_masked_wherever_they_stand() -> None:
    text = (GOOD / "containers.yaml").read_text()
    definition, _ = read_text(text.replace("echo one", "echo hunter2-and-more"))
    assert definition is not None
    for job in split(definition, first_id=1, group=GROUP):
        assert "hunter2" not in job.text
        assert yaml.safe_load(job.text)["secrets"] == {"TOKEN": "[MASKED]"}
    assert "echo [MASKED]" in split(definition, first_id=1, group=GROUP)[0].text


def test_a_job_for_one_device_keeps_its_text_but_for_secrets() -> None:
    (job,) = jobs("single")
    original = (GOOD / "single.yaml").read_text()
    assert job.text == original.replace("{PASSWORD: hunter22}", '{PASSWORD: "[MASKED]"}').replace(
        "echo $PASSWORD hunter22", '"echo $PASSWORD [MASKED]"'
    )
    assert yaml.safe_load(job.text)["secrets"] == {"PASSWORD": "[MASKED]"}
    assert (job.role, job.sub_id, job.wait_limit_s, job.start_limit_s) == (None, 0, 30, 90)
    assert (job.environment, job.tags, job.device_type) == ({"A": "b"}, ("kvm",), "qemu")
    assert job.container is not None


def test_a_secret_is_masked_in_any_spelling() -> None:
    text = (GOOD / "single.yaml").read_text().replace("PASSWORD: hunter22", 'P: "one\\ntwo 😀"')
    steps = """
          steps:
          - "one\\ntwo 😀"
          - "\\x6fne\\ntwo 😀!"
          - |
            one
            two 😀
          - >
            one

            two 😀
"""
    text = text.replace("{steps: [echo $PASSWORD hunter22]}\n", steps)
    definition, diagnostics = read_text(text)
    assert definition is not None, diagnostics
    masked = yaml.safe_load(split(definition, first_id=1, group=GROUP)[0].text)
    assert "two" not in str(masked)
    assert masked["secrets"] == {"P": "[MASKED]"}


def test_a_text_without_secrets_is_kept_to_the_letter() -> None:
    text = (GOOD / "single.yaml").read_text().replace("secrets: {PASSWORD: hunter22}\n", "")
    definition, _ = read_text(text)
    assert definition is not None
    assert split(definition, first_id=1, group=GROUP)[0].text == text


def test_lines_are_never_broken() -> None:
    text = SSH_PAIR.replace("os: debian", f"os: {'debian ' * 60}x")
    definition, _ = read_text(text)
    assert definition is not None
    guest = split(definition, first_id=1, group=GROUP)[1]
    assert f"    os: {'debian ' * 60}x\n" in guest.text


def test_a_containers_name_is_checked_with_its_id() -> None:
    text = (GOOD / "containers.yaml").read_text().replace("lxc-board", "x" * 55)
    definition, diagnostics = read_text(text)
    assert diagnostics == ()
    assert definition is not None
    assert len(split(definition, first_id=9_999_997, group=GROUP)) == 3
    with pytest.raises(DefinitionError, match="may have 63 characters"):
        split(definition, first_id=10_000_000, group=GROUP)


def test_a_large_group_is_split_without_writing_its_texts() -> None:
    scaled = jobs("two-roles", counts={"client": 9_999})
    assert len(scaled) == 10_000
    assert len(yaml.safe_load(scaled[0].text)["protocols"]["lava-multinode"]["roles"]) == 10_000


def test_in_lavas_own_order_the_limit_of_the_group_wins() -> None:
    found = load(GOOD / "two-roles.yaml")
    server, client = found.roles
    both = evolve(found, group_timeout_s=300, roles=(evolve(server, timeout_s=60), evolve(client)))
    limits = [job.wait_limit_s for job in split(both, first_id=1, group="g")]
    assert limits == [60, 300, 300]
    limits = [job.wait_limit_s for job in split(group_first(both), first_id=1, group="g")]
    assert limits == [300, 300, 300]
    alone = evolve(both, group_timeout_s=None)
    assert group_first(alone) == alone
