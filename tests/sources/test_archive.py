"""Archives: what is unpacked, and what is refused."""

import contextlib
import gzip
import io
import os
import random
import re
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.sources import archive
from callboard.sources.archive import unpack
from callboard.sources.errors import SourceError

CORRUPT = "can't be read"


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type = kind
    for key, value in more.items():
        setattr(found, key, value)
    return found


def packed(path: Path, *members: tarfile.TarInfo, mode: str = "w") -> Path:
    """An archive of these members; each file holds its own name."""
    with tarfile.open(path, mode) as opened:  # type: ignore[call-overload] # modes are literals
        for each in members:
            content = each.name.encode(errors="surrogateescape") if each.isreg() else b""
            each.size = len(content)
            opened.addfile(each, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_an_archive_is_unpacked_however_it_is_compressed(tmp_path: Path, mode: str) -> None:
    path = packed(
        tmp_path / "archive",
        member("top", tarfile.DIRTYPE),
        member("top/run.sh", mode=0o4755),
        member("top/data", mode=0o666),
        member("top/link", tarfile.SYMTYPE, linkname="data"),
        member("top/same", tarfile.LNKTYPE, linkname="top/data"),
        member("top/up", tarfile.SYMTYPE, linkname="../top/data"),
        mode=mode,
    )
    unpack(path, tmp_path / "tree")
    top = tmp_path / "tree/top"
    assert (top / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (top / "data").stat().st_mode & 0o7777 == 0o644
    assert (top / "link").readlink() == Path("data")
    assert (top / "same").read_text() == (top / "up").read_text() == "top/data"


def test_leading_folders_can_be_left_out(tmp_path: Path) -> None:
    path = packed(tmp_path / "archive", member("project-1.0/tests/smoke.yaml"), member("readme"))
    unpack(path, tmp_path / "tree", strip=1)
    assert [str(each.relative_to(tmp_path / "tree")) for each in tmp_path.glob("tree/**/*.*")] == [
        "tests/smoke.yaml"
    ]


DATA = member("data")
REFUSED = {
    "upward": ([member("../x")], "`../x` leads out"),
    "absolute": ([member("/etc/x")], "`/etc/x` leads out"),
    "upward within": ([member("a/../../x")], "leads out"),
    "absolute link": ([member("x", tarfile.SYMTYPE, linkname="/etc/passwd")], "leads out"),
    "outward link": ([member("a/x", tarfile.SYMTYPE, linkname="../../x")], "leads out"),
    "chain of links": (
        [
            member("x", tarfile.SYMTYPE, linkname="."),
            member("y", tarfile.SYMTYPE, linkname="x/x/../.."),
        ],
        "leads out",
    ),
    "behind a link": (
        [DATA, member("a", tarfile.SYMTYPE, linkname="."), member("a/x")],
        "lies behind a link",
    ),
    "over a link": (
        [member("a", tarfile.SYMTYPE, linkname="data"), member("a")],
        "lies behind a link",
    ),
    "hard link outward": ([member("x", tarfile.LNKTYPE, linkname="../../x")], "not in it"),
    "hard link absolute": ([member("x", tarfile.LNKTYPE, linkname="/etc/passwd")], "not in it"),
    "hard link to a link": (
        [
            DATA,
            member("l", tarfile.SYMTYPE, linkname="data"),
            member("x", tarfile.LNKTYPE, linkname="l"),
        ],
        "not in it",
    ),
    "device": ([member("null", tarfile.CHRTYPE, devmajor=1, devminor=3)], "neither"),
    "fifo": ([member("pipe", tarfile.FIFOTYPE)], "neither"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_member_that_could_do_harm_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    members, message = REFUSED[name]
    path = packed(tmp_path / "archive", *members)
    with pytest.raises(SourceError, match=re.escape(message)) as caught:
        unpack(path, tmp_path / "tree")
    assert caught.value.code == "CB114"
    assert {each.name for each in tmp_path.iterdir()} == {"archive", "tree"}


def test_what_is_no_archive_says_so(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<html>not here</html>")
    with pytest.raises(SourceError) as caught:
        unpack(path, tmp_path / "tree")
    assert "can't be read" in caught.value.message
    assert "tar archive" in (caught.value.hint or "")


def test_leaving_folders_out_does_not_bring_a_file_behind_a_link(tmp_path: Path) -> None:
    for members in (
        [member("a/x", tarfile.SYMTYPE, linkname="../mark"), member("b/x")],
        [member("a/d", tarfile.SYMTYPE, linkname=".."), member("b/d/mark")],
        [member("a/d", tarfile.SYMTYPE, linkname=".."), member("b/d/mark", tarfile.DIRTYPE)],
    ):
        path = packed(tmp_path / "archive", *members)
        tree = tmp_path / f"tree-{len(list(tmp_path.iterdir()))}"
        with pytest.raises(SourceError, match="lies behind a link"):
            unpack(path, tree, strip=1)
        assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
@pytest.mark.parametrize("harm", ["changed", "cut off"])
def test_a_damaged_archive_is_never_taken_for_a_whole_one(
    tmp_path: Path, mode: str, harm: str
) -> None:
    noise = tarfile.TarInfo("noise")
    noise.size = 100_000
    with tarfile.open(tmp_path / "archive", mode) as opened:  # type: ignore[call-overload] # literals
        opened.addfile(noise, io.BytesIO(random.Random(1).randbytes(noise.size)))
    data = bytearray((tmp_path / "archive").read_bytes())
    middle = len(data) // 2
    data[middle] ^= 0xFF
    (tmp_path / "archive").write_bytes(data[:middle] if harm == "cut off" else data)
    with pytest.raises(SourceError, match=CORRUPT) as caught:
        unpack(tmp_path / "archive", tmp_path / "tree")
    assert "\n" not in caught.value.message


def test_copies_that_hard_links_make_count_as_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "CONTENT_BYTES", 10_000)
    name = "data" * 50
    links = [member(f"link-{number}", tarfile.LNKTYPE, linkname=name) for number in range(60)]
    path = packed(tmp_path / "archive", member(name), *links)
    with pytest.raises(SourceError, match="more than is allowed"):
        unpack(path, tmp_path / "tree")


def test_a_hard_link_to_itself_is_refused_and_a_copy_over_itself_keeps_its_content(
    tmp_path: Path,
) -> None:
    path = packed(tmp_path / "archive", member("x", tarfile.LNKTYPE, linkname="x"))
    with pytest.raises(SourceError, match="not in it"):
        unpack(path, tmp_path / "tree")
    path = packed(tmp_path / "archive", member("x"), member("x", tarfile.LNKTYPE, linkname="x"))
    unpack(path, tmp_path / "other")
    assert (tmp_path / "other/x").read_text() == "x"


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("header")
    header.type, header.size = kind, 2 * archive.HEADER_BYTES
    with gzip.open(tmp_path / "archive", "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(header.size + 1024))
    with pytest.raises(SourceError, match="a header of 2097152 bytes"):
        unpack(tmp_path / "archive", tmp_path / "tree")


def test_long_names_are_unpacked(tmp_path: Path) -> None:
    name = "/".join(["folder" * 10] * 5)
    unpack(packed(tmp_path / "archive", member(name)), tmp_path / "tree")
    assert (tmp_path / "tree" / name).is_file()


def test_a_name_that_is_no_text_can_be_shown(tmp_path: Path) -> None:
    path = packed(tmp_path / "archive", member("../\udcff"))
    with pytest.raises(SourceError, match="leads out") as caught:
        unpack(path, tmp_path / "tree")
    assert caught.value.message.encode().isascii()


def test_unpacking_ends_when_it_is_told_to(tmp_path: Path) -> None:
    def check() -> None:
        raise LookupError

    path = packed(tmp_path / "archive", member("x"))
    with pytest.raises(LookupError):
        unpack(path, tmp_path / "tree", check=check)
    assert list((tmp_path / "tree").iterdir()) == []


@pytest.mark.parametrize("limit", ["MEMBERS", "CONTENT_BYTES"])
def test_an_archive_that_holds_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(archive, limit, 3)
    path = packed(tmp_path / "archive", *(member(f"file-{number}") for number in range(4)))
    with pytest.raises(SourceError, match="more than is allowed"):
        unpack(path, tmp_path / "tree")


_PARTS = st.sampled_from(["a", "b", "..", ".", "/", "c"])
_NAMES = st.lists(_PARTS, min_size=1, max_size=4).map("/".join)
_MEMBERS = st.one_of(
    st.builds(member, _NAMES),
    st.builds(member, _NAMES, st.just(tarfile.DIRTYPE)),
    st.builds(
        lambda name, kind, target: member(name, kind, linkname=target),
        _NAMES,
        st.sampled_from([tarfile.SYMTYPE, tarfile.LNKTYPE]),
        _NAMES,
    ),
)


@given(st.lists(_MEMBERS, max_size=6), st.integers(0, 2))
def test_whatever_an_archive_holds_nothing_leads_out_of_it(
    members: list[tarfile.TarInfo], strip: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        inner = top / "inner"
        inner.mkdir()
        path = packed(top / "archive", *members)
        with contextlib.suppress(SourceError):
            unpack(path, inner / "tree", strip)
            for each in (inner / "tree").rglob("*"):
                real = Path(os.path.realpath(each))
                assert real.is_relative_to(os.path.realpath(inner / "tree"))
        assert {each.name for each in top.iterdir()} == {"archive", "inner"}
        assert {each.name for each in inner.iterdir()} == {"tree"}
