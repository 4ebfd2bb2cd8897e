"""A small HIP program that is compiled, looked into and run: only when `verify` asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer, Elf, Env, Query, Run

# Wishes, not answers of the machine: the folder of ours in which the program lies, and the targets, joined by commas.
FOLDER, TARGETS = "ROCMDOCTOR_PROBE", "ROCMDOCTOR_PROBE_GFX"
COMPILE_SECONDS = 120.0
RUN_SECONDS = 60.0
SOURCE = "rocmdoctor-probe.hip"
NAME = "rocmdoctor-probe"
# Adds two vectors on each GPU whose target it was compiled for, and compares the sums. Says one line for each.
PROGRAM = r"""
#include <hip/hip_runtime.h>
#include <cstdio>
#include <cstring>
#include <vector>

__global__ void add(const int* a, const int* b, int* sum, int count) {
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at < count) sum[at] = a[at] + b[at];
}

#define TRY(call)                                                                          \
  do {                                                                                     \
    hipError_t error = (call);                                                             \
    if (error != hipSuccess) {                                                             \
      std::printf("rocmdoctor-probe %d %s failed %s %s\n", number, name, #call, hipGetErrorName(error)); \
      return 1;                                                                            \
    }                                                                                      \
  } while (0)

static int tried(int number, const char* name) {
  const int count = 1 << 20;
  const size_t size = count * sizeof(int);
  std::vector<int> a(count), b(count), sum(count, -1);
  for (int i = 0; i < count; i++) a[i] = i, b[i] = 3 * i + 1;
  int *da = nullptr, *db = nullptr, *dsum = nullptr;
  TRY(hipSetDevice(number));
  TRY(hipMalloc(&da, size));
  TRY(hipMalloc(&db, size));
  TRY(hipMalloc(&dsum, size));
  TRY(hipMemcpy(da, a.data(), size, hipMemcpyHostToDevice));
  TRY(hipMemcpy(db, b.data(), size, hipMemcpyHostToDevice));
  add<<<count / 256, 256>>>(da, db, dsum, count);
  TRY(hipGetLastError());
  TRY(hipDeviceSynchronize());
  TRY(hipMemcpy(sum.data(), dsum, size, hipMemcpyDeviceToHost));
  for (int i = 0; i < count; i++)
    if (sum[i] != 4 * i + 1) {
      std::printf("rocmdoctor-probe %d %s wrong %d\n", number, name, i);
      return 1;
    }
  std::printf("rocmdoctor-probe %d %s right\n", number, name);
  return 0;
}

int main(int argc, char** argv) {
  int devices = 0, bad = 0;
  hipError_t error = hipGetDeviceCount(&devices);
  std::printf("rocmdoctor-probe devices %d %s\n", devices, hipGetErrorName(error));
  for (int number = 0; number < devices; number++) {
    hipDeviceProp_t about;
    if (hipGetDeviceProperties(&about, number) != hipSuccess) continue;
    const char* name = about.gcnArchName;
    bool meant = false;
    for (int i = 1; i < argc; i++) {
      size_t length = std::strlen(argv[i]);
      meant = meant || (!std::strncmp(name, argv[i], length) && (!name[length] || name[length] == ':'));
    }
    if (meant) bad += tried(number, name);
    else std::printf("rocmdoctor-probe %d %s other\n", number, name);
  }
  return bad != 0;
}
""".lstrip()


@frozen
class Tried:
    """What one GPU did. `outcome` is right, wrong, failed or other: of a target that was not compiled for."""

    number: int
    gfx: str
    outcome: str
    detail: str


@frozen
class HipProbe(Fact):
    """The program's fate. `compiled` and `ran` are ok, failed, absent, hangs or not-asked; `said`: the compiler's complaints.

    `compiled` is empty where hipcc was content and made no program.

    `found`: the targets in the built file, None when nobody looked; `devices` how many GPUs HIP counted.
    """

    wanted: tuple[str, ...]
    compiled: str
    hipcc: str | None
    seconds: float
    said: tuple[str, ...]
    found: tuple[str, ...] | None
    ran: str
    devices: int | None
    tried: tuple[Tried, ...]
    output: tuple[str, ...]

    templates: ClassVar[tuple[str, ...]] = (
        f"run:hipcc --offload-arch=<gfx> <temporary folder>/{SOURCE} -o <temporary folder>/{NAME}, with verify",
        f"elf:<temporary folder>/{NAME}, with verify",
        f"run:<temporary folder>/{NAME} <gfx>, with verify",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"wish": Env((FOLDER, TARGETS))}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        folder, targets = _wish(ev, FOLDER), _wish(ev, TARGETS).split(",")
        if not re.fullmatch(r"/[\w./-]+", folder) or not all(
            re.fullmatch(r"gfx[0-9a-f]+", t) for t in targets
        ):
            return {}
        return dict(zip(("compile", "look", "run"), probes(folder, tuple(targets)), strict=True))

    @classmethod
    def parse(cls, ev: Evidence) -> HipProbe:
        if "compile" not in ev:
            return cls((), "not-asked", None, 0.0, (), None, "not-asked", None, (), ())
        built, look, ran = ev["compile"], ev["look"], ev["run"]
        count = re.search(rf"^{NAME} devices (\d+)", ran.stdout, re.MULTILINE)
        return cls(
            wanted=tuple(_wish(ev, TARGETS).split(",")),
            compiled="empty" if look.ok and not look.files else _state(built),
            hipcc=built.path or None,
            seconds=built.seconds,
            said=_complaints(built),
            found=_targets(look) if look.ok else None,
            ran=_state(ran),
            devices=int(count.group(1)) if count else None,
            tried=_tried(ran.stdout),
            output=tuple(ran.stderr.strip().splitlines()[-3:]),
        )


def _wish(ev: Evidence, name: str) -> str:
    """A wish, nothing where nobody had one."""
    try:
        return ev.env(name) or ""
    except UnknownError:
        return ""


def probes(folder: str, targets: tuple[str, ...]) -> tuple[Run, Elf, Run]:
    """Compile, look into what was built, run: to be asked one after another."""
    program = f"{folder}/{NAME}"
    flags = tuple(f"--offload-arch={gfx}" for gfx in targets)
    return (
        Run(("hipcc", *flags, f"{folder}/{SOURCE}", "-o", program), timeout=COMPILE_SECONDS),
        Elf(program, timeout=10.0),
        Run((program, *targets), timeout=RUN_SECONDS, touches="gpu"),
    )


def _state(answer: Answer) -> str:
    if answer.ok:
        return "ok" if answer.exit_code == 0 else "failed"
    return {"absent": "absent", "timeout": "hangs", "not-asked": "not-asked"}.get(answer.why, "failed")


def _complaints(answer: Answer) -> tuple[str, ...]:
    """The lines of a compiler that say what is wrong; its last ones where none says so."""
    lines = [line.strip() for line in f"{answer.stderr}\n{answer.stdout}".splitlines() if line.strip()]
    errors = [
        line for line in lines if re.search(r"\berror\b|cannot find|not found|undefined", line, re.IGNORECASE)
    ]
    return tuple((errors or lines[-3:])[:4])


def _targets(answer: Answer) -> tuple[str, ...]:
    words = [line.split() for text in answer.files.values() for line in text.splitlines()]
    return tuple(dict.fromkeys(w[1] for w in words if len(w) == 2 and w[0] == "gfx"))


def _tried(text: str) -> tuple[Tried, ...]:
    found = re.findall(rf"^{NAME} (\d{{1,4}}) (\S+) (right|wrong|failed|other)\b ?(.*)$", text, re.MULTILINE)
    return tuple(Tried(int(number), gfx, outcome, detail.strip()) for number, gfx, outcome, detail in found)
