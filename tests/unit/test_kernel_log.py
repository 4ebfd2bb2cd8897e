"""The kernel log: what leaves the machine, and which lines mean something."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.kernel_log import KernelFindings, KernelLog, KernelMessages
from rocmdoctor.hosts.collector import _kept
from rocmdoctor.model import Answer

TABLE = DataTables(bundled())(KernelMessages)
KEEP = KernelLog.queries()["dmesg"].keep
LOG = """\
[    0.000000] Linux version 6.8.0-45-generic (buildd@host) (gcc 13) #45-Ubuntu
[    0.000000] Command line: root=/dev/sda1 ip=10.0.0.1 amdgpu.dc=0 token=hunter2
[    0.100000][    T1] kfd kfd: amdgpu: added device 1002:740f
[    1.000000] usb 1-1: SerialNumber: 12345
[    2.000000] amdgpu 0000:63:00.0: amdgpu: Process information: process secret-name pid 4711 thread x pid 4711
[    3.000000] amdgpu 0000:63:00.0: amdgpu: [gfxhub] page fault (src_id:0, for process secret-name pid 4711)
[    4.000000] Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7
[    5.000000] audit: user=ann amdgpu
"""


def test_nothing_but_lines_of_the_graphics_stack_leaves_the_machine():
    assert _kept(LOG, KEEP).splitlines() == [
        "[    0.000000] Linux version 6.8.0-45-generic",
        "[    0.100000][    T1] kfd kfd: amdgpu: added device 1002:740f",
        "[    4.000000] Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7",
    ]


def test_host_name_and_date_stay():
    line = "Nov 22 03:00:00 my-box kernel: kfd kfd: DID 7340 is missing in supported_devices\n"
    assert _kept(line, KEEP) == "kfd kfd: DID 7340 is missing in supported_devices\n"


def log(text: str) -> KernelLog:
    return read(KernelLog, {"run:dmesg": Answer(ok=True, exit_code=0, stdout=text)})


def kinds(text: str) -> list[str]:
    return [hit.kind for hit in KernelFindings.derive(log(text), TABLE).hits]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("kfd kfd: skipped device 1002:67df, PCI rejects atomics", "no-atomics"),
        ("kfd kfd: amdgpu: skipped device 1002:7341, PCI rejects atomics 123<145", "no-atomics"),
        ("kfd kfd: DID 7340 is missing in supported_devices", "unknown-device"),
        ("kfd kfd: amdgpu: GC IP 0b0004  not supported in kfd", "unknown-device"),
        ("kfd kfd: amdgpu: TAHITI  not supported in kfd", "unknown-device"),
        (
            "amdgpu 0000:c9:00.0: Direct firmware load for amdgpu/arcturus_gpu_info.bin failed with error -2",
            "firmware",
        ),
        (
            'amdgpu 0000:c9:00.0: amdgpu: Failed to load gpu_info firmware "amdgpu/arcturus_gpu_info.bin"',
            "firmware",
        ),
        ("amdgpu 0000:c9:00.0: amdgpu: Fatal error during GPU init", "init-failed"),
        ("amdgpu 0000:03:00.0: Fatal error during GPU init", "init-failed"),
        ("amdgpu: probe of 0000:c9:00.0 failed with error -2", "init-failed"),
        ("amdgpu 0000:c9:00.0: probe with driver amdgpu failed with error -22", "init-failed"),
        (
            "Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7",
            "module-rejected",
        ),
        ("Loading of module with unavailable key is rejected", "module-rejected"),
        ("amdgpu: loading of unsigned module is rejected", "module-rejected"),
        ("amdgpu: disagrees about version of symbol drm_dev_register", "module-symbols"),
        ("amdttm: Unknown symbol drm_foo (err -22)", "module-symbols"),
        ("amdgpu 0000:05:00.0: amdgpu: GPU reset(2) failed", "gpu-lost"),
        ("amdgpu 0000:05:00.0: amdgpu: GPU reset end with ret = -110", "gpu-lost"),
        ("amdgpu 0000:05:00.0: amdgpu: device lost from bus!", "gpu-lost"),
        ("amdgpu 0000:03:00.0: amdgpu: GPU reset begin!. Source:  4", "reset"),
        (
            "[drm:amdgpu_job_timedout [amdgpu]] *ERROR* ring sdma0 timeout, signaled seq=1, emitted seq=3",
            "reset",
        ),
        ("[drm:amdgpu_job_timedout [amdgpu]] *ERROR* ring gfx timeout, but soft recovered", "recovered"),
        (
            "amdgpu 0000:0b:00.0: amdgpu: 2 uncorrectable hardware errors detected in umc block",
            "uncorrectable",
        ),
        ("amdgpu 0000:0b:00.0: amdgpu: no uncorrectable hardware errors detected in umc block", None),
        ("amdgpu 0000:0b:00.0: amdgpu: 0 uncorrectable hardware errors detected in umc block", None),
        ("amdgpu 0000:0b:00.0: amdgpu: 7 correctable hardware errors detected in umc block", None),
        ("amdkcl: module verification failed: signature and/or required key missing - tainting kernel", None),
        ("amdgpu 0000:03:00.0: amdgpu: GPU reset(1) succeeded!", None),
        ("Lockdown: systemd-logind: hibernation is restricted; see man kernel_lockdown.7", None),
        ("panfrost ff9a0000.gpu: Fatal error during GPU init", None),
    ],
)
def test_lines_by_kind(line, kind):
    stamped = f"[    3.091074] {line}\n"
    assert kinds(stamped) == ([kind] if kind else [])
    if kind:
        assert kinds(_kept(stamped, KEEP)) == [kind], "the collector must keep what the table looks for"


def test_a_line_that_is_said_again_and_again_is_one_hit():
    text = "".join(f"[{n}.0] amdgpu 0000:03:00.0: amdgpu: GPU reset begin!\n" for n in range(9))
    (hit,) = KernelFindings.derive(log(text), TABLE).hits
    assert (hit.kind, hit.count) == ("reset", 1)
    text = "".join(f"[drm:x] *ERROR* ring gfx timeout, signaled seq={n}\n" for n in range(9))
    assert [h.count for h in KernelFindings.derive(log(text), TABLE).hits] == [9]


def test_the_same_lines_in_both_logs_count_once():
    line = "kfd kfd: skipped device 1002:67df, PCI rejects atomics"
    both = {
        "run:dmesg": Answer(ok=True, exit_code=0, stdout=f"[ 3.0] {line}\n"),
        "run:journalctl -k -b -o short --no-pager": Answer(
            ok=True, exit_code=0, stdout=f"Nov 22 03:00:00 box kernel: {line}\n"
        ),
    }
    assert read(KernelLog, both).lines == (line,)


@pytest.mark.parametrize(
    "answers",
    [
        {
            "run:dmesg": Answer(
                ok=True, exit_code=1, stderr="dmesg: read kernel buffer failed: Operation not permitted"
            )
        },
        {
            "run:dmesg": Answer(ok=False, why="absent"),
            "run:journalctl -k -b -o short --no-pager": Answer(
                ok=True,
                exit_code=0,
                stderr="Hint: You are currently not seeing messages ... permissions.",
                stdout="",
            ),
        },
    ],
)
def test_a_log_that_is_closed_to_this_user_says_how_to_ask(answers):
    with pytest.raises(UnknownError, match="sudo"):
        read(KernelLog, answers)


def test_no_log_at_all():
    with pytest.raises(UnknownError, match="run:dmesg: not asked"):
        read(KernelLog, {})
    with pytest.raises(UnknownError, match="run:dmesg: absent"):
        read(KernelLog, {"run:dmesg": Answer(ok=False, why="absent")})


def test_an_empty_log_that_may_be_read_is_an_answer():
    assert log("").lines == ()


@given(st.text())
def test_any_text_is_read(text):
    KernelFindings.derive(log(text), TABLE)


@pytest.mark.parametrize(
    ("name", "kind", "device"),
    [
        ("dmesg-kfd-did-missing-navi14.txt", "unknown-device", "7340"),
        ("dmesg-kfd-skipped-atomics-rx570.txt", "no-atomics", "67df"),
    ],
)
def test_real_logs(corpus, name, kind, device):
    text = (corpus / "outputs" / name).read_text(encoding="utf-8")
    (hit,) = KernelFindings.derive(log(text), TABLE).hits
    assert (hit.kind, hit.values["device"]) == (kind, device)
    assert kinds(_kept(text, KEEP)) == [kind]


def test_every_kind_of_message_is_used_by_a_check():
    checks = "".join(p.read_text(encoding="utf-8") for p in (bundled() / "checks").glob("*.py"))
    assert [m.kind for m in TABLE.messages if f'"{m.kind}"' not in checks] == []
