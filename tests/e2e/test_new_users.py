"""adduser(8) itself, with the lines that user.groups writes."""

from __future__ import annotations

import re
from pathlib import Path

from rocmdoctor.actions import WriteFile
from rocmdoctor.applying.blocks import with_block
from rocmdoctor.facts.access import NewUsers
from rocmdoctor.model import Read
from tests.e2e.boxes import Box, box
from tests.e2e.images import TRIXIE
from tests.machines.healthy import machine
from tests.ops.test_operations import ground_of, planned


def _kept(root: Path) -> str:
    query = NewUsers.queries()["conf"]
    assert isinstance(query, Read)
    text = (root / "etc/adduser.conf").read_text()
    return "".join(f"{found.group(0)}\n" for found in re.finditer(query.keep, text, re.MULTILINE))


def _groups_of_a_new_user(fresh: Box, name: str) -> set[str]:
    fresh.good(f"adduser --quiet --disabled-password --comment '' {name}")
    return set(fresh.good(f"id -nG {name}").split())


def test_accounts_that_are_made_later_get_the_groups_and_those_of_before(tmp_path: Path) -> None:
    with box(TRIXIE, tmp_path / "box") as fresh:
        fresh.good("apt-get update -q && apt-get install -yq --no-install-recommends adduser", seconds=300)
        fresh.good("groupadd --system --force render && groupadd --system --force render")
        for before, name in (("", "bea"), ("ADD_EXTRA_GROUPS=1\nEXTRA_GROUPS='dialout'\n", "cyd")):
            conf = fresh.root / "etc/adduser.conf"
            conf.write_text(conf.read_text() + before)
            answers = machine("mi210")
            answers["read:/etc/adduser.conf"] = {"ok": True, "text": _kept(fresh.root)}
            _, actions = planned(
                "user.groups", {"groups": ["render", "video"], "new_users": True}, ground_of(answers)
            )
            (write,) = (a.do for a in actions if isinstance(a.do, WriteFile))
            untouched = conf.read_bytes()
            conf.write_bytes(with_block(untouched, write.text or ""))
            answers["read:/etc/adduser.conf"] = {"ok": True, "text": _kept(fresh.root)}
            assert (
                planned(
                    "user.groups", {"groups": ["render", "video"], "new_users": True}, ground_of(answers)
                )[1]
                == []
            )
            found = _groups_of_a_new_user(fresh, name)
            assert {"render", "video"} <= found
            assert ("dialout" in found) is bool(before)
            conf.write_bytes(untouched)
