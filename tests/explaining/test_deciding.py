"""Where one text has several causes, what the checks say of the machine decides between them."""

from __future__ import annotations

import pytest

from rocmdoctor.explaining import judged
from rocmdoctor.model import Verdict
from tests.explaining.known import known_errors, seen

_DENIED = "Unable to open /dev/kfd read-write: Permission denied"
_NO_CODE = "RuntimeError: HIP error: invalid device function"
_NO_GPU = "RuntimeError: No HIP GPUs are available"
_FAULT = (
    "Memory access fault by GPU node-1 (Agent handle: 0x8a3c10) on address 0x7f1e90000000. Reason: Unknown."
)
_NO_LOAD = "ImportError: libamdhip64.so.6: cannot open shared object file: No such file or directory"
_RESOURCES = (
    "Call returned HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed to allocate the necessary resources."
)
_LOADER = "ImportError: /x/libhipblas.so: undefined symbol: hipMallocFromPool"
_HANG = "[Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=42, OpType=ALLREDUCE)"

# text, check, its status, the fault that it names on this machine, the fault that is named first then
_DECISIONS = (
    (_DENIED, "driver.kfd-access", "fail", "device-permissions", "device-permissions"),
    (_DENIED, "driver.kfd-access", "fail", "docker-device-flags", "docker-device-flags"),
    (_DENIED, "access.session-groups", "fail", "device-permissions", "device-permissions"),
    (_DENIED, "access.container-devices", "fail", "docker-device-flags", "docker-device-flags"),
    (_NO_CODE, "torch.gpu-code", "fail", "unsupported-gfx", "unsupported-gfx"),
    (_NO_CODE, "torch.device-wheel", "fail", "missing-device-wheel", "missing-device-wheel"),
    (_NO_CODE, "environment.hsa-override", "fail", "hsa-override-wrong", "hsa-override-wrong"),
    (_NO_GPU, "driver.kfd-access", "fail", "device-permissions", "device-permissions"),
    (_NO_GPU, "driver.kfd-present", "fail", "docker-device-flags", "docker-device-flags"),
    (_NO_GPU, "environment.visible-devices", "fail", "hip-visible-devices", "hip-visible-devices"),
    (_FAULT, "environment.hsa-override", "fail", "hsa-override-wrong", "hsa-override-wrong"),
    (_FAULT, "packages.one-rocm", "fail", "mixed-rocm-versions", "gpu-memory-access-fault"),
    (_NO_LOAD, "torch.triton", "fail", "triton-mismatch", "triton-mismatch"),
    (_NO_LOAD, "torch.rocm-match", "fail", "torch-rocm-mismatch", "torch-rocm-mismatch"),
    (_RESOURCES, "access.wsl-bridge", "fail", "wsl", "wsl"),
    (_RESOURCES, "access.wsl-bridge", "skip", None, "device-permissions"),
    (_LOADER, "environment.ld-library-path", "fail", "ld-library-path", "ld-library-path"),
    (_LOADER, "packages.one-rocm", "fail", "mixed-rocm-versions", "mixed-rocm-versions"),
    (_HANG, "host.iommu", "fail", "iommu", "iommu"),
)


@pytest.mark.parametrize(
    ("text", "check", "status", "fault", "first"),
    _DECISIONS,
    ids=[f"{n}-{d[1]}-{d[2]}" for n, d in enumerate(_DECISIONS)],
)
def test_a_verdict_of_the_machine_decides(text, check, status, fault, first):
    explained = judged(seen(text), {check: Verdict(status, "so it is", fault=fault, id=check)})
    assert explained.diagnoses[0].best.error.fault == first


def test_causes_with_the_same_text_say_what_to_look_at():
    texts = [_DENIED, _NO_CODE, _NO_GPU, _FAULT, _NO_LOAD, _RESOURCES, _LOADER]
    silent = {
        error.id
        for text in texts
        for one in judged(seen(text)).diagnoses
        for error in (one.best.error, *(other.error for other in one.others))
        if error.look_at is None
    }
    assert silent == set()


def test_what_is_sure_by_its_text_alone_has_no_rival():
    """Two causes that are both sure of the same text would contradict each other."""
    both = [
        (error.id, [other.error.id for other in one.others if other.confidence == "high"])
        for error in known_errors()
        for sample in error.samples
        for one in judged(seen(sample.text)).diagnoses
        if one.best.confidence == "high"
        and any(o.confidence == "high" and o.error.fault != one.best.error.fault for o in one.others)
    ]
    assert both == []
