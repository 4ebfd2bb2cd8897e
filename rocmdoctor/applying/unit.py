"""The systemd unit that goes on after a reboot or a power cut, and then removes itself."""

from __future__ import annotations

import os
from pathlib import Path

from rocmdoctor.applying.programs import quiet

NAME = "rocmdoctor-resume.service"
FOLDER = Path("/etc/systemd/system")
# Set in the unit alone.
_INSIDE = "ROCMDOCTOR_UNIT"
_TEXT = """\
# Written by rocmdoctor for run {run}; it removes itself when that run has ended.
[Unit]
Description=rocmdoctor: go on with installation {run}
Wants=network-online.target
After=network-online.target local-fs.target systemd-user-sessions.service
ConditionPathExists={folder}/plan.json

[Service]
Type=oneshot
Environment={inside}=1
ExecStart={python} -I -B {start} resume --state {state} --unattended {run}
ExecStopPost=-/bin/systemctl daemon-reload
UMask=0022
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""


def systemd_runs() -> bool:
    """sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


def arm(run: str, folder: Path, python: str, start: Path, state: Path) -> bool:
    """From now on the next boot goes on with this run. False where there is no systemd. Raises OSError."""
    if not systemd_runs():
        return False
    text = _TEXT.format(run=run, folder=folder, python=python, start=start, state=state, inside=_INSIDE)
    aside = FOLDER / f".{NAME}.new"
    aside.write_text(text, encoding="utf-8")
    aside.chmod(0o644)
    aside.replace(FOLDER / NAME)
    wants = FOLDER / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    link = wants / NAME
    if not link.is_symlink():
        link.symlink_to(FOLDER / NAME)
    os.sync()
    quiet(("systemctl", "daemon-reload"))
    return True


def disarm() -> None:
    """The next boot does nothing of ours."""
    if not (FOLDER / NAME).exists():
        return
    (FOLDER / "multi-user.target.wants" / NAME).unlink(missing_ok=True)
    (FOLDER / NAME).unlink(missing_ok=True)
    # Read anew while it runs, a unit without a file has systemd's own time limit, and is ended for it; it reloads at its end.
    if systemd_runs() and _INSIDE not in os.environ:
        quiet(("systemctl", "daemon-reload"))


def reboot() -> bool:
    """Asks systemd for it. False when it will not: some program, such as a package manager, asks the machine to stay up."""
    return quiet(("systemctl", "reboot")) in (0, None)
