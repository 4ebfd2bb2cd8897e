"""Who is in which group, and what of /etc/group leaves the machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.facts.access import DeviceNodes, Group, NewUsers, Session, group_pattern, read_groups
from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.hosts.collector import _kept
from rocmdoctor.model import Answer

_FILE = """root:x:0:
sudo:x:27:bob,ann
video:x:44:bob
render:$6$hash$hash:110:bob,ann,eve
annette:x:1001:annette
ann:x:1000:
"""


def _groups(text: str, user: str | None, *names: str) -> tuple[Group, ...]:
    return read_groups(_kept(text, group_pattern({"render", "video", *names}, user)), user)


def test_members_of_the_groups() -> None:
    groups = {g.gid: (g.name, g.member) for g in _groups(_FILE, "ann")}
    assert groups == {
        0: ("", False), 27: ("", True), 44: ("video", False), 110: ("render", True), 1001: ("", False), 1000: ("", False),
    }  # fmt: skip


def test_other_members_and_passwords_stay() -> None:
    left = _kept(_FILE, group_pattern({"render", "video"}, "ann"))
    for word in ("bob", "eve", "hash", "annette", "sudo", "root"):
        assert word not in left


def test_without_a_name_there_are_no_members() -> None:
    assert not any(g.member for g in _groups(_FILE, None))


_name = st.from_regex(r"[a-z_][a-z0-9_.-]{0,8}", fullmatch=True)


@given(
    st.lists(
        st.tuples(_name, st.integers(0, 4000000), st.lists(_name, max_size=4)),
        max_size=8,
        unique_by=lambda g: g[0],
    ),
    _name,
)
def test_any_file(lines: list[tuple[str, int, list[str]]], user: str) -> None:
    text = "".join(f"{name}:x:{gid}:{','.join(members)}\n" for name, gid, members in lines)
    found = _groups(text, user)
    # A user who is called like one of the groups looked for is not told from it; nobody is.
    if user not in ("render", "video"):
        assert [(g.gid, g.member) for g in found] == [(gid, user in members) for _, gid, members in lines]
        assert [g.name for g in found] == [n if n in ("render", "video") else "" for n, _, _ in lines]


def test_a_session() -> None:
    answers = {
        "read:/proc/self/status": Answer(True, text="Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t998\nGroups:\t44 998 \n"),
        "stat:/proc/self": Answer(True, text="dir 0555 1000 1000"),
    }  # fmt: skip
    session = read(Session, answers)
    assert session == Session(uid=1000, name=None, gids=(998, 44))
    assert session.who == "user 1000"


@pytest.mark.parametrize("text", ["", "Uid:\n", "Uid:\t1 2\nGid:\t1 2 3 4\n", "Uid:\t²\t²\t²\t²\n"])
def test_a_session_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UnknownError):
        read(Session, {"read:/proc/self/status": Answer(True, text=text)})


def test_nodes_of_an_odd_folder() -> None:
    answers = {
        "stat:/dev/kfd": Answer(True, text="char 0660 root render"),
        "list:/dev/dri": Answer(True, text="by-path/\ncard0\nrenderD128\nrenderD128x\nrenderD129\n"),
        "stat:/dev/dri/renderD128": Answer(True, text="char 0660 root render"),
        "access:/dev/dri/renderD128": Answer(False, why="error", detail="ENOMEM"),
        "stat:/dev/dri/renderD129": Answer(True, text="nonsense"),
    }
    nodes = read(DeviceNodes, answers)
    assert list(nodes.renders) == [128]
    assert (nodes.renders[128].opened, nodes.renders[128].error) == (False, "ENOMEM")
    assert nodes.kfd is not None
    assert nodes.kfd.opened is None


def test_new_users() -> None:
    def extra(text: str) -> object:
        return read(NewUsers, {"read:/etc/adduser.conf": Answer(True, text=text)}).extra

    assert extra('ADD_EXTRA_GROUPS=1\nEXTRA_GROUPS="video render"\n') == ("video", "render")
    assert extra('EXTRA_GROUPS="video render"\n') is None
    assert extra("") is None
