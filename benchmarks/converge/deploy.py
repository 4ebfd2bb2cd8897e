"""What `rocmdoctor install base --arch gfx90a` leaves on Debian 13, for pyinfra, which runs this file.

Not part of rocmdoctor, which neither imports nor needs pyinfra.
"""

from __future__ import annotations

import json
import os
from io import StringIO
from pathlib import Path

from pyinfra.operations import apt, files, server

wanted = json.loads(Path(os.environ["CONVERGE_DESIRED"]).read_text(encoding="utf-8"))
user, home = wanted["user"], wanted["home"]
MARKS = {"marker": "# {mark}", "begin": ">>> rocmdoctor >>>", "end": "<<< rocmdoctor <<<"}

# Ours refreshes package lists only before it installs something; here, as in the playbook, they count as fresh.
apt.packages(name="packages", packages=wanted["packages"], no_recommends=True)
for group in wanted["groups_wanted"]:
    server.group(name=f"group {group}", group=group, system=True)
server.user(name="membership", user=user, groups=wanted["groups_wanted"], append=True)
files.block(
    name="groups of new users",
    path="/etc/adduser.conf",
    content=wanted["adduser_block"].rstrip("\n"),
    **MARKS,
)
files.put(
    name="udev rule",
    src=StringIO(wanted["udev_rule"]),
    dest="/etc/udev/rules.d/70-rocmdoctor.rules",
    user="root",
    group="root",
    mode="644",
)
files.directory(
    name="folder of the variables", path=f"{home}/.config/rocmdoctor", user=user, group=user, mode="755"
)
files.put(
    name="variables",
    src=StringIO(wanted["env_sh"]),
    dest=f"{home}/.config/rocmdoctor/env.sh",
    user=user,
    group=user,
    mode="644",
)
files.block(
    name="the shell reads them", path=f"{home}/.bashrc", content=wanted["bashrc_block"].rstrip("\n"), **MARKS
)
