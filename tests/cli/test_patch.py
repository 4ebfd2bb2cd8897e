"""`rocmdoctor patch`: on small trees of ours, with the real git."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.cli import patch_apply, patch_tree
from rocmdoctor.cli.main import cli, run
from rocmdoctor.hosts.replay import dumps
from tests.machines.healthy import machine
from tests.patching import trees

FLAG = "0001-leave-cuda-out-on-rocm"
PLACES = ("op_builder/builder.py", "deepspeed/ops/op_builder/builder.py")
pytestmark = [
    pytest.mark.touches_machine,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git, which applies patches"),
]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def laid(top: Path, tree: dict[str, str]) -> Path:
    """The tree on the disk."""
    for path, text in tree.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text, encoding="utf-8")
    return top


def there(top: Path, tree: dict[str, str]) -> dict[str, str]:
    return {path: (top / path).read_text(encoding="utf-8") for path in tree}


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    return laid(tmp_path / "deepspeed-0.14.0", trees.sdist())


def saved(tmp_path: Path, **more: Any) -> str:
    """A snapshot of a healthy machine with an MI210 and an older torch."""
    path = tmp_path / "box.json"
    answers = {**machine("mi210-training"), **more}
    path.write_text(
        dumps({"schema": 1, "tool": "t", "taken_at": "", "host": {}, "answers": answers}), encoding="utf-8"
    )
    return str(path)


def said(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The envelope."""
    capsys.readouterr()
    assert run([*words, "--json"]) == code
    envelope: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert envelope["exit_code"] == code
    return envelope


def printed(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    capsys.readouterr()
    assert run(words) == code
    out, err = capsys.readouterr()
    return out, err


# ---------------------------------------------------------------- list


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = printed(["patch", "list", "deepspeed"], 0, capsys)
    assert out.startswith(
        f"deepspeed\n  {FLAG}  (>=0.12.4,<0.16.3)\n      Leave CUDA out of the CPU optimizers on ROCm\n"
        "      only where the check training.cuda-home is not ok\n  0.15.0 is not patched: "
    )
    data = said(["patch", "list"], 0, capsys)["data"]
    assert {item["project"] for item in data["patches"]} == {"axolotl", "deepspeed", "flash-attn"}
    assert [(r["version"], r["instead"]) for r in data["refused"]] == [
        ("0.15.0", "0.15.1"),
        ("0.17.5", "0.17.6"),
    ]


def test_a_patch_of_ones_own_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "own" / "patches" / "thing"
    folder.mkdir(parents=True)
    (folder / "0001-x.patch").write_text("no patch\n", encoding="utf-8")
    _, err = printed(["patch", "list", "--content", str(tmp_path / "own")], 2, capsys)
    assert err == (
        f"rocmdoctor: {folder}/0001-x.patch:1: the first line is 'no patch', wanted is 'From <commit> ...' of git format-patch "
        "(5 more)\n"
    )
    (folder / "0001-x.patch").unlink()
    _, err = printed(["patch", "list", "--content", str(tmp_path / "own")], 2, capsys)
    assert (
        err
        == f"rocmdoctor: {folder}/state.py: is not there; beside patches it says what a tree says of them\n"
    )


# ---------------------------------------------------------------- status


def test_the_status_of_an_sdist(sdist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = printed(["patch", "status", "deepspeed", str(sdist), "--tree-only"], 1, capsys)
    line = trees.builder().splitlines().index("    def is_cuda_enable(self):") + 1
    assert out == (
        f"deepspeed 0.14.0 (PKG-INFO) in {sdist}\n\n  {FLAG}  needed\n"
        f"      op_builder/builder.py:{line}: is_cuda_enable compares versions of CUDA on ROCm too, where torch\n"
        "      has none, and stops with an AttributeError\n\n"
        f"1 patch is needed: rocmdoctor patch apply deepspeed {sdist}\n"
    )
    envelope = said(["patch", "status", "deepspeed", str(sdist), "--tree-only"], 1, capsys)
    assert (envelope["command"], envelope["status"]) == ("patch status", "findings")
    assert envelope["data"]["version"] == "0.14.0"
    (item,) = envelope["data"]["patches"]
    assert (item["id"], set(item["files"]), item["state"]) == (FLAG, set(PLACES), "needed")
    assert set(item) == {"id", "files", "state", "why"}


def test_what_the_machine_says(sdist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["patch", "status", "deepspeed", str(sdist), "--snapshot"]
    (item,) = said([*words, saved(tmp_path)], 0, capsys)["data"]["patches"]
    assert item["state"] == "not-needed-here"
    assert item["why"] == (
        "training.cuda-home is ok here: torch 2.7.1+rocm6.2.4 would take a CUDA toolkit, and there is none in sight"
    )
    with_cuda = saved(tmp_path, **{"env:CUDA_HOME": {"ok": True, "text": "/opt/cuda"}})
    (item,) = said([*words, with_cuda], 1, capsys)["data"]["patches"]
    assert item["state"] == "needed"
    assert "Here: torch 2.7.1+rocm6.2.4 finds a CUDA toolkit at /opt/cuda by CUDA_HOME" in item["why"]
    (item,) = said([*words, with_cuda, "--tree-only"], 1, capsys)["data"]["patches"]
    assert "Here:" not in item["why"]


def test_the_status_of_what_is_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = laid(tmp_path / "x", trees.sdist(trees.FIXED, version="0.18.6"))
    data = said(["patch", "status", "deepspeed", str(top)], 0, capsys)["data"]
    assert data["patches"][0]["state"] == "fixed-upstream"
    out, _ = printed(["patch", "status", "deepspeed", str(top)], 0, capsys)
    assert out.endswith("\n\nnothing to apply\n")
    out, err = printed(["patch", "apply", "deepspeed", str(top)], 0, capsys)
    assert (out, err) == (f"nothing to apply: {FLAG} is fixed-upstream\n", "")


def test_a_version_that_is_given(sdist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["patch", "status", "deepspeed", str(sdist), "--tree-only", "--version"]
    data = said([*words, "0.18.0"], 0, capsys)["data"]
    assert (data["version"], data["version_from"], data["patches"][0]["state"]) == (
        "0.18.0", "--version", "not-for-this-version",
    )  # fmt: skip
    _, err = printed([*words, "newest"], 2, capsys)
    assert err.splitlines()[0] == "rocmdoctor: --version: 'newest' is not a version such as 0.14.0"


def test_a_checkout_has_a_link_and_its_version_from_the_last_tag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = checkout(tmp_path)
    data = said(["patch", "status", "deepspeed", str(top), "--tree-only"], 1, capsys)["data"]
    assert data["version_from"] == "git describe"
    assert data["version"].startswith("0.14.0+1.g")
    out, _ = printed(["patch", "apply", "deepspeed", str(top), "--tree-only"], 0, capsys)
    assert out == f"{FLAG}: applied to op_builder/builder.py\n"
    assert (top / "deepspeed/ops/op_builder").is_symlink()
    changed = subprocess.run(
        ["git", "-C", str(top), "status", "--short"], capture_output=True, text=True, check=True
    )
    assert changed.stdout == " M op_builder/builder.py\n"
    assert (
        said(["patch", "status", "deepspeed", str(top), "--tree-only"], 0, capsys)["data"]["patches"][0][
            "state"
        ]
        == "applied"
    )


def checkout(tmp_path: Path) -> Path:
    top = laid(tmp_path / "src", {"op_builder/builder.py": trees.builder(), "version.txt": "0.14.1\n"})
    (top / "deepspeed" / "ops").mkdir(parents=True)
    (top / "deepspeed" / "ops" / "op_builder").symlink_to("../../op_builder")
    for words in (
        ["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"], ["tag", "v0.14.0"],
        ["commit", "-q", "--allow-empty", "-m", "two"],
    ):  # fmt: skip
        argv = ["git", "-C", str(top), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        subprocess.run(argv, check=True, timeout=30)
    return top


def test_what_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = laid(tmp_path / "site", {
        PLACES[1]: trees.builder(), "deepspeed-0.14.0.dist-info/METADATA": "Name: deepspeed\nVersion: 0.14.0\n",
    })  # fmt: skip
    out, _ = printed(["patch", "apply", "deepspeed", str(top), "--tree-only"], 0, capsys)
    assert out == f"{FLAG}: applied to {PLACES[1]}\n"


# ---------------------------------------------------------------- apply


def test_it_is_applied_once(sdist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["patch", "apply", "deepspeed", str(sdist), "--tree-only"]
    (sdist / PLACES[0]).chmod(0o640)
    out, _ = printed([*words, "-n"], 0, capsys)
    assert out == f"{FLAG}: would be applied to {PLACES[1]}, {PLACES[0]}\n"
    assert there(sdist, trees.sdist()) == trees.sdist()
    data = said([*words, "-n"], 0, capsys)["data"]
    assert (data["applied"], data["would_apply"], data["patches"][0]["state"]) == ([], [FLAG], "needed")
    data = said(words, 0, capsys)["data"]
    assert (data["applied"], data["would_apply"], data["patches"][0]["state"]) == ([FLAG], [], "applied")
    for path in PLACES:
        text = (sdist / path).read_text(encoding="utf-8")
        assert (
            text.count("        if self.is_rocm_pytorch():\n            return '-D__DISABLE_CUDA__'\n") == 1
        )
    out, _ = printed(words, 0, capsys)
    assert out == f"nothing to apply: {FLAG} is applied\n"
    out, _ = printed([*words, "1"], 0, capsys)
    assert out.startswith(f"{FLAG}: applied, ")


def test_one_that_is_named_is_applied_where_the_machine_does_without(
    sdist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["patch", "apply", "deepspeed", str(sdist), "--snapshot", saved(tmp_path)]
    out, _ = printed(words, 0, capsys)
    assert out == f"nothing to apply: {FLAG} is not-needed-here\n"
    out, _ = printed([*words, "0001"], 0, capsys)
    assert out.startswith(f"{FLAG}: applied to ")


def test_several_are_applied_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = laid(tmp_path / "axolotl", trees.march_2024())
    data = said(["patch", "apply", "axolotl", str(top)], 0, capsys)["data"]
    assert data["applied"] == ["0001-require-no-xformers", "0005-import-without-xformers"]
    assert data["version"] == "0.4.0"
    assert data["version_from"] == "setup.py"
    assert "xformers" not in (top / "requirements.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("ids", [[], ["0001"]])
def test_the_change_of_2024_stands_in_the_way(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tree = trees.sdist(compare=trees.FALSE)
    top = laid(tmp_path / "x", tree)
    words = ["patch", "apply", "deepspeed", str(top), *ids, "--tree-only"]
    out, err = printed(words, 4, capsys)
    assert out == ""
    assert err == (
        f"rocmdoctor: {FLAG}: op_builder/builder.py: assert_no_cuda_mismatch is not DeepSpeed's own. It says no by returning "
        "False, as in the change that a post of March 2024 made, and nobody looks at what it returns: is_cuda_enable then takes "
        "this machine for one with CUDA; put the file back first (git checkout op_builder/builder.py, or unpack the sdist again)\n"
        "nothing was changed\n"
    )
    (error,) = said(words, 4, capsys)["errors"]
    assert (error["code"], error["where"]) == ("conflict", FLAG)
    assert there(top, tree) == tree
    out, _ = printed(["patch", "status", "deepspeed", str(top), "--tree-only"], 1, capsys)
    assert "1 patch is in conflict; see above for what stands in the way" in out


def test_one_that_is_named_and_not_for_this_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = laid(tmp_path / "x", trees.sdist(trees.BROAD, version="0.12.2"))
    _, err = printed(["patch", "apply", "deepspeed", str(top), "1"], 4, capsys)
    assert f"rocmdoctor: {FLAG}: op_builder/builder.py:" in err
    assert "0.12.4 is the first that does not\nnothing was changed\n" in err


def test_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second of two cannot be applied: the first is taken back."""
    tree = trees.march_2024()
    top = laid(tmp_path / "axolotl", tree)
    real = patch_apply.apply
    (top / "setup.py").chmod(0o755)

    def fails(patch, read, *, check: bool) -> None:
        if patch.id.startswith("0005") and not check:
            raise patch_tree.TreeError("git apply ends with 1: no space left")
        real(patch, read, check=check)

    monkeypatch.setattr(patch_apply, "apply", fails)
    _, err = printed(["patch", "apply", "axolotl", str(top)], 4, capsys)
    assert err == f"rocmdoctor: {top}: git apply ends with 1: no space left\nnothing was changed\n"
    assert there(top, tree) == tree
    assert stat.S_IMODE((top / "setup.py").stat().st_mode) == 0o755
    assert sorted(p.name for p in top.iterdir()) == ["requirements.txt", "setup.py", "src"]


@pytest.mark.parametrize("what", ["says so and does nothing", "does another thing"])
def test_what_git_says_is_not_believed(
    sdist: Path, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lies(patch, read, *, check: bool) -> None:
        if what == "does another thing" and not check:
            (read.top / PLACES[0]).write_text("x = 1\n", encoding="utf-8")

    monkeypatch.setattr(patch_apply, "apply", lies)
    _, err = printed(["patch", "apply", "deepspeed", str(sdist), "--tree-only"], 4, capsys)
    assert (
        "git says that it was applied, and deepspeed/ops/op_builder/builder.py is not what the patch makes of it"
        in err
    )
    assert there(sdist, trees.sdist()) == trees.sdist()


def test_a_state_that_is_not_applied_afterwards_is_taken_back(
    tmp_path: Path, sdist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A patch that fits and cures nothing, as the one of 2024 did."""
    own = tmp_path / "own" / "patches" / "deepspeed"
    shutil.copytree(Path(trees.PROJECTS["deepspeed"].patches[0].where).parent, own)
    text = (own / f"{FLAG}.patch").read_text(encoding="utf-8")
    (own / f"{FLAG}.patch").write_text(
        text.replace("if self.is_rocm_pytorch():", "if self.is_never_so():"), encoding="utf-8"
    )
    words = ["patch", "apply", "deepspeed", str(sdist), "--tree-only", "--content", str(tmp_path / "own")]
    _, err = printed(words, 4, capsys)
    assert f"{FLAG}: the tree is 'conflict' with it, and not 'applied'" in err
    assert there(sdist, trees.sdist()) == trees.sdist()


def test_ctrl_c_between_two_patches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = trees.march_2024()
    top = laid(tmp_path / "axolotl", tree)
    real = patch_apply.apply

    def stopped(patch, read, *, check: bool) -> None:
        if patch.id.startswith("0005"):
            raise KeyboardInterrupt
        real(patch, read, check=check)

    monkeypatch.setattr(patch_apply, "apply", stopped)
    _, err = printed(["patch", "apply", "axolotl", str(top)], 130, capsys)
    assert err.strip() == "rocmdoctor: stopped by Ctrl-C; nothing was changed"
    assert there(top, tree) == tree


def test_a_repository_around_the_tree_counts_for_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=30)
    top = laid(tmp_path / "deepspeed-0.14.0", trees.sdist())
    assert run(["patch", "apply", "deepspeed", str(top), "--tree-only"]) == 0
    assert "applied to" in capsys.readouterr().out


def test_a_tree_with_a_colon_and_a_space_in_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = laid(tmp_path / "a: b" / "deepspeed 0.14", trees.sdist())
    assert run(["patch", "apply", "deepspeed", str(top), "--tree-only"]) == 0
    assert "applied to" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_root_leaves_files_to_whom_they_belong(sdist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in PLACES:
        os.chown(sdist / path, 1234, 1234)
    assert run(["patch", "apply", "deepspeed", str(sdist), "--tree-only"]) == 0
    assert {(sdist / path).stat().st_uid for path in PLACES} == {1234}
    capsys.readouterr()


def test_without_git(
    sdist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rocmdoctor.applying.programs.ROOT_PATH", ("/nowhere",))
    monkeypatch.setattr("rocmdoctor.applying.programs.USER_PATH", ("/nowhere",))
    _, err = printed(["patch", "apply", "deepspeed", str(sdist), "--tree-only"], 4, capsys)
    assert err == (
        f"rocmdoctor: {sdist}: git: no such program in /nowhere; patches are applied with git\nnothing was changed\n"
    )


# ---------------------------------------------------------------- wrong use


def test_what_cannot_be_judged(sdist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    cases = [
        (["deepsped", str(sdist)], "there is no patch for 'deepsped', did you mean 'deepspeed'?"),
        (["numpy", str(sdist)], "there is no patch for 'numpy'; there are patches for axolotl, deepspeed, flash-attn"),
        (["deepspeed", "none"], "none: is not there"),
        (["deepspeed", str(sdist / "version.txt")], f"{sdist}/version.txt: is not a folder"),
        (["axolotl", str(sdist)], f"{sdist}: is no tree of axolotl: its PKG-INFO says that it is deepspeed 0.14.0; name the project that it is"),
        (["deepspeed", str(tmp_path)], f"{tmp_path}: is no tree of deepspeed: none of deepspeed/ops/op_builder/builder.py, op_builder/builder.py, version.txt is there, did you mean {sdist}?"),
        (["deepspeed", "empty"], "empty: is no tree of deepspeed: none of deepspeed/ops/op_builder/builder.py, op_builder/builder.py, version.txt is there; give the folder that a checkout or an sdist has at its top"),
    ]  # fmt: skip
    for words, says in cases:
        for verb in ("status", "apply"):
            _, err = printed(["patch", verb, *words], 2, capsys)
            assert err.splitlines()[0] == f"rocmdoctor: {says}"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("0007", "deepspeed has no patch '0007'; there are 0001-leave-cuda-out-on-rocm"),
        (
            "leave-cuda-out",
            "deepspeed has no patch 'leave-cuda-out', did you mean '0001-leave-cuda-out-on-rocm'?",
        ),
    ],
)
def test_an_id_that_is_none(sdist: Path, name: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, err = printed(["patch", "apply", "deepspeed", str(sdist), name, "--tree-only"], 2, capsys)
    assert err.splitlines()[0] == f"rocmdoctor: {says}"


def test_files_that_are_none(sdist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sdist / PLACES[0]).unlink()
    os.mkfifo(sdist / PLACES[0])
    _, err = printed(["patch", "status", "deepspeed", str(sdist)], 2, capsys)
    assert err == f"rocmdoctor: {sdist}/op_builder/builder.py: is not a regular file\n"
    (sdist / PLACES[0]).unlink()
    (sdist / PLACES[0]).write_bytes(b"#" * ((4 << 20) + 1))
    _, err = printed(["patch", "status", "deepspeed", str(sdist)], 2, capsys)
    assert err == f"rocmdoctor: {sdist}/op_builder/builder.py: is larger than 4 MiB; no source is\n"


def test_a_link_out_of_the_tree_is_not_followed(
    sdist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(trees.builder(), encoding="utf-8")
    for path in PLACES:
        (sdist / path).unlink()
        (sdist / path).symlink_to(outside)
    data = said(["patch", "status", "deepspeed", str(sdist), "--tree-only"], 0, capsys)["data"]
    assert data["patches"][0]["state"] == "not-for-this-version"
    assert outside.read_text(encoding="utf-8") == trees.builder()


def test_env_and_snapshot_are_two_machines(
    sdist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = printed(
        ["patch", "status", "deepspeed", str(sdist), "--env", ".", "--snapshot", saved(tmp_path)], 2, capsys
    )
    assert err.startswith(
        "rocmdoctor: --env asks this machine; a snapshot holds what was asked when it was taken\n"
    )
    _, err = printed(["patch", "status", "deepspeed", str(sdist), "--snapshot", "none.json"], 2, capsys)
    assert err.startswith("rocmdoctor: none.json")


@pytest.mark.parametrize("words", [[], ["list"], ["status"], ["apply"]])
def test_help_has_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = printed(["patch", *words, "--help"], 0, capsys)
    assert out.count("rocmdoctor patch") >= 2


def test_completion() -> None:
    from click.shell_completion import ShellComplete

    maker = ShellComplete(cli, {}, "rocmdoctor", "_ROCMDOCTOR_COMPLETE")
    assert [item.value for item in maker.get_completions(["patch", "status"], "d")] == ["deepspeed"]
    assert [item.value for item in maker.get_completions(["patch", "apply", "axolotl", "."], "0005")] == [
        "0005-import-without-xformers"
    ]
