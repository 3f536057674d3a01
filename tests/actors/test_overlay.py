"""What is put on a node: the files, their modes, and the scripts among them."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from attrs import evolve

from callboard.actors.drivers.switches import Port
from callboard.actors.members import Member
from callboard.actors.overlay import Definition, File, Link, Overlay, build, pack, write
from callboard.actors.wiring import Wiring
from callboard.definition.interfaces import Interface

SMOKE = Definition(
    index=0,
    name="smoke",
    uuid="1200_1.1.3.1",
    run_steps=("echo one", "lava-test-case x --shell awk '{print $1}'"),
    install_steps=(),
    parameters=(("GREETING", "first"), ("GREETING", 'it\'s "me"\n$HOME `x` \\')),
    testdef="run: {steps: []}\n",
    metadata={"name": "smoke"},
)
NODE = Overlay(
    job_id=1200,
    root="/lava-1200",
    shell="/bin/sh",
    role="server",
    group=(Member(1200, "server"), Member(1201, "client")),
    environment=(("COLOUR", "light 'blue'\n$X"),),
    secrets=(("TOKEN", "open sesame"),),
    cache="/tmp/lava_multi_node_cache.txt",
    stages=((SMOKE,), (evolve(SMOKE, index=1, name="more", install_steps=("make",)),)),
)


def by_path(overlay: Overlay) -> dict[str, File]:
    return {file.path: file for file in build(overlay)}


def text(file: File) -> str:
    assert isinstance(file.content, bytes)
    return file.content.decode()


def test_the_layout_is_lavas() -> None:
    files = by_path(NODE)
    assert [path for path in files if not path.startswith("bin/")] == [
        "environment",
        "secrets",
        "tests",
        "results",
        "0/lava-test-runner.conf",
        *(f"0/tests/0_smoke/{name}" for name in ("testdef.yaml", "testdef_metadata", "uuid")),
        "0/tests/0_smoke/run.sh",
        "1/lava-test-runner.conf",
        *(f"1/tests/1_more/{name}" for name in ("testdef.yaml", "testdef_metadata", "uuid")),
        "1/tests/1_more/install.sh",
        "1/tests/1_more/run.sh",
    ]
    assert text(files["1/lava-test-runner.conf"]) == "/lava-1200/1/tests/1_more\n"
    assert text(files["secrets"]) == "TOKEN=open sesame\n"
    assert files["secrets"].mode == 0o600
    assert {file.mode for path, file in files.items() if path.startswith("bin/")} == {0o755}


def test_a_node_without_a_role_has_no_multinode_helpers() -> None:
    alone, grouped = by_path(evolve(NODE, role=None)), by_path(NODE)
    assert set(grouped) - set(alone) == {
        "bin/lava-echo-config",
        "bin/lava-group",
        "bin/lava-multinode-functions",
        "bin/lava-role",
        "bin/lava-self",
        "bin/lava-send",
        "bin/lava-sync",
        "bin/lava-wait",
        "bin/lava-wait-all",
    }


def test_variables_survive_the_shell(tmp_path: Path) -> None:
    write(build(NODE), tmp_path)
    script = f". {tmp_path}/environment; printf '%s' \"$COLOUR\""
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert printed.stdout == NODE.environment[0][1]
    lines = text(by_path(NODE)["0/tests/0_smoke/run.sh"]).partition("set -e")[0]
    script = f"{lines}\nprintf '%s' \"$GREETING\""
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert printed.stdout == SMOKE.parameters[1][1]


def test_positional_parameters_in_evaluated_steps_are_not_the_scripts_own() -> None:
    run = text(by_path(NODE)["0/tests/0_smoke/run.sh"])
    assert "awk '{print \\$1}'" in run


def test_the_installation_comes_in_lavas_order() -> None:
    node = evolve(
        NODE,
        stages=(
            (
                evolve(
                    SMOKE,
                    keys=("https://files.example/key.asc", "0xDEAD"),
                    sources=("deb http://deb.example stable main",),
                    deps=("curl", "it's"),
                    install_steps=("make",),
                ),
            ),
        ),
    )
    install = text(by_path(node)["0/tests/0_smoke/install.sh"])
    assert install.partition("\\'\n")[2].splitlines() == [
        "lava-add-keys 'https://files.example/key.asc' || exit",
        "lava-add-keys '0xDEAD' || exit",
        "lava-add-sources 'deb http://deb.example stable main' || exit",
        "lava-install-packages 'curl' 'it'\\''s' || exit",
        "cd '/lava-1200/0/tests/0_smoke'",
        "pwd",
        "make",
    ]
    assert install.startswith("GREETING='first'\nGREETING=")


def test_the_cache_is_named_in_the_environment_only_if_it_is_the_nodes_own() -> None:
    assert "LAVA_MULTI_NODE_CACHE" not in text(by_path(NODE)["environment"])
    own = text(by_path(evolve(NODE, cache="/n/1/cache"))["environment"])
    assert "export LAVA_MULTI_NODE_CACHE='/n/1/cache'\n" in own


@pytest.mark.parametrize("name", ["foo-bar", "1x", "", "a b", "x;reboot"])
def test_a_variable_that_no_shell_knows_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a shell variable"):
        build(evolve(NODE, environment=((name, "x"),)))


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x"])
def test_a_file_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="leads out"):
        File(path, b"")


def test_what_is_written_has_its_mode_and_content(tmp_path: Path) -> None:
    write(build(NODE), tmp_path)
    for file in build(NODE):
        path = tmp_path / file.path
        if file.content is None:
            assert path.is_dir()
        else:
            assert path.read_bytes() == file.content
            assert path.stat().st_mode & 0o777 == file.mode


def packed(files: tuple[File, ...]) -> bytes:
    archive = io.BytesIO()
    pack({"/lava-1200": files}, archive)
    return archive.getvalue()


def test_an_archive_holds_the_same_and_is_the_same_each_time() -> None:
    first, second = packed(build(NODE)), packed(build(NODE))
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        for file in build(NODE):
            entry = archive.getmember(f"lava-1200/{file.path}")
            if file.content is None:
                assert entry.isdir()
                continue
            opened = archive.extractfile(entry)
            assert opened is not None
            assert (opened.read(), entry.mode) == (file.content, file.mode)


def test_what_was_fetched_lies_beside_the_definition_but_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/tool").write_text("#!/bin/sh\n")
    (tmp_path / "lib/tool").chmod(0o755)
    (tmp_path / "link").symlink_to("lib/tool")
    (tmp_path / "run.sh").write_text("not ours")
    (tmp_path / "uuid").symlink_to("/etc/passwd")
    (tmp_path / "other").symlink_to("/etc")
    repository = tmp_path / "lib"
    smoke = evolve(SMOKE, folder=tmp_path, repositories=(("other/place", repository),))
    files = by_path(evolve(NODE, stages=((smoke,),)))
    folder = "0/tests/0_smoke"
    assert files[f"{folder}/lib/tool"] == File(f"{folder}/lib/tool", tmp_path / "lib/tool", 0o755)
    assert files[f"{folder}/link"].content == Link("lib/tool")
    assert files[f"{folder}/other/place/tool"].content == repository / "tool"
    assert f"{folder}/other" not in files
    assert isinstance(files[f"{folder}/uuid"].content, bytes)
    assert isinstance(files[f"{folder}/run.sh"].content, bytes)
    write(tuple(files.values()), tmp_path / "written")
    there = tmp_path / "written" / folder
    assert (there / "link").readlink() == Path("lib/tool")
    assert (there / "lib/tool").stat().st_mode & 0o777 == 0o755
    with tarfile.open(fileobj=io.BytesIO(packed(tuple(files.values())))) as archive:
        assert archive.getmember(f"lava-1200/{folder}/link").linkname == "lib/tool"


def test_a_job_without_vlans_has_no_helpers_for_them() -> None:
    assert "bin/lava-self" in by_path(NODE)
    assert not any("vland" in path for path in by_path(NODE))


def test_interfaces_without_tags_have_no_lines_not_even_an_empty_one(tmp_path: Path) -> None:
    wiring = Wiring((Interface("eth0"),), {"one": Port("board", "eth1")})
    write(build(evolve(NODE, wiring=wiring)), tmp_path)
    helper = tmp_path / "bin/lava-vland-tags"
    assert subprocess.run(["sh", helper], capture_output=True, check=True).stdout == b""
