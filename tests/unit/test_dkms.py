"""The DKMS tree and the words of `dkms status`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.dkms import Dkms
from rocmdoctor.facts.ranges import DriverTable, NeedsKernel, TooNew
from rocmdoctor.hosts.collector import _kept
from rocmdoctor.model import Answer
from tests.judging import judge

MINE = "/var/lib/dkms/amdgpu"
LOG = """DKMS make.log for amdgpu-6.10.5-2084815.22.04 for kernel 6.1.0-50-amd64 (x86_64)
Sun Nov 22 06:56:53 UTC 2026
make: Entering directory '/usr/src/linux-headers-6.1.0-50-amd64'
  CC [M]  /var/lib/dkms/amdgpu/6.10.5-2084815.22.04/build/amdgpu.o
/var/lib/dkms/amdgpu/6.10.5-2084815.22.04/build/amdgpu.c:2:27: error: implicit declaration of function 'f'
    2 | static int __init a(void){f(1,2); return 0;}
cc1: some warnings being treated as errors
make[1]: *** [/usr/src/linux/scripts/Makefile.build:255: amdgpu.o] Error 1
make: Leaving directory '/usr/src/linux-headers-6.1.0-50-amd64'
"""


def tree(*versions: str, links: dict[str, str] | None = None, conf: bool = True, **globs: dict[str, str]):
    names = [f"{v}/\n" for v in versions] + [f"{name}@\n" for name in links or {}]
    confs = {f"{MINE}/{v}/source/dkms.conf": "" for v in versions} if conf else {}
    answers = {
        "list:/var/lib/dkms": Answer(ok=True, text="amdgpu/\nmok.key\nmok.pub\ndkms_dbversion\n"),
        f"list:{MINE}": Answer(ok=True, text="".join(names) + "original_module/\n"),
        "glob:/var/lib/dkms/*/*/source/dkms.conf": Answer(ok=True, files=confs),
        f"glob:{MINE}/*/build/make.log": Answer(ok=True, files=globs.get("logs", {})),
        f"glob:{MINE}/*/*/*/module/*": Answer(ok=True, files=globs.get("modules", {})),
    }
    for name, target in (links or {}).items():
        answers[f"link:{MINE}/{name}"] = Answer(ok=True, text=target)
    return answers


def test_installed_is_what_a_link_leads_to():
    built = {f"{MINE}/6.8.5/{k}/x86_64/module/amdgpu.ko.xz": "" for k in ("6.1.0-50-amd64", "6.1.0-51-amd64")}
    links = {"kernel-6.1.0-50-amd64-x86_64": "6.8.5/6.1.0-50-amd64/x86_64"}
    dkms = read(Dkms, tree("6.8.5", links=links, modules=built))
    assert [(b.kernel, b.installed) for b in dkms.versions[0].built] == [
        ("6.1.0-50-amd64", True),
        ("6.1.0-51-amd64", False),
    ]
    assert dkms.serving("6.1.0-50-amd64").version == "6.8.5"
    assert dkms.serving("6.1.0-51-amd64") is None


def test_the_kernels_own_module_that_dkms_keeps_is_no_version():
    assert [v.version for v in read(Dkms, tree("6.8.5")).versions] == ["6.8.5"]


def test_newest_version_first():
    names = [v.version for v in read(Dkms, tree("6.8.5-2009582", "6.10.5-2084815", "6.8.5-2041575")).versions]
    assert names == ["6.10.5-2084815", "6.8.5-2041575", "6.8.5-2009582"]


def test_a_version_without_its_source_is_stale():
    assert read(Dkms, tree("6.8.5", conf=False)).versions[0].stale
    assert not read(Dkms, tree("6.8.5")).versions[0].stale


def test_a_tree_that_cannot_be_read_is_not_stale():
    answers = tree("6.8.5")
    answers["glob:/var/lib/dkms/*/*/source/dkms.conf"] = Answer(ok=False, why="permission")
    assert not read(Dkms, answers).versions[0].stale


def test_the_log_of_a_failed_build():
    keep = Dkms.queries()["logs"].keep
    logs = {f"{MINE}/6.10.5-2084815.22.04/build/make.log": _kept(LOG, keep)}
    assert "Entering directory" not in _kept(LOG, keep)
    (failed,) = read(Dkms, tree("6.10.5-2084815.22.04", logs=logs)).versions[0].failed
    assert failed.kernel == "6.1.0-50-amd64"
    assert failed.errors == (
        "/var/lib/dkms/amdgpu/6.10.5-2084815.22.04/build/amdgpu.c:2:27: error: implicit declaration of function 'f'",
    )


def test_a_failed_build_that_was_repaired_is_over():
    keep = Dkms.queries()["logs"].keep
    answers = tree(
        "6.8.5",
        links={"kernel-6.1.0-50-amd64-x86_64": "6.8.5/6.1.0-50-amd64/x86_64"},
        logs={f"{MINE}/6.8.5/build/make.log": _kept(LOG, keep)},
    )
    assert read(Dkms, answers).versions[0].failed == ()


def test_no_tree_and_no_answer_is_unknown():
    with pytest.raises(UnknownError, match="list:/var/lib/dkms"):
        read(Dkms, {"list:/var/lib/dkms": Answer(ok=False, why="permission")})


@pytest.mark.parametrize(
    ("line", "installed"),
    [
        ("amdgpu/6.3.6-1697589.22.04, 6.1.0-56-amd64, x86_64: installed", True),
        ("amdgpu, 6.3.6-1697589.22.04, 6.1.0-56-amd64, x86_64: installed (original_module exists)", True),
        ("amdgpu/6.3.6-1697589.22.04, 6.1.0-56-amd64, x86_64: built", False),
        ("amdgpu/6.3.6-1697589.22.04: added", None),
        ("amdgpu, 6.3.6-1697589.22.04: added", None),
    ],
)
def test_both_forms_of_dkms_status(line, installed):
    dkms = read(Dkms, {"run:dkms status": Answer(ok=True, exit_code=0, stdout=line + "\n")})
    assert [v.version for v in dkms.versions] == ["6.3.6-1697589.22.04"]
    assert [b.installed for b in dkms.versions[0].built] == ([] if installed is None else [installed])


def test_the_tree_decides_where_both_are_known():
    answers = {
        **tree("6.8.5"),
        "run:dkms status": Answer(ok=True, stdout="amdgpu/6.8.5, 6.1.0-56-amd64, x86_64: installed\n"),
    }
    assert read(Dkms, answers).versions[0].built == ()


def test_a_stale_tree_as_dkms_status_tells_it():
    said = "Error! Could not locate dkms.conf file.\nFile: /var/lib/dkms/nvidia/550/source/dkms.conf does not exist.\n"
    dkms = read(Dkms, {"run:dkms status": Answer(ok=True, exit_code=0, stderr=said)})
    assert dkms.versions == ()
    assert "nvidia/550" in dkms.complaint


@given(st.text(), st.text())
def test_any_text_is_read(out, listing):
    answers = {
        "run:dkms status": Answer(ok=True, stdout=out),
        "list:/var/lib/dkms": Answer(ok=True, text=listing),
    }
    read(Dkms, answers)
    read(Dkms, {"run:dkms status": Answer(ok=True, stdout=out)})


def test_a_kernel_that_is_too_new():
    table = DriverTable(
        {}, {"6.8.5": "6.2"}, (TooNew("6.8.5", "6.11", "x"), TooNew("6.8.5-1", "6.8.0-44", "y")), ()
    )
    assert table.too_new("6.8.5-2041575.24.04", "6.11.0-8-generic")
    assert table.too_new("6.8.5-2041575.24.04", "6.8.0-44-generic") is None
    assert table.too_new("6.8.5-1.24.04", "6.8.0-44-generic").source == "y"
    assert table.too_new("6.8.50-1", "6.11.0-8-generic") is None
    assert table.driver("6.8.5-2041575.24.04") == "6.2"
    assert table.driver("9") is None


@pytest.mark.parametrize(
    ("release", "ubuntu", "met"),
    [
        ("6.14.0-1018-oem", True, True),
        ("6.14.0-1017-oem", True, False),
        ("6.17.0-19-generic", True, True),
        ("6.14.0-29-generic", True, False),
        ("6.17.0-19-generic", False, False),
        ("6.18.4+deb14-amd64", False, True),
        ("6.18.3-arch1-1", False, False),
        ("7.0.0-10-generic", True, True),
    ],
)
def test_kernels_for_new_gpus(release, ubuntu, met):
    need = NeedsKernel(("gfx1151",), "6.18.4", {"generic": "6.17.0-19", "oem": "6.14.0-1018"}, "x")
    assert need.met(release, ubuntu=ubuntu) is met


def capture(corpus, name):
    return (corpus / "outputs" / name).read_text(encoding="utf-8").partition("\n")[2].partition("\n")[2]


def test_real_status_in_the_old_form(corpus):
    text = capture(corpus, "dkms-status-and-remove-stale.txt")
    dkms = read(Dkms, {"run:dkms status": Answer(ok=True, exit_code=0, stdout=text)})
    assert dkms.serving("5.4.0-54-generic").version == "3.9-19"


def test_real_make_log_of_a_kernel_that_is_too_new(corpus):
    text = _kept(capture(corpus, "dkms-make-log-assign-str.txt"), Dkms.queries()["logs"].keep)
    head = "DKMS make.log for amdgpu-6.8.5-2041575.24.04 for kernel 6.11.0-8-generic (x86_64)\n"
    version = "6.8.5-2041575.24.04"
    answers = {
        "read:/proc/sys/kernel/osrelease": {"ok": True, "text": "6.11.0-8-generic\n"},
        "list:/lib/modules": {"ok": True, "text": "6.11.0-8-generic/\n"},
        "list:/var/lib/dkms": {"ok": True, "text": "amdgpu/\n"},
        f"list:{MINE}": {"ok": True, "text": f"{version}/\n"},
        "glob:/var/lib/dkms/*/*/source/dkms.conf": {
            "ok": True,
            "files": {f"{MINE}/{version}/source/dkms.conf": ""},
        },
        f"glob:{MINE}/*/build/make.log": {
            "ok": True,
            "files": {f"{MINE}/{version}/build/make.log": head + text},
        },
    }
    verdict = judge(answers).diagnosis.verdict("driver.dkms-built")
    assert (verdict.status, verdict.fault) == ("fail", "kernel-too-new")
    assert re.search(r"__assign_str", verdict.why)


def test_every_driver_in_the_table_has_a_range():
    table = DataTables(bundled())(DriverTable)
    assert set(table.driver_of_module.values()) <= set(table.rocm_of_driver)
