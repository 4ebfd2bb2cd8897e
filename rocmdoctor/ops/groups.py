"""Groups that open the GPUs' device nodes: for the person, and for accounts that are made later."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rocmdoctor.actions import Action, Exec, Undo, WriteFile
from rocmdoctor.facts.access import NewUsers
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query, Run
from rocmdoctor.ops.arguments import UserName
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.registry import operation

ADDUSER = "/etc/adduser.conf"


@frozen
class _Seen:
    """A group as the system has it; None: nobody could tell."""

    exists: bool | None
    member: bool | None

    @property
    def words(self) -> str:
        if self.exists is None:
            return "unknown"
        return "a member" if self.member else "not a member" if self.exists else "no such group"


def _question(ground: Ground, group: str) -> Run:
    """A group's line without its other members; getent also knows groups of a directory service."""
    keep = rf"^{group}(?=:)|(?<=[:,]){re.escape(ground.person.name)}(?=,|$)"
    return Run(("getent", "group", "--", group), keep=keep, limit=1 << 16)


def _asks(ground: Ground, *, groups: list[str], **_: object) -> Iterator[Query]:
    for group in groups:
        yield _question(ground, group)


@operation("user.groups", asks=_asks)
def user_groups(ground: Ground, *, groups: list[UserName], new_users: bool = False) -> Iterator[Action]:
    """Add the user to groups, which are made where they are missing.

    With `new_users` accounts that adduser makes later get them too; names that it gives already stay. Root needs no
    group. What nobody could tell is planned, since joining a group twice changes nothing; an adduser.conf that cannot
    be read is a refusal, since names in it could get lost.
    """
    for group in groups:
        yield from _one(ground, group)
    if new_users:
        yield from _new_users(ground, groups)


def _one(ground: Ground, group: str) -> Iterator[Action]:
    name = ground.person.name
    seen = _seen(ground, group)
    if not seen.exists:
        yield Action(
            do=Exec(("groupadd", "--system", "--force", group)),
            says=f"make the system group {group}",
            undo=Undo("commands", f"removes the group {group}", (("groupdel", group),))
            if seen.exists is False
            else Undo("nothing", "it may have been there before"),
            seconds=0.5,
        )
    if not seen.member and ground.person.uid != 0:
        # gpasswd also takes people of a directory service, who have no line in /etc/passwd; usermod does not.
        yield Action(
            do=Exec(("gpasswd", "-a", name, group)),
            says=f"add {name} to the group {group}",
            undo=Undo("commands", f"takes {name} out of the group {group}", (("gpasswd", "-d", name, group),))
            if seen.member is False
            else Undo("nothing", f"{name} may have been a member before"),
            seconds=0.5,
            then="Log out and in again, or reboot: sessions that are open keep their old groups.",
        )


def _seen(ground: Ground, group: str) -> _Seen:
    said = ground.answer(_question(ground, group))
    if said.ok and said.exit_code == 0:
        found = _Seen(exists=True, member=ground.person.name in said.stdout.split("\n")[1:])
    # getent(1): 2 when there is no such entry.
    elif said.ok and said.exit_code == 2:
        found = _Seen(exists=False, member=False)
    else:
        found = _on_paper(ground, group)
    ground.claim(f"{ground.person.name} in group {group}", found.words)
    return found


def _on_paper(ground: Ground, group: str) -> _Seen:
    # The fact knows the groups of GPUs by name and no others.
    try:
        member = ground.in_group(group)
    except UnknownError:
        member = None
    if member is None and group not in ("render", "video"):
        return _Seen(None, None)
    return _Seen(exists=member is not None, member=bool(member))


def _new_users(ground: Ground, groups: list[str]) -> Iterator[Action]:
    now = ground.known.get(NewUsers).extra
    ground.claim("groups of new users", " ".join(now) if now is not None else "none")
    wanted = [*(now or ()), *(g for g in groups if g not in (now or ()))]
    if now is not None and len(wanted) == len(now):
        return
    yield Action(
        # adduser takes the last line of a name, so that a block at the end decides.
        do=WriteFile(ADDUSER, f'ADD_EXTRA_GROUPS=1\nEXTRA_GROUPS="{" ".join(wanted)}"\n', block=True),
        says=f"give new users the groups {_listed(groups)} ({ADDUSER})",
        undo=Undo("restore"),
        seconds=0.1,
    )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
