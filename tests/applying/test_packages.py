"""Packages with the real apt and dpkg, in a root folder of their own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Exec, Undo
from rocmdoctor.applying import packages
from rocmdoctor.ops.apt import APT, ENV
from tests.applying.conftest import Bench
from tests.applying.plans import action

pytestmark = [
    pytest.mark.touches_machine,
    pytest.mark.skipif(
        not all(map(shutil.which, ("apt-get", "dpkg-deb", "dpkg-query"))), reason="needs apt and dpkg"
    ),
]
UNDO = Undo("packages", "purges what it installed")


_FOLDERS = (
    "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "debs",
    "var/log/apt", "etc/apt/apt.conf.d", "etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d",
)  # fmt: skip


class Root:
    """An empty system with apt and dpkg, and packages that can be put into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True)
        (folder / "etc/apt/sources.list").write_text("")
        (folder / "var/lib/dpkg/status").write_text("")
        (folder / "apt.conf").write_text(f"""
Dir "{folder}";
Dir::State::status "{folder}/var/lib/dpkg/status";
Dir::Bin::methods "/usr/lib/apt/methods";
Dir::Bin::dpkg "/usr/bin/dpkg";
DPkg::Options {{ "--root={folder}"; "--force-not-root"; "--force-bad-path"; "--log=/dev/null"; }};
APT::Sandbox::User "root";
DPkg::Pre-Install-Pkgs "";
APT::Update::Error-Mode "any";
""")
        self.env: Mapping[str, str] = {
            **ENV, "APT_CONFIG": str(folder / "apt.conf"), "DPKG_ADMINDIR": str(folder / "var/lib/dpkg"),
            "DPKG_ROOT": str(folder), "DPKG_FORCE": "not-root,bad-path",
        }  # fmt: skip

    def deb(self, name: str, version: str = "1", depends: str = "", conffile: bool = False) -> str:
        tree = self.folder / f"build-{name}-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        lines = [
            f"Package: {name}",
            f"Version: {version}",
            "Architecture: all",
            "Maintainer: tests <tests@example.org>",
            "Description: for a test",
        ]
        (tree / "DEBIAN/control").write_text(
            "\n".join([*lines, *([f"Depends: {depends}"] if depends else []), ""])
        )
        if conffile:
            (tree / "etc").mkdir()
            (tree / f"etc/{name}.conf").write_text("setting\n")
            (tree / "DEBIAN/conffiles").write_text(f"/etc/{name}.conf\n")
        path = self.folder / "debs" / f"{name}_{version}_all.deb"
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", str(tree), str(path)],
            check=True,
            capture_output=True,
        )
        return str(path)

    def install(self, *debs: str, **fields: Any) -> Any:
        argv = (*APT, "install", *debs)
        simulate = ("apt-get", "-s", "-q", "install", *debs)
        return action(do=Exec(argv, self.env, simulate=simulate), **{"undo": UNDO, "timeout": 60.0, **fields})

    @property
    def there(self) -> dict[str, tuple[str, str]]:
        return packages.now(self.env)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


Make = Callable[..., Bench]


def good(one: Bench) -> None:
    outcome = one.run()
    assert outcome.state == "done", outcome.message


def test_what_a_step_installed_is_purged_again(bench: Make, root: Root) -> None:
    one = bench(root.install(root.deb("lib-a", conffile=True), root.deb("tool-b", depends="lib-a")))
    good(one)
    assert root.there == {"lib-a": ("1", "installed"), "tool-b": ("1", "installed")}
    assert sorted(one.lines[-1].more["installed"]) == ["lib-a", "tool-b"]
    undone = one.undo()
    assert (undone.failed, undone.left) == ("", ())
    assert root.there == {}
    assert not (root.folder / "etc/lib-a.conf").exists()


def test_what_was_there_before_stays(bench: Make, root: Root) -> None:
    good(bench(root.install(root.deb("lib-a"))))
    one = bench(root.install(root.deb("tool-b", depends="lib-a")))
    good(one)
    one.undo()
    assert root.there == {"lib-a": ("1", "installed")}


def test_packages_of_others_keep_theirs(bench: Make, root: Root) -> None:
    one = bench(root.install(root.deb("lib-a")))
    good(one)
    good(bench(root.install(root.deb("others", depends="lib-a"))))
    undone = one.undo()
    assert undone.left == (
        ("a", "others would have to go too, and this run did not bring them; remove them first, or keep all"),
    )
    assert root.there == {"lib-a": ("1", "installed"), "others": ("1", "installed")}
    # Once they are gone, the same undo goes on.
    subprocess.run(
        ["dpkg", f"--root={root.folder}", "--force-not-root", "--force-bad-path", "--purge", "others"],
        check=True,
        capture_output=True,
    )
    assert one.undo().undone == ("a",)
    assert root.there == {}


def test_a_newer_version_is_named_and_stays(bench: Make, root: Root) -> None:
    good(bench(root.install(root.deb("lib-a", "1"))))
    one = bench(root.install(root.deb("lib-a", "2"), root.deb("tool-b")))
    good(one)
    undone = one.undo()
    assert (undone.undone, undone.left) == (("a",), (("a", "stays in its newer version: lib-a 1 → 2"),))
    assert root.there == {"lib-a": ("2", "installed")}


def test_settings_of_an_earlier_time_stay(bench: Make, root: Root) -> None:
    deb = root.deb("lib-a", conffile=True)
    good(bench(root.install(deb)))
    subprocess.run(
        ["dpkg", f"--root={root.folder}", "--force-not-root", "--force-bad-path", "--remove", "lib-a"],
        check=True,
        capture_output=True,
    )
    one = bench(root.install(deb))
    good(one)
    one.undo()
    assert root.there == {"lib-a": ("1", "config-files")}
    assert (root.folder / "etc/lib-a.conf").read_text() == "setting\n"


def test_what_somebody_removed_meanwhile_is_no_error(bench: Make, root: Root) -> None:
    one = bench(root.install(root.deb("lib-a")))
    good(one)
    subprocess.run(
        ["dpkg", f"--root={root.folder}", "--force-not-root", "--force-bad-path", "--purge", "lib-a"],
        check=True,
        capture_output=True,
    )
    assert one.undo().undone == ("a",)


def test_a_removal_is_refused_unless_it_was_agreed_to(bench: Make, root: Root) -> None:
    good(bench(root.install(root.deb("lib-a"))))
    conflicting = root.deb("lib-b", depends="")
    text = (root.folder / "build-lib-b-1/DEBIAN/control").read_text()
    (root.folder / "build-lib-b-1/DEBIAN/control").write_text(text + "Conflicts: lib-a\n")
    subprocess.run(
        [
            "dpkg-deb",
            "--build",
            "--root-owner-group",
            "-Zgzip",
            str(root.folder / "build-lib-b-1"),
            conflicting,
        ],
        check=True,
        capture_output=True,
    )
    one = bench(root.install(conflicting))
    assert one.run().message.startswith(
        "apt-get would remove lib-a, and agreed to was no removal; nothing was done."
    )
    assert root.there == {"lib-a": ("1", "installed")}
    agreed = bench(root.install(conflicting, removes=("lib-a",)))
    good(agreed)
    assert root.there == {"lib-b": ("1", "installed")}
    assert agreed.undo().left == (("a", "was removed and is not brought back: lib-a 1"),)


def test_a_step_that_failed_half_way_can_be_taken_back(bench: Make, root: Root) -> None:
    deb = root.deb("lib-a")
    argv = ("sh", "-c", f"apt-get -y install {deb}; exit 9")
    one = bench(action(do=Exec(argv, root.env), undo=UNDO, timeout=60.0))
    assert one.run().state == "failed"
    assert one.lines[-1].more["installed"] == ["lib-a"]
    assert one.undo().undone == ("a",)
    assert root.there == {}


def test_a_step_that_was_cut_off_gives_back_only_what_it_was_to_bring(bench: Make, root: Root) -> None:
    import os
    import signal

    from tests.applying.conftest import in_child

    deb, theirs = root.deb("lib-a"), root.deb("theirs")
    argv = ("sh", "-c", f"apt-get -y install {deb}; kill -9 $PPID")
    one = bench(action(do=Exec(argv, root.env), undo=UNDO, timeout=60.0, installs=("lib-a",)))
    assert os.WTERMSIG(in_child(one.run)) == signal.SIGKILL
    assert one.said[-1] == ("begin", "a")
    good(bench(root.install(theirs)))
    assert one.undo().undone == ("a",)
    assert root.there == {"theirs": ("1", "installed")}


def test_a_second_try_still_knows_what_the_first_one_found(bench: Make, root: Root, tmp_path: Path) -> None:
    deb = root.deb("lib-a")
    argv = ("sh", "-c", f"apt-get -y install {deb}; test -e {tmp_path}/gate")
    one = bench(action(do=Exec(argv, root.env), undo=UNDO, timeout=60.0))
    assert one.run().state == "failed"
    (tmp_path / "gate").touch()
    good(one)
    assert one.lines[-1].more["installed"] == ["lib-a"]
    assert one.undo().undone == ("a",)
    assert root.there == {}


def test_what_was_left_of_a_failed_step_goes_with_a_later_undo(bench: Make, root: Root) -> None:
    deb = root.deb("lib-a")
    one = bench(
        action(do=Exec(("sh", "-c", f"apt-get -y install {deb}; exit 9"), root.env), undo=UNDO, timeout=60.0)
    )
    assert one.run().state == "failed"
    good(bench(root.install(root.deb("others", depends="lib-a"))))
    assert [name for name, _ in one.undo().left] == ["a"]
    subprocess.run(
        ["dpkg", f"--root={root.folder}", "--force-not-root", "--force-bad-path", "--purge", "others"],
        check=True,
        capture_output=True,
    )
    assert one.undo().undone == ("a",)
    assert root.there == {}
