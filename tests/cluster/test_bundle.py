"""What a group is made of survives the way to other machines, and nothing else comes along."""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from tests.sources.servers import SMOKE, commit, git

from callboard.cluster.bundle import Part, pack, part, restore, settle, unfold
from callboard.cluster.errors import ClusterError
from callboard.definition import Definition, load, split
from callboard.sources import Policy, fetch

TWO_ROLES = """\
job_name: bundled
visibility: public
timeouts: {job: {minutes: 5}}
secrets: {token: hunter22222}
protocols:
  lava-multinode:
    roles:
      left: {device_type: qemu, count: 2}
      right: {device_type: qemu, count: 1}
actions:
- deploy: {role: [left, right], to: tmpfs}
- test:
    role: [left]
    definitions:
    - {from: git, repository: ./tests, path: smoke.yaml, name: first}
    - {from: git, repository: ./tests, path: smoke.yaml, name: again, history: false}
- test:
    role: [right]
    definitions:
    - from: inline
      name: beside
      path: beside.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: beside}
        install:
          git-repos: [{url: ./more, destination: more/of/it}]
        run: {steps: [./more/of/it/tool.sh]}
"""


ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(
    path.name
    for path in (ROOT / "scenarios").glob("*.yaml")
    if not path.name.endswith(".scenario.yaml")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the definition lies, and the repositories that it names."""
    place = tmp_path / "own"
    for name in ("tests", "more"):
        (place / name).mkdir(parents=True)
        git(place / name, "init", "--quiet", "-b", "main")
    (place / "tests/tool.sh").write_text("#!/bin/sh\n")
    (place / "tests/tool.sh").chmod(0o755)
    (place / "tests/link").symlink_to("tool.sh")
    commit(place / "tests", {"smoke.yaml": SMOKE, "sub/na me": "x"})
    commit(place / "more", {"tool.sh": "echo more\n"})
    (place / "group.yaml").write_text(TWO_ROLES)
    return place


async def fetched(folder: Path) -> Definition:
    return await fetch(load(folder / "group.yaml"), Policy())


def content(folder: Path) -> dict[str, str]:
    """What is in a folder: the hash of each file with its mode, where each link leads."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            runs = "x" if os.access(path, os.X_OK) else "-"
            found[name] = f"{runs} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found


def folders(definition: Definition) -> Iterator[Path]:
    for block in definition.blocks:
        for source in block.definitions:
            assert source.fetched is not None
            if source.fetched.folder is not None:
                yield source.fetched.folder
            yield from (folder for _, folder in source.fetched.repositories)


def without_folders(definition: Definition) -> Definition:
    """The definition with folders that are equal on every machine."""

    def blank(path: Path | None) -> Path | None:
        return None if path is None else Path("somewhere")

    blocks = []
    for block in definition.blocks:
        sources = []
        for source in block.definitions:
            known = source.fetched
            assert known is not None
            others = tuple((place, Path("somewhere")) for place, _ in known.repositories)
            known = evolve(known, folder=blank(known.folder), repositories=others)
            sources.append(evolve(source, fetched=known))
        blocks.append(evolve(block, definitions=tuple(sources)))
    return evolve(definition, blocks=tuple(blocks))


@pytest.mark.asyncio
async def test_a_definition_is_the_same_elsewhere_with_all_its_files(
    folder: Path, tmp_path: Path
) -> None:
    here = await fetched(folder)
    there = restore(pack(here).data, tmp_path / "there")
    assert without_folders(there) == without_folders(here)
    assert there.file == str(folder / "group.yaml")
    assert there.secrets == {"token": "hunter22222"}
    pairs = list(zip(folders(here), folders(there), strict=True))
    assert len(pairs) == 3
    for own, other in pairs:
        assert content(own) == content(other) != {}
        assert other.is_relative_to(tmp_path / "there")
    assert content(pairs[0][1])["link"] == "-> tool.sh"


@pytest.mark.asyncio
@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_scenario_is_the_same_elsewhere(name: str, tmp_path: Path) -> None:
    here = await fetch(load(ROOT / "scenarios" / name), Policy())
    assert restore(pack(here).data, tmp_path / "there") == here


@pytest.mark.asyncio
async def test_equal_files_make_an_equal_bundle_wherever_they_lie(
    folder: Path, tmp_path: Path
) -> None:
    here = await fetched(folder)
    first = pack(here)
    again = pack(restore(first.data, tmp_path / "there"))
    assert (again.name, again.data) == (first.name, first.data)


@pytest.mark.asyncio
async def test_a_worker_gets_the_sources_of_its_jobs_and_no_secret(
    folder: Path, tmp_path: Path
) -> None:
    jobs = split(await fetched(folder), first_id=7, group="g")
    for number, (own, wanted) in enumerate([(jobs[2:], {"tool.sh"}), (jobs[:1], {"smoke.yaml"})]):
        sent = part(own)
        assert sent.sources is not None
        place = tmp_path / str(number)
        unfold(sent.sources.data, place)
        kept = content(place)
        assert {Path(name).name for name in kept} >= wanted
        assert ("smoke.yaml" in {Path(name).name for name in kept}) == (wanted == {"smoke.yaml"})
        assert not any(b"hunter22222" in each.read_bytes() for each in place.rglob("*.yaml"))
        [settled] = [settle(job, place) for job in sent.jobs]
        assert settled.id == own[0].id
        assert settled.text == own[0].text
        for block in settled.blocks:
            for source in block.definitions:
                assert source.fetched is not None
                for path in (source.fetched.folder, *dict(source.fetched.repositories).values()):
                    assert path is None or path.is_dir()


def test_jobs_without_sources_need_no_archive(tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text(TWO_ROLES)
    jobs = split(load(tmp_path / "group.yaml"), first_id=1, group="g")
    assert part(jobs) == Part(jobs, None)
    assert [settle(job, tmp_path) for job in jobs] == list(jobs)


@pytest.mark.asyncio
async def test_a_bundle_that_is_too_large_is_refused_with_what_to_do(folder: Path) -> None:
    (folder / "tests/large").write_bytes(os.urandom(200_000))
    commit(folder / "tests", {"note": "x"})
    here = await fetched(folder)
    with pytest.raises(ClusterError, match=r"larger than 0\.125 MiB together") as caught:
        pack(here, limit_bytes=2**17)
    assert caught.value.code == "CB275"
    assert caught.value.cure is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside"])
async def test_a_link_that_leads_out_of_a_source_is_refused_before_it_travels(
    folder: Path, target: str
) -> None:
    (folder / "tests/out").symlink_to(target)
    commit(folder / "tests", {"note": "x"})
    here = await fetched(folder)
    with pytest.raises(ClusterError, match="has the link `out`, which leads out of it") as caught:
        pack(here)
    assert caught.value.code == "CB277"


def archive(*members: tarfile.TarInfo) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as opened:
        for each in members:
            opened.addfile(each, io.BytesIO(b"x" * each.size))
    return written.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, linkname: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, linkname
    found.size = 1 if kind == tarfile.REGTYPE else 0
    return found


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"no archive",
        archive(),
        archive(member("../out")),
        archive(member("/tmp/out")),
        archive(member("trees/0/out", tarfile.SYMTYPE, "../../../out")),
        archive(member("trees/0/pipe", tarfile.FIFOTYPE)),
        archive(member("trees/0/disk", tarfile.BLKTYPE)),
        archive(member("trees", tarfile.SYMTYPE, "/etc"), member("trees/0/x")),
        archive(member("bundle.json"), member("definition.yaml")),
    ],
    ids=range(10),
)
def test_what_is_no_bundle_is_refused_and_writes_nothing_elsewhere(
    hostile: bytes, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError, match=r"the bundle of a group|an entry of the cluster"):
        restore(hostile, tmp_path / "in" / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert {path.name for path in (tmp_path / "in").iterdir()} <= {"bundle"}


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/etc", "trees/../..", "trees/0/..", "../trees/0", "trees", "."])
async def test_a_job_can_not_name_files_of_the_worker(folder: Path, path: str) -> None:
    [job] = part(split(await fetched(folder), first_id=1, group="g")[:1]).jobs
    block = next(block for block in job.blocks if block.definitions)
    source = block.definitions[0]
    assert source.fetched is not None
    source = evolve(source, fetched=evolve(source.fetched, folder=Path(path)))
    hostile = evolve(job, blocks=(evolve(block, definitions=(source,)),))
    with pytest.raises(ClusterError, match="names the folder"):
        settle(hostile, folder)
