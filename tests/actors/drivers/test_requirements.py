"""What containers need of a machine is told from its files, with the command that mends it."""

import subprocess
from pathlib import Path

import pytest
from tests.actors.drivers.machines import Workshop, workshop

from callboard.actors.drivers.lxc.requirements import (
    TOOLS,
    Machine,
    Requirement,
    missing,
    requirements,
)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return workshop(tmp_path)


def found(shop: Workshop, user: int = 0) -> dict[str, Requirement]:
    return {each.name: each for each in requirements(shop.machine(user))}


def unmet(shop: Workshop, user: int = 0) -> Requirement:
    """The only thing that the machine lacks."""
    (only,) = (each for each in found(shop, user).values() if not each.met)
    return only


def test_a_machine_that_has_everything_needs_nothing(shop: Workshop) -> None:
    assert all(each.met and each.cure is None for each in found(shop).values())
    assert missing(machine=shop.machine()) == []


def test_a_look_at_the_machine_changes_none_of_its_files(shop: Workshop) -> None:
    def files() -> dict[str, float]:
        return {str(each): each.stat().st_mtime_ns for each in shop.root.rglob("*")}

    before = files()
    found(shop)
    assert files() == before


# who asks


def test_an_ordinary_user_is_told_to_be_root_and_what_else_there_is(shop: Workshop) -> None:
    lacking = unmet(shop, user=1000)
    assert "ordinary user" in lacking.detail
    assert lacking.cure == "run callboard as root"
    assert {"container tools", "container network"} <= found(shop, user=1000).keys()


def test_an_ordinary_user_finds_the_tools_of_root(shop: Workshop) -> None:
    for name in ("debootstrap", "dnsmasq", "ip"):
        shop.write(f"usr/sbin/{name}", "#!/bin/sh\n")
        (shop.root / "usr/sbin" / name).chmod(0o755)
        shop.uninstall(name)
    assert unmet(shop, user=1000).name == "containers"


def test_what_only_root_may_do_says_so_to_an_ordinary_user(shop: Workshop) -> None:
    shop.remove("etc/subuid")
    assert found(shop)["container user ids"].cure == "echo root:100000:65536 >> /etc/subuid"
    cure = found(shop, user=1000)["container user ids"].cure
    assert cure == "as root: echo root:100000:65536 >> /etc/subuid"


def test_root_of_a_user_namespace_is_not_root_of_the_machine(shop: Workshop) -> None:
    shop.write("proc/self/uid_map", "         0       1000          1\n")
    assert "user namespace" in unmet(shop).detail


def test_a_root_without_its_rights_is_told_which_one(shop: Workshop) -> None:
    shop.write("proc/self/status", "CapEff:\t00000000a80425fb\n")
    assert unmet(shop).detail == "this root lacks CAP_SYS_ADMIN"
    assert "--privileged" in (unmet(shop).cure or "")


# tools and templates


def test_a_machine_without_lxc_is_told_all_packages_at_once_and_nothing_that_follows(
    shop: Workshop,
) -> None:
    shop.uninstall(*TOOLS)
    shop.remove("sys/class/net/lxcbr0", "usr/share/lxc")
    lacking = unmet(shop)
    assert lacking.detail.startswith("LXC is not installed")
    assert (lacking.cure or "").startswith("apt-get install")
    assert {"lxc", "lxc-templates", "debootstrap"} <= set((lacking.cure or "").split())


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_that_is_missing_is_named(shop: Workshop, tool: str) -> None:
    shop.uninstall(tool)
    assert unmet(shop).detail == f"{tool} is not installed"
    assert (unmet(shop).cure or "").split()[-1] == "lxc"


def test_tools_of_several_packages_are_installed_by_one_command(shop: Workshop) -> None:
    shop.uninstall("lxc-copy", "ip")
    assert unmet(shop).detail == "lxc-copy and ip are not installed"
    assert (unmet(shop).cure or "").split()[-2:] == ["lxc", "iproute2"]


def test_a_machine_with_another_package_manager_gets_no_command_of_debian(shop: Workshop) -> None:
    shop.uninstall("lxc-copy", "apt-get")
    assert "apt-get" not in (unmet(shop).cure or "")
    assert "package manager" in (unmet(shop).cure or "")


def test_a_template_that_is_missing_is_named(shop: Workshop) -> None:
    shop.remove("usr/share/lxc/templates/lxc-debian")
    assert unmet(shop).detail == "`debian` is not in /usr/share/lxc/templates"
    assert (unmet(shop).cure or "").split()[-1] == "lxc-templates"


@pytest.mark.parametrize(
    ("program", "template", "package"),
    [
        ("busybox", "busybox", "busybox-static"),
        ("debootstrap", "debian", "debootstrap"),
        ("debootstrap", "ubuntu", "debootstrap"),
        ("rsync", "debian", "rsync"),
        ("openssl", "debian", "openssl"),
    ],
)
def test_a_template_is_refused_without_its_programs(
    shop: Workshop, program: str, template: str, package: str
) -> None:
    shop.uninstall(program)
    (lacking,) = missing([template], shop.machine())
    assert lacking.detail == f"`{template}` needs {program}"
    assert (lacking.cure or "").split()[-1] == package


def test_only_templates_of_the_definition_count(shop: Workshop) -> None:
    shop.uninstall("debootstrap")
    assert missing(["busybox", "download"], shop.machine()) == []
    assert missing((), shop.machine()) == []


def test_debian_without_distro_info_is_worse_but_not_refused(shop: Workshop) -> None:
    shop.uninstall("distro-info")
    assert unmet(shop).detail == "`debian` needs distro-info"
    assert missing(["debian"], shop.machine()) == []


# the kernel


def test_a_kernel_without_overlays_is_told_how_to_load_them(shop: Workshop) -> None:
    shop.write("proc/filesystems", "nodev\tproc\n")
    assert unmet(shop).cure == "modprobe overlay"


def test_a_kernel_that_can_load_overlays_by_itself_has_them(shop: Workshop) -> None:
    shop.write("proc/filesystems", "nodev\tproc\n")
    shop.write("lib/modules/6.1.0/modules.dep", "kernel/fs/overlayfs/overlay.ko.xz:\n")
    assert found(shop)["container overlays"].met


def test_cgroups_that_are_not_mounted_are_missed(shop: Workshop) -> None:
    shop.write("proc/self/mounts", "/dev/vda / ext4 rw 0 0\n")
    assert "no cgroups" in unmet(shop).detail
    assert (unmet(shop).cure or "").startswith("mount -t cgroup2")


def test_cgroups_that_can_only_be_read_are_no_use(shop: Workshop) -> None:
    shop.write("proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 ro,nosuid 0 0\n")
    assert "can't be written" in unmet(shop).detail
    assert [each.name for each in missing(machine=shop.machine())] == ["container cgroups"]


def test_cgroups_without_a_controller_run_containers_without_that_limit(shop: Workshop) -> None:
    shop.write("sys/fs/cgroup/cgroup.controllers", "cpu pids\n")
    assert unmet(shop).cure == "boot Linux with cgroup_enable=memory"
    assert missing(machine=shop.machine()) == []


def test_cgroups_of_version_1_are_as_good(shop: Workshop) -> None:
    shop.remove("sys/fs/cgroup")
    mounts = (f"cgroup /sys/fs/cgroup/{each} cgroup rw,{each} 0 0" for each in ("memory", "pids"))
    shop.write("proc/self/mounts", "\n".join(mounts))
    assert found(shop)["container cgroups"].met


def test_containers_run_without_subordinate_ids(shop: Workshop) -> None:
    shop.write("etc/subgid", "somebody:100000:65536\n")
    shop.uninstall("newuidmap")
    cure = unmet(shop).cure or ""
    assert "uidmap" in cure
    assert cure.endswith("echo root:100000:65536 >> /etc/subgid")
    assert missing(machine=shop.machine()) == []


# the network


def test_a_bridge_that_was_never_started_is_started(shop: Workshop) -> None:
    shop.remove("sys/class/net/lxcbr0", "run/lxc", "proc/73")
    assert unmet(shop).name == "container network"
    assert unmet(shop).cure == "/usr/libexec/lxc/lxc-net start"


def test_a_bridge_is_started_by_systemd_where_that_runs(shop: Workshop) -> None:
    shop.remove("sys/class/net/lxcbr0", "run/lxc", "proc/73")
    shop.write("run/systemd/system/one", "")
    assert unmet(shop).cure == "systemctl restart lxc-net"


def test_files_of_a_bridge_that_is_gone_are_removed_first(shop: Workshop) -> None:
    shop.remove("sys/class/net/lxcbr0", "proc/73")
    assert "/run/lxc/network_up" in unmet(shop).detail
    cure = "rm /run/lxc/network_up /run/lxc/dnsmasq.pid; /usr/libexec/lxc/lxc-net start"
    assert unmet(shop).cure == cure


def test_the_script_is_found_where_older_releases_have_it(shop: Workshop) -> None:
    shop.remove("sys/class/net/lxcbr0", "run/lxc", "proc/73", "usr/libexec")
    shop.write("usr/lib/x86_64-linux-gnu/lxc/lxc-net", "")
    assert unmet(shop).cure == "/usr/lib/x86_64-linux-gnu/lxc/lxc-net start"


@pytest.mark.parametrize("written", ['USE_LXC_BRIDGE="false"', "USE_LXC_BRIDGE=no # by hand"])
def test_a_bridge_that_is_switched_off_is_switched_on(shop: Workshop, written: str) -> None:
    shop.remove("sys/class/net/lxcbr0", "run/lxc", "proc/73")
    shop.write("etc/default/lxc-net", f"USE_LXC_BRIDGE=true\n{written}\n")
    assert "USE_LXC_BRIDGE is not true" in unmet(shop).detail
    switch = """echo 'USE_LXC_BRIDGE="true"' >> /etc/default/lxc-net"""
    assert unmet(shop).cure == f"{switch}; /usr/libexec/lxc/lxc-net start"


def test_a_bridge_without_dnsmasq_gives_no_addresses(shop: Workshop) -> None:
    shop.remove("proc/73")
    lacking = unmet(shop)
    assert lacking.name == "container addresses"
    assert lacking.needed
    assert (lacking.cure or "").endswith("lxc-net start")


def test_a_dnsmasq_for_something_else_gives_none_either(shop: Workshop) -> None:
    shop.write("proc/73/cmdline", "dnsmasq\0--no-ping\0--interface=virbr0\0")
    assert "no dnsmasq runs for lxcbr0" in unmet(shop).detail


def test_dnsmasq_is_installed_before_it_is_started(shop: Workshop) -> None:
    shop.remove("proc/73")
    shop.uninstall("dnsmasq")
    first, *_, last = (unmet(shop).cure or "").split("; ")
    assert first == "apt-get install --no-install-recommends dnsmasq-base"
    assert last == "/usr/libexec/lxc/lxc-net start"


def test_a_bridge_that_lxc_net_did_not_make_has_addresses_from_elsewhere(shop: Workshop) -> None:
    shop.remove("proc/73", "run/lxc")
    shop.write("etc/default/lxc-net", "USE_LXC_BRIDGE=false\n")
    assert found(shop)["container addresses"].met


def test_a_dnsmasq_that_pings_is_slow_but_not_refused(shop: Workshop) -> None:
    shop.write("proc/73/cmdline", shop.machine().read("proc/73/cmdline").replace("--no-ping", "-d"))
    lacking = unmet(shop)
    assert "3 s" in lacking.detail
    ping = """echo 'LXC_DHCP_PING="false"' >> /etc/default/lxc-net"""
    assert lacking.cure == f"{ping}; /usr/libexec/lxc/lxc-net restart"
    assert missing(machine=shop.machine()) == []


def test_a_dnsmasq_of_which_lxc_net_does_not_know_is_ended_first(shop: Workshop) -> None:
    shop.write("proc/73/cmdline", shop.machine().read("proc/73/cmdline").replace("--no-ping", "-d"))
    shop.remove("run/lxc/dnsmasq.pid")
    assert (unmet(shop).cure or "").endswith("; kill 73; /usr/libexec/lxc/lxc-net restart")


def test_addresses_that_are_kept_for_long_run_out(shop: Workshop) -> None:
    command = shop.machine().read("proc/73/cmdline").replace(".254,2m", ".254")
    shop.write("proc/73/cmdline", command)
    assert "an hour" in unmet(shop).detail
    assert 'LXC_DHCP_RANGE="10.0.3.2,10.0.3.254,2m"' in (unmet(shop).cure or "")


@pytest.mark.parametrize("written", ["", "lxc.net.0.type = empty\n", "lxc.net.0.type = veth\n"])
def test_containers_that_are_connected_to_nothing_are_connected(
    shop: Workshop, written: str
) -> None:
    shop.write("etc/lxc/default.conf", written)
    assert unmet(shop).detail == "/etc/lxc/default.conf connects containers to no bridge"
    cure = (unmet(shop).cure or "").replace("/etc/", f"{shop.root}/etc/")
    subprocess.run(["sh", "-c", cure], check=True)
    assert missing(machine=shop.machine()) == []


def test_containers_may_be_connected_to_a_bridge_of_their_owner(shop: Workshop) -> None:
    shop.write("etc/lxc/default.conf", "lxc.net.0.type = veth\nlxc.net.0.link = br0\n")
    assert "there is no bridge br0" in unmet(shop).detail
    shop.write("sys/class/net/br0/address", "")
    shop.remove("proc/73", "run/lxc")
    assert found(shop)["container network"].detail == "bridge br0"
    assert "container addresses" not in found(shop)


DROP = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER"
NFT_DROP = """table ip filter {
  chain FORWARD { type filter hook forward priority filter; policy drop; }
}"""


def filtered(shop: Workshop, tool: str, rules: str) -> None:
    shop.write("proc/sys/net/bridge/bridge-nf-call-iptables", "1\n")
    shop.write("rules", f"{rules}\n")
    # the machine's own tools are no part of one that is made of files
    shop.install(tool, f'while read -r line; do echo "$line"; done < "{shop.root}/rules"')


def test_a_firewall_that_drops_is_given_an_exception_for_the_bridge(shop: Workshop) -> None:
    filtered(shop, "iptables", DROP)
    assert unmet(shop).name == "container traffic"
    assert (unmet(shop).cure or "").startswith("iptables -I FORWARD -i lxcbr0 -j ACCEPT")
    assert not unmet(shop).needed


def test_a_firewall_that_lets_the_bridge_pass_is_no_hindrance(shop: Workshop) -> None:
    filtered(shop, "iptables", f"{DROP}\n-A FORWARD -i lxcbr0 -j ACCEPT")
    assert found(shop)["container traffic"].met


def test_a_firewall_without_iptables_is_asked_through_nft(shop: Workshop) -> None:
    filtered(shop, "nft", NFT_DROP)
    assert (unmet(shop).cure or "").startswith("nft insert rule ip filter FORWARD iifname lxcbr0")


def test_a_firewall_that_the_bridge_does_not_ask_is_not_looked_at(shop: Workshop) -> None:
    filtered(shop, "iptables", DROP)
    shop.write("proc/sys/net/bridge/bridge-nf-call-iptables", "0\n")
    assert "container traffic" not in found(shop)


def test_an_ordinary_user_can_not_ask_the_firewall(shop: Workshop) -> None:
    filtered(shop, "iptables", DROP)
    assert "container traffic" not in found(shop, user=1000)


def test_a_firewall_tool_that_fails_is_no_finding(shop: Workshop) -> None:
    filtered(shop, "iptables", DROP)
    shop.install("iptables", "echo '-P FORWARD DROP'; exit 4")
    assert found(shop)["container traffic"].met


def test_an_empty_machine_is_examined_without_a_fault(tmp_path: Path) -> None:
    for user in (0, 1000):
        checks = list(requirements(Machine(tmp_path, str(tmp_path), user)))
        assert "container tools" in {each.name for each in checks if not each.met}
