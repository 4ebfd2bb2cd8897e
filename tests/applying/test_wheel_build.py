"""Wheels built here by pip and a C compiler from an archive, kept and installed; and what goes wrong on the way.

The project builds itself, by a build backend of its own: so no index is asked. Its library holds a list of GPU targets as
clang's bundler writes it, and no code.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Action, ApplyPatch, Undo
from rocmdoctor.applying import wheels
from rocmdoctor.applying.run_plan import Outcome
from tests.applying.conftest import Bench
from tests.applying.here import ALL, MEANS, done_here, ground_here, planned_here
from tests.needs import needs

pytestmark = [pytest.mark.touches_machine, pytest.mark.timeout(180), needs("cc", "git")]

_BACKEND = r"""
import os, pathlib, re, signal, subprocess, sys, time, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    here = pathlib.Path(".").resolve()
    print("[1/2] Building C object tiny.o", flush=True)
    subprocess.run(["cc", "-c", "-fPIC", "tiny.c", "-o", "tiny.o"], check=True)
    print("[2/2] Linking", flush=True)
    pathlib.Path("bundle.s").write_text('.section .hip_fatbin,"a"\n.incbin "bundle"\n')
    subprocess.run(["cc", "-shared", "tiny.o", "bundle.s", "-o", "tiny.so"], check=True)
    hook = pathlib.Path("hook.py")
    if hook.exists():
        exec(hook.read_text(), {"__name__": "hook"})
    name = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        wheel.write("tiny.so", "tiny/tiny.so")
        wheel.writestr("tiny/__init__.py", "")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "tiny/tiny.so,,\ntiny/__init__.py,,\n")
    return name
"""  # fmt: skip
_PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "tiny"\nversion = "1.0"\n'


def _bundle(*targets: str) -> bytes:
    """The list of entries of a bundle. Source: llvm-project clang/lib/Driver/OffloadBundler.cpp."""
    names = [b"host-x86_64-unknown-linux--", *(f"hipv4-amdgcn-amd-amdhsa--{t}".encode() for t in targets)]
    head = b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", len(names))
    return head + b"".join(struct.pack("<QQQ", 4096, 0, len(name)) + name for name in names)


def archive(folder: Path, gfx: tuple[str, ...] = ("gfx90a",), **files: str) -> tuple[str, str]:
    """Address and sha256 of the project's sources, with files that differ."""
    given = {"backend.py": _BACKEND, "pyproject.toml": _PYPROJECT, "tiny.c": "int tiny(void) { return 1; }\n"}
    given |= {name.replace("_", ".", 1): text for name, text in files.items()}
    path = folder / f"tiny-{len(list(folder.iterdir()))}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {**{n: t.encode() for n, t in given.items()}, "bundle": _bundle(*gfx)}.items():
            info = tarfile.TarInfo(f"tiny-1.0/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return f"file://{path}", hashlib.sha256(path.read_bytes()).hexdigest()


class House:
    """A home folder with an environment, in which wheels are built."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder, self.template = folder, template
        self.home = folder / "home"
        self.mirror = folder / "mirror"
        self.home.mkdir()
        self.mirror.mkdir()
        self.env = self.home / "env"
        self.new_env("env")

    def new_env(self, name: str) -> None:
        shutil.copytree(self.template, self.home / name, symlinks=True)

    @property
    def cache(self) -> Path:
        return self.home / ".cache" / "rocmdoctor"

    def plan(self, url: str, sha256: str, **more: Any) -> list[Any]:
        given = {"name": "tiny", "version": "1.0", "env": "~/env", "gfx": ["gfx90a"], **more}
        return planned_here(self.home, "wheel.build", url=url, sha256=sha256, **given)

    def build(self, url: str, sha256: str, **more: Any) -> tuple[Bench, Outcome]:
        return done_here(self.folder / "state", self.plan(url, sha256, **more))

    def entries(self) -> list[wheels.Entry]:
        return [e for _, e in wheels.entries(self.cache) if isinstance(e, wheels.Entry)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with pip and nothing else; a copy of it is one as well."""
    folder = tmp_path_factory.mktemp("template") / "env"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
    return folder


@pytest.fixture
def house(tmp_path: Path, template: Path) -> House:
    return House(tmp_path, template)


def _said(outcome: Outcome, house: House) -> str:
    """The message, without what differs from run to run, and without the last lines and the log."""
    text = outcome.message.splitlines()[0]
    text = text.replace(str(house.folder), "<tmp>")
    text = re.sub(r"[0-9a-f]{64}", "<sha256>", text)
    return re.sub(r"[0-9a-f]{32}", "<key>", text)


def test_built_kept_and_installed_once(house: House) -> None:
    source = archive(house.mirror)
    bench, outcome = house.build(*source)
    assert (outcome.state, outcome.message) == ("done", "")
    (entry,) = house.entries()
    assert (entry.name, entry.version, entry.targets) == ("tiny", "1.0", {"tiny/tiny.so": ["gfx90a"]})
    assert entry.parts["source"] == source[1]
    (log,) = (bench.folder / "logs").glob("003-*.log")
    assert "[1/2] Building C object tiny.o" in log.read_text()
    # A second plan is empty; another environment takes it from the cache, without the sources.
    assert house.plan(*source) == []
    house.new_env("env2")
    second = house.plan(*source, env="~/env2")
    assert [a.says for a in second] == [
        f"install the wheel of tiny 1.0 from the cache into {house.home}/env2"
    ]
    assert done_here(house.folder / "state", second)[1].state == "done"
    # What is only half of a build was cleared away, and nobody else can write any of it.
    assert [p.name for p in (house.cache / "src").iterdir() if p.name.startswith("build-")] == []
    assert [str(p) for p in house.cache.rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o002] == []


def test_another_variable_is_another_wheel(house: House) -> None:
    source = archive(house.mirror)
    assert house.build(*source)[1].state == "done"
    assert house.build(*source, variables={"A": "1"})[1].state == "done"
    assert len(house.entries()) == 2


def test_code_for_another_gpu_is_not_kept(house: House) -> None:
    _, outcome = house.build(*archive(house.mirror, gfx=("gfx90a", "gfx1030")))
    assert outcome.state == "failed"
    assert _said(outcome, house) == (
        "tiny-1.0-py3-none-any.whl: tiny/tiny.so holds code for gfx1030, gfx90a, wanted is gfx90a; it was"
        " not kept (it lies in <tmp>/home/.cache/rocmdoctor/src/build-<key>/wheel)"
    )
    assert house.entries() == []


def test_a_compiler_error_is_told_and_resume_goes_on(house: House) -> None:
    source = archive(house.mirror, tiny_c="#include <hip/no_such_header.h>\n")
    bench, outcome = house.build(*source)
    assert outcome.state == "failed"
    assert _said(outcome, house) == (
        "the build of tiny 1.0 ended with exit code 1; what was compiled is kept, and resume goes on from"
        " there. That is: the compiler refuses tiny.c, line 1: hip/no_such_header.h: No such file or directory; a header"
        " that is missing names the package to install; else this version does not go with the compiler that is here"
    )
    assert "tiny.c:1:10: fatal error: hip/no_such_header.h: No such file or directory" in outcome.message
    # Whoever mends it, here in the sources of the build, goes on at this step.
    (tree,) = (house.cache / "src").glob("build-*/tree")
    (tree / "tiny.c").write_text("int tiny(void) { return 2; }\n")
    assert bench.run(MEANS).state == "done"
    begun = [action for event, action in bench.said if event == "begin"]
    assert begun.count("wheel.build.1") == begun.count("wheel.build.2") == 1
    assert begun.count("wheel.build.3") == 2


_HUNGRY = """
import os, signal, subprocess, sys
# The kernel sends SIGKILL to the compiler that takes most; the compiler's driver says what became of it.
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
os.kill(child.pid, signal.SIGKILL)
print("c++: fatal error: Killed signal terminated program cc1plus", flush=True) if child.wait() == -9 else None
if os.environ["MAX_JOBS"] != "1":
    raise SystemExit(1)
"""


def test_killed_for_memory_and_resumed_with_fewer_jobs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two processors, so that there are fewer jobs than two")
    source = archive(house.mirror, hook_py=_HUNGRY)
    bench, outcome = house.build(*source, memory_mb_per_job=1)
    jobs = len(os.sched_getaffinity(0))
    assert _said(outcome, house) == (
        "the build of tiny 1.0 ended with exit code 1: a compiler was killed, as the kernel does when memory"
        f" runs out; resume goes on from there with {jobs // 2} of {jobs} jobs. That is: the memory did not suffice; close"
        " other programs, or add swap, then resume"
    )
    outcomes = [bench.run(MEANS).state for _ in range(jobs.bit_length())]
    assert outcomes[-1] == "done"


def test_the_disk_is_full(house: House, small_disk: Path) -> None:
    """The hook fills a small disk, as a build does that makes more than there is room for."""
    hook = f"open('{small_disk}/object', 'wb').write(bytes(1 << 20))\n"
    _, outcome = house.build(*archive(house.mirror, hook_py=hook))
    assert _said(outcome, house) == (
        "the build of tiny 1.0 ended with exit code 1; what was compiled is kept, and resume goes on from"
        " there. That is: the disk is full; make room (apt-get clean frees downloaded packages; df -h shows where), then"
        " resume"
    )


def test_the_cache_lies_on_a_full_disk(house: House, small_disk: Path) -> None:
    wheels.folder_of(house.cache).parent.mkdir(parents=True)
    wheels.folder_of(house.cache).symlink_to(small_disk)
    (small_disk / "x").write_bytes(bytes(240 << 10))
    hook = "open('tiny.so', 'ab').write(__import__('os').urandom(1 << 17))\n"
    bench, outcome = house.build(*archive(house.mirror, hook_py=hook))
    assert outcome.state == "failed"
    assert "the disk is full; make room" in _said(outcome, house)
    assert [p.name for p in small_disk.iterdir() if not p.name.endswith(".lock")] == ["x"]
    (small_disk / "x").unlink()
    assert bench.run(MEANS).state == "done"


def test_a_wrong_digest(house: House) -> None:
    url, _ = archive(house.mirror)
    _, outcome = house.build(url, "0" * 64)
    assert outcome.state == "failed"
    assert re.sub(r"sha256 is \S+", "sha256 is <found>", _said(outcome, house)).startswith(
        "file://<tmp>/mirror/tiny-0.tar.gz: sha256 is <found>"
    )


def _damage(house: House) -> str:
    (entry,) = house.entries()
    wheel = wheels.folder_of(house.cache) / entry.key / entry.wheel
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    wheel.write_bytes(data)
    return entry.key


def _without_it(house: House) -> None:
    subprocess.run([house.env / "bin/python", "-m", "pip", "-q", "uninstall", "--yes", "tiny"], check=True)


def test_a_damaged_entry_is_told_of_set_aside_and_built_anew_in_the_same_run(house: House) -> None:
    source = archive(house.mirror)
    assert house.build(*source)[1].state == "done"
    key = _damage(house)
    _without_it(house)
    given = {"name": "tiny", "version": "1.0", "env": "~/env", "gfx": ["gfx90a"]}
    ground = ground_here(house.home, "wheel.build", url=source[0], sha256=source[1], **given)
    list(ALL["wheel.build"].function(ground, url=source[0], sha256=source[1], **given))
    (note,) = ground.notes
    assert re.sub(
        r"[0-9a-f]{64}", "<sha256>", note.replace(str(house.folder), "<tmp>").replace(key, "<key>")
    ) == (
        "<tmp>/home/.cache/rocmdoctor/wheels/<key>/tiny-1.0-py3-none-any.whl is damaged (its sha256 is <sha256>, it was kept"
        " with <sha256>): the entry is set aside, and tiny is built anew"
    )
    bench, outcome = house.build(*source)
    assert (outcome.state, outcome.message) == ("done", "")
    assert wheels.find(house.cache, key) is not None
    assert (wheels.folder_of(house.cache) / f"{key}.damaged-1").is_dir()
    subprocess.run([house.env / "bin/python", "-c", "import tiny"], check=True)
    assert any("is damaged: its sha256 is" in log.read_text() for log in bench.folder.rglob("*.log"))


def test_an_entry_that_lost_its_wheel(house: House) -> None:
    source = archive(house.mirror)
    assert house.build(*source)[1].state == "done"
    (entry,) = house.entries()
    (wheels.folder_of(house.cache) / entry.key / entry.wheel).unlink()
    _without_it(house)
    assert house.build(*source)[1].state == "done"
    assert wheels.find(house.cache, entry.key) is not None


def test_an_entry_that_is_damaged_between_plan_and_run(house: House) -> None:
    source = archive(house.mirror)
    assert house.build(*source)[1].state == "done"
    _without_it(house)
    planned = house.plan(*source)
    _damage(house)
    _, outcome = done_here(house.folder / "state", planned)
    assert _said(outcome, house) == (
        "<tmp>/home/.cache/rocmdoctor/wheels/<key>/tiny-1.0-py3-none-any.whl is damaged: its sha256 is"
        " <sha256>, it was kept with <sha256>. It was set aside as <tmp>/home/.cache/rocmdoctor/wheels/<key>.damaged-1;"
        " install again builds it anew"
    )
    assert house.build(*source)[1].state == "done"


def test_two_builds_of_one_wheel_at_once(house: House) -> None:
    """Two runs of the same plan: one builds, the other waits for it and takes what was kept."""
    slow = "import pathlib, time\nuntil = time.monotonic() + 60\nwhile not pathlib.Path('{go}').exists() and time.monotonic() < until: time.sleep(0.05)\n"
    go = house.folder / "go"
    source = archive(house.mirror, hook_py=slow.format(go=go))
    # One of them fetches and unpacks: runs of one person wait for each other, those of two machines with one home do not.
    assert done_here(house.folder / "state", house.plan(*source)[:2])[1].state == "done"
    actions = house.plan(*source)
    first, second = (Bench(house.folder / f"state{n}", *actions) for n in (1, 2))
    done: dict[int, Outcome] = {}

    def run(number: int, bench: Bench) -> None:
        from rocmdoctor.applying.stopping import Stop

        done[number] = bench.run(MEANS, stop=Stop())

    threads = [threading.Thread(target=run, args=pair) for pair in ((1, first), (2, second))]
    for thread in threads:
        thread.start()
    waits = threading.Event()
    for _ in range(300):
        if any("waits for another build" in e.text for b in (first, second) for e in list(b.events)):
            waits.set()
            break
        threading.Event().wait(0.1)
    go.touch()
    for thread in threads:
        thread.join(100)
    assert waits.is_set(), (done, [b.events[-3:] for b in (first, second)])
    assert {number: outcome.state for number, outcome in done.items()} == {1: "done", 2: "done"}
    assert len(house.entries()) == 1


def test_what_others_can_write_is_not_installed(house: House) -> None:
    source = archive(house.mirror)
    assert house.build(*source)[1].state == "done"
    (entry,) = house.entries()
    (wheels.folder_of(house.cache) / entry.key).chmod(0o777)
    subprocess.run([house.env / "bin/python", "-m", "pip", "-q", "uninstall", "--yes", "tiny"], check=True)
    _, outcome = house.build(*source)
    assert "can be written by others, so that no wheel is taken from it" in outcome.message


def test_about_holds_nothing_of_the_machine_or_the_person(house: House) -> None:
    assert house.build(*archive(house.mirror))[1].state == "done"
    (entry,) = house.entries()
    text = (wheels.folder_of(house.cache) / entry.key / wheels.ABOUT).read_text()
    assert str(house.home) not in text
    assert os.uname().nodename not in text
    assert json.loads(text)["schema"] == 1


_PATCH = """\
--- a/tiny.c
+++ b/tiny.c
@@ -1 +1 @@
-int tiny(void) { return {before}; }
+int tiny(void) { return 7; }
"""


def _patched(house: House, source: tuple[str, str], before: str) -> list[Action]:
    """The plan of a build with a patch between the sources and the build."""
    patch = house.folder / "0001-seven.patch"
    patch.write_text(_PATCH.replace("{before}", before))
    fetch, unpack, *rest = house.plan(*source)
    tree = json.loads(unpack.do.argv[2])["path"]
    do = ApplyPatch(str(patch), tree, hashlib.sha256(patch.read_bytes()).hexdigest())
    step = Action(do, "patch tiny", Undo("restore", "takes it out"), id="patch", root=False)
    return [fetch, unpack, step, *rest]


def test_a_patch_that_does_not_fit(house: House) -> None:
    source = archive(house.mirror)
    bench, outcome = done_here(house.folder / "state", _patched(house, source, before="2"))
    assert (outcome.state, outcome.action) == ("failed", "patch")
    assert "error: patch failed: tiny.c:1" in outcome.message
    (tree,) = (house.cache / "src").glob("tiny-*")
    assert (tree / "tiny.c").read_text() == "int tiny(void) { return 1; }\n"
    # Once the tree is as the patch expects it, resume goes on at that step.
    (tree / "tiny.c").write_text("int tiny(void) { return 2; }\n")
    assert bench.run(MEANS).state == "done"
    begun = [action for event, action in bench.said if event == "begin"]
    assert (begun.count("wheel.build.2"), begun.count("patch")) == (1, 2)


def test_a_patch_that_fits_is_built_in(house: House) -> None:
    source = archive(house.mirror, hook_py="assert 'return 7' in open('tiny.c').read()\n")
    assert done_here(house.folder / "state", _patched(house, source, before="1"))[1].state == "done"


def test_a_download_that_is_cut(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a server that cuts every answer, and by one that cuts the first: then the next try has the rest."""
    monkeypatch.setattr("rocmdoctor.applying.fetch.PAUSE", 0.0)
    url, sha256 = archive(house.mirror)
    (tmp_path / "data").write_bytes(Path(url.removeprefix("file://")).read_bytes())
    words = [sys.executable, str(Path(__file__).with_name("server.py")), str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            bench, outcome = house.build(f"http://127.0.0.1:{port}/always-cut", sha256)
            assert re.sub(r"\d{2,}", "N", _said(outcome, house)) == (
                "http://N.N.0.N:N/always-cut: the connection was cut after N of N bytes (3 tries)".replace(
                    "N.N.0.N", "N.0.0.1"
                )
            )
            assert [event for event, action in bench.said if action == "wheel.build.2"] == []
            assert house.build(f"http://127.0.0.1:{port}/cut", sha256)[1].state == "done"
            assert re.search(r"^cut bytes=\d+-$", (tmp_path / "requests").read_text(), re.MULTILINE)
        finally:
            server.kill()


def test_taken_back(house: House) -> None:
    """What was fetched, unpacked and installed goes; the wheel stays, since it cost a build."""
    bench, outcome = house.build(*archive(house.mirror))
    assert outcome.state == "done"
    undone = bench.undo(MEANS)
    assert (undone.failed, undone.left) == ("", ())
    said = subprocess.run([house.env / "bin/python", "-c", "import tiny"], check=False, capture_output=True)
    assert said.returncode == 1
    assert [p for name in ("src", "downloads") for p in (house.cache / name).glob("*")] == []
    assert len(house.entries()) == 1
