"""Which downloads are for a job's container, and which are the driver's."""

import pytest
import yaml

from callboard.actors.support import skip_reason
from callboard.definition import NodeJob, PipelineAction, pipeline, read_text, split

URLS = {
    "http-download": "http://files.example/x",
    "file-download": "file:///x",
    "scp-download": "scp://host/x",
    "lxc-download": "lxc:///x",
    "pre-downloaded": "downloads://x",
}


def job(to: str, *, contained: bool) -> NodeJob:
    """A job that downloads from everywhere."""
    container = {"name": "box", "distribution": "debian", "release": "bookworm"}
    images = {name: {"url": url} for name, url in URLS.items()}
    content = {
        "job_name": "x",
        "device_type": "qemu",
        "visibility": "public",
        "timeouts": {"job": {"minutes": 5}},
        "actions": [{"deploy": {"to": to, "images": images, "postprocess": {}}}],
    }
    if contained:
        content["protocols"] = {"lava-lxc": container}
        content["actions"] = [{"deploy": {"to": "lxc"}}, *content["actions"]]
    found, diagnostics = read_text(yaml.safe_dump(content))
    assert found is not None, diagnostics
    [split_off] = split(found, first_id=1, group="")
    return split_off


def leaves(actions: tuple[PipelineAction, ...]) -> dict[str, PipelineAction]:
    found: dict[str, PipelineAction] = {}
    for each in actions:
        found |= leaves(each.children) if each.children else {each.name: each}
    return found


def skipped(split_off: NodeJob) -> set[str]:
    """The actions that a node of this machine skips."""
    actions = leaves(pipeline(split_off))
    return {name for name, each in actions.items() if skip_reason(split_off, each) is not None}


@pytest.mark.parametrize("to", ["download", "downloads"])
def test_with_a_container_its_files_are_fetched(to: str) -> None:
    assert skipped(job(to, contained=True)) <= {"download-postprocess-docker"}


@pytest.mark.parametrize(("to", "contained"), [("downloads", False), ("fastboot", True)])
def test_other_files_are_the_drivers_to_fetch(to: str, contained: bool) -> None:
    assert skipped(job(to, contained=contained)) >= URLS.keys()
