"""Fetches the sources of a definition, as tests want them."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from callboard.definition import Definition, TestSource, read_text
from callboard.sources import Policy, SourcesFailed, fetch


def definition(folder: Path, *sources: Mapping[str, object]) -> Definition:
    """A definition in a folder, which need not be written, with these sources."""
    tests = [
        {"name": f"test-{number}", "path": "smoke.yaml", **source}
        for number, source in enumerate(sources)
    ]
    text = yaml.safe_dump(
        {
            "job_name": "sources",
            "device_type": "qemu",
            "visibility": "public",
            "timeouts": {"job": {"minutes": 5}},
            "actions": [{"test": {"definitions": tests}}],
        }
    )
    found, diagnostics = read_text(text, str(folder / "job.yaml"))
    assert found is not None, diagnostics
    return found


async def fetched(
    folder: Path, *sources: Mapping[str, object], policy: Policy | None = None
) -> list[TestSource]:
    """The sources with what was fetched for them."""
    filled = await fetch(definition(folder, *sources), policy or Policy())
    return list(filled.blocks[0].definitions)


async def failure(
    folder: Path, *sources: Mapping[str, object], policy: Policy | None = None
) -> list[tuple[str, str, str]]:
    """Code, message and hint of each diagnostic."""
    with pytest.raises(SourcesFailed) as caught:
        await fetched(folder, *sources, policy=policy)
    for each in caught.value.diagnostics:
        assert each.place is not None
    return [(each.code, each.message, each.hint or "") for each in caught.value.diagnostics]


def folder_of(source: TestSource) -> Path:
    """Where the files of a source are."""
    assert source.fetched is not None
    assert source.fetched.folder is not None
    return source.fetched.folder


def commit_of(source: TestSource) -> str | None:
    """The commit of a source from git."""
    assert source.fetched is not None
    return source.fetched.commit


def tar(files: dict[str, str]) -> bytes:
    """A compressed archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()
