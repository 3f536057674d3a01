"""Files of deploy blocks, put into real containers."""

import gzip
import signal
from collections.abc import Iterator
from hashlib import sha256

import pytest
import yaml
from tests.sources.servers import Hanging, Web, web
from tests.system.boxes import collect, left
from tests.system.harness import Callboard, Ran

from callboard.events import ActionEnded, Message

pytestmark = pytest.mark.needs_lxc("busybox")

CONTENT = b"an image\n" * 1_000


@pytest.fixture
def callboard(callboard: Callboard) -> Iterator[Callboard]:
    """The command line; after the test no container may be left, and its base goes too."""
    yield callboard
    found = left(callboard)
    collect(callboard, "--bases")
    assert found == []


@pytest.fixture
def site() -> Iterator[Web]:
    """A server that has images."""
    with web() as site:
        site.pages |= {"/plain.img": CONTENT, "/packed.img.gz": gzip.compress(CONTENT)}
        yield site


def job(*blocks: dict[str, object]) -> str:
    """A job with a container."""
    container = {"name": "box", "template": "busybox", "distribution": "busybox", "release": "1"}
    return yaml.safe_dump(
        {
            "job_name": "downloads",
            "device_type": "lxc",
            "visibility": "public",
            "timeouts": {"job": {"minutes": 5}, "action": {"minutes": 2}},
            "protocols": {"lava-lxc": container},
            "actions": list(blocks),
        },
        sort_keys=False,
    )


MAKE: dict[str, object] = {"deploy": {"to": "lxc"}}
BOOT: dict[str, object] = {"boot": {"method": "lxc", "prompts": ["#"]}}


def deploy(to: str, **images: object) -> dict[str, object]:
    return {"deploy": {"to": to, "images": images}}


def shell(*steps: str) -> dict[str, object]:
    content = {
        "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "look"},
        "run": {"steps": list(steps)},
    }
    source = {"from": "inline", "name": "look", "path": "look.yaml", "repository": content}
    return {"test": {"definitions": [source]}}


def ended(ran: Ran, ending: str = "download") -> list[tuple[str, str]]:
    """How the actions ended whose names end like that."""
    bodies = [each.body for each in ran.events(ActionEnded)]
    return [
        (body.name, body.result)
        for body in bodies
        if isinstance(body, ActionEnded) and body.name.endswith(ending)
    ]


def error(ran: Ran) -> tuple[str, str]:
    """Class and text of what ended the job."""
    [found] = ran.document["jobs"]
    return found["error"]["type"], found["error"]["message"]


def test_files_are_put_into_a_container_before_it_runs_and_while_it_does(
    callboard: Callboard, site: Web
) -> None:
    digest, secret = sha256(CONTENT).hexdigest(), "very-secret-value"

    def case(name: str) -> str:
        look = f"sha256sum /lava-lxc/{name}.img | grep {digest}"
        return f"lava-test-case {name} --shell '{look}'"

    (callboard.folder / "own.img").write_bytes(CONTENT)
    ran = callboard.run(
        job(
            MAKE,
            deploy("downloads", early={"url": f"{site.url}/plain.img", "sha256sum": digest}),
            BOOT,
            deploy(
                "download",
                packed={
                    "url": f"{site.url}/packed.img.gz",
                    "compression": "gz",
                    "headers": {"X-Token": secret},
                },
                own={"url": "own.img"},
            ),
            deploy(
                "download",
                there={"url": "lxc:///plain.img"},
                before={"url": "downloads://packed.img"},
            ),
            shell(*map(case, ("plain", "packed", "own"))),
        )
    )
    assert ran.exit_code == 0, ran.document
    [found] = ran.document["jobs"]
    cases = {each["case"]: each["result"] for each in found["results"] if each["suite"] != "lava"}
    assert cases == dict.fromkeys(("plain", "packed", "own"), "pass")
    assert ended(ran) == [
        ("http-download", "pass"),
        ("http-download", "pass"),
        ("file-download", "pass"),
        ("lxc-download", "pass"),
    ]
    assert ended(ran, "pre-downloaded") == [("pre-downloaded", "pass")]
    said = [each.body.text for each in ran.events(Message) if isinstance(each.body, Message)]
    assert "/lava-lxc/packed.img in the container has 9,000 bytes" in said
    assert list((callboard.folder / "cache").iterdir()) == []
    assert site.asked[-1][1]["X-Token"] == secret
    assert all(
        secret not in path.read_text() for path in ran.directory.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize(
    ("images", "kind", "text"),
    [
        ({"url": "{site}/none"}, "JobError", "404"),
        ({"url": "{site}/plain.img", "md5sum": "0" * 32}, "JobError", "has the md5sum"),
        ({"url": "{site}/plain.img", "compression": "gz"}, "JobError", "can't be unpacked"),
        ({"url": "/etc/hostname"}, "JobError", "--allow-local"),
        ({"url": "scp://127.0.0.1/etc/hostname"}, "JobError", "--allow-local"),
        ({"url": "{site}/broken"}, "InfrastructureError", "503"),
        ({"url": "lxc:///none"}, "JobError", "Resource unavailable: /lava-lxc/none"),
        ({"url": "downloads://none"}, "JobError", "Resource unavailable: downloads://none"),
    ],
)
def test_a_file_that_can_not_be_had_ends_the_job_and_says_who_is_to_blame(
    callboard: Callboard, site: Web, images: dict[str, str], kind: str, text: str
) -> None:
    site.pages["/broken"] = 503
    image = images | {"url": images["url"].format(site=site.url)}
    ran = callboard.run(job(MAKE, deploy("download", image=image), shell("true")))
    assert ran.exit_code == 3
    found, message = error(ran)
    assert (found, text in message) == (kind, True), message
    assert list((callboard.folder / "state/lxc").glob("box*")) == []


def test_without_a_container_there_is_nowhere_to_put_a_file(
    callboard: Callboard, site: Web
) -> None:
    ran = callboard.run(
        job(deploy("download", image={"url": f"{site.url}/plain.img"}), MAKE, BOOT, shell("true"))
    )
    kind, message = error(ran)
    assert (kind, "isn't made yet" in message) == ("JobError", True), message
    assert site.asked == []


def test_a_download_is_tried_again_as_often_as_its_block_says(
    callboard: Callboard, site: Web
) -> None:
    site.pages["/broken"] = 503
    block: dict[str, object] = {
        "to": "download",
        "failure_retry": 3,
        "images": {"image": {"url": f"{site.url}/broken"}},
    }
    ran = callboard.run(job(MAKE, {"deploy": block}, BOOT, shell("true")))
    assert (error(ran)[0], len(site.asked)) == ("InfrastructureError", 3)


def test_a_file_that_a_test_has_made_is_found_and_one_of_a_link_is_not_followed_outside(
    callboard: Callboard,
) -> None:
    ran = callboard.run(
        job(
            MAKE,
            BOOT,
            shell("mkdir -p /lava-lxc", "echo made > /lava-lxc/made", "ln -s /tmp /lava-lxc/x"),
            deploy("download", image={"url": "lxc:///made"}),
            deploy("download", image={"url": "lxc:///x"}),
        )
    )
    assert ended(ran) == [("lxc-download", "pass"), ("lxc-download", "fail")]


def test_docker_is_not_started(callboard: Callboard, site: Web) -> None:
    block: dict[str, object] = {
        "to": "downloads",
        "images": {"image": {"url": f"{site.url}/plain.img"}},
        "postprocess": {"docker": {"image": "x", "steps": ["true"]}},
    }
    ran = callboard.run(job(MAKE, {"deploy": block}, BOOT, shell("true")))
    assert ended(ran) == [("http-download", "pass")]
    assert ended(ran, "docker") == [("download-postprocess-docker", "skip")]


def test_what_is_to_be_flashed_stays_the_devices(callboard: Callboard, site: Web) -> None:
    ran = callboard.run(
        job(MAKE, deploy("fastboot", boot={"url": f"{site.url}/plain.img"}), BOOT, shell("true"))
    )
    assert (ended(ran), site.asked) == ([("http-download", "skip")], [])


def test_an_interrupted_download_leaves_neither_container_nor_file(
    callboard: Callboard, site: Web
) -> None:
    hanging = Hanging()
    site.pages["/hanging"] = hanging
    path = callboard.write(job(MAKE, deploy("download", image={"url": f"{site.url}/hanging"})))
    process = callboard.start("run", str(path), "--json", "-o", str(callboard.folder / "run"))
    try:
        assert hanging.wait()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        hanging.release()
    assert process.returncode == 130
    assert list((callboard.folder / "cache").iterdir()) == []
    assert list((callboard.folder / "state/lxc").glob("box*")) == []
