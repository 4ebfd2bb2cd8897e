"""The programs of ROCm: which are there, which answer, and what they say of GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

from rocmdoctor.facts import texts
from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.facts.gpus import GpuTable
from rocmdoctor.facts.hip_probe import NAME, SOURCE
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer, Link, List, Query, Run

# `hipconfig --full` also prints the host's name and the environment: only what is judged leaves the machine.
_HIPCONFIG = (
    r"^(?:HIP version|HIP_PATH|ROCM_PATH|HIP_COMPILER|HIP_PLATFORM|HIP_RUNTIME|HSA_PATH|HIP_CLANG_PATH|CUDA_PATH"
    r"|InstalledDir)\s*:.*|^.*clang version [^\n]{1,80}|^nvcc: [^\n]*|Can't exec [^\n]*?(?= at )"
    r"|^(?:Cuda compilation|sh: )[^\n]{1,120}"
)
QUESTIONS: Mapping[str, Run] = {
    "rocminfo": Run(("rocminfo",), touches="gpu"),
    "hipconfig": Run(("hipconfig", "--full"), keep=_HIPCONFIG),
    "hipcc": Run(("hipcc", "--version")),
    "rocm-smi": Run(("rocm-smi", "--showid"), touches="gpu"),
    "amd-smi": Run(("amd-smi", "version"), touches="gpu"),
    "rocm_agent_enumerator": Run(("rocm_agent_enumerator",), touches="gpu"),
    "clinfo": Run(("clinfo", "-l"), touches="gpu"),
}
_OTHERS = ("lspci",)


@frozen
class Tool:
    """One program. `state` is ok, absent, failed or hangs; `said` its own words: the first line that explains."""

    name: str
    state: str
    gfx: tuple[str, ...] = ()
    version: str | None = None
    path: str | None = None
    said: str = ""
    text: str = ""
    exit_code: int | None = None


def answered(ev: Evidence, name: str) -> Iterator[tuple[tuple[str, ...], Answer]]:
    """A program's answers; the ones that were given stand before those that say it is absent."""
    asked = [(argv, answer) for argv, answer in ev.runs(name) if answer.why != "not-asked"]
    # What compiles our own program says nothing of the machine's GPUs.
    found = [(argv, answer) for argv, answer in asked if not any(word.endswith(SOURCE) for word in argv)]
    yield from sorted(found, key=lambda item: item[1].why == "absent")


@frozen
class ToolAnswers(Fact):
    """Raw answers by program: the one found on PATH, else the one of a ROCm below /opt; all that other roots gave."""

    best: Mapping[str, Answer]
    by_root: Mapping[str, Answer]
    every: tuple[tuple[str, Answer], ...]
    templates: ClassVar[tuple[str, ...]] = (
        "run:/opt/<rocm*>/bin/<tool>",
        "run:/opt/<rocm*>/bin/hipconfig --full",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            **QUESTIONS,
            "opt": List("/opt"),
            "link": Link("/opt/rocm"),
            "alternative": Link("/etc/alternatives/rocm"),
            "rocm": List("/opt/rocm"),
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        asked: dict[str, Query] = {}
        main = _main(ev)
        for name, question in QUESTIONS.items():
            if main and ev[name].why == "absent":
                asked[f"{main} {name}"] = _at(main, question)
        seen = {main, ev["hipconfig"].path.rpartition("/bin/")[0]}
        if "/opt/rocm" in seen:
            seen.add(opt_target(ev))
        for root in _versioned(ev):
            if root not in seen:
                asked[f"{root} hipconfig"] = _at(root, QUESTIONS["hipconfig"])
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> ToolAnswers:
        best, every = {}, []
        for name in (*QUESTIONS, *_OTHERS):
            answers = list(answered(ev, name))
            every += [(name, answer) for _, answer in answers]
            if answers:
                best[name] = ev[name] if name in ev and ev[name].ok else answers[0][1]
        known = {*QUESTIONS, *_OTHERS, NAME}
        every += [(name, answer) for name, answer in ev.all_runs() if name not in known and answer.ok]
        by_root = {argv[0].rpartition("/bin/")[0]: a for argv, a in ev.runs("hipconfig") if "/" in argv[0]}
        if ev["hipconfig"].ok:
            by_root[""] = ev["hipconfig"]
        if not every:
            raise UnknownError(f"{ev.key('rocminfo')}: not asked")
        return cls(best, by_root, tuple(every))


def _at(root: str, question: Run) -> Run:
    return Run(
        (f"{root}/bin/{question.argv[0]}", *question.argv[1:]),
        question.timeout,
        question.touches,
        question.keep,
    )


def opt_target(ev: Evidence) -> str | None:
    """The folder that the link /opt/rocm leads to, by way of the system's alternatives; None where it is no link."""
    if not ev["link"].ok:
        return None
    target = ev["link"].text.strip()
    if target == "/etc/alternatives/rocm" and ev["alternative"].ok:
        target = ev["alternative"].text.strip()
    return (target if target.startswith("/") else f"/opt/{target}").rstrip("/")


def _main(ev: Evidence) -> str | None:
    """The folder that /opt/rocm stands for; the highest version where that is not there."""
    if ev["rocm"].ok and "bin" in ev["rocm"].text:
        return "/opt/rocm"
    return max(_versioned(ev), default=None, key=lambda r: [int(n) for n in re.findall(r"\d+", r)])


def _versioned(ev: Evidence) -> list[str]:
    names = [n.rstrip("/") for n in ev["opt"].text.splitlines()]
    roots = [f"/opt/{n}" for n in names if re.fullmatch(r"rocm-\d+(?:\.\d+)*", n)]
    cores = [n.rstrip("/@") for n in ev["rocm"].text.splitlines()]
    return roots + [f"/opt/rocm/{n}" for n in cores if re.fullmatch(r"core-\d+(?:\.\d+)*", n)]


@frozen
class Tools(Fact):
    """All programs that were asked, by name; and what the texts of other programs say of GPUs."""

    tools: Mapping[str, Tool]

    @classmethod
    def derive(cls, answers: ToolAnswers, table: GpuTable) -> Tools:
        found = {name: _tool(name, answer, answers, table) for name, answer in answers.best.items()}
        for name, answer in answers.every:
            if name not in found and name not in _OTHERS:
                gfx = texts.targets(name, answer.stdout + answer.stderr, table)
                if gfx:
                    found[name] = Tool(name, "ok", gfx, path=answer.path or None)
        return cls(found)

    def get(self, name: str) -> Tool:
        """One program. Raises UnknownError when nobody asked for it."""
        if name not in self.tools:
            raise UnknownError(f"run:{name}: not asked")
        return self.tools[name]

    @property
    def hanging(self) -> tuple[str, ...]:
        return tuple(name for name, tool in self.tools.items() if tool.state == "hangs")


def _tool(name: str, answer: Answer, answers: ToolAnswers, table: GpuTable) -> Tool:
    if not answer.ok:
        state = {"absent": "absent", "timeout": "hangs"}.get(answer.why, "failed")
        return Tool(name, state, path=answer.path or None, said=answer.detail if state == "failed" else "")
    both = texts.plain(f"{answer.stdout}\n{answer.stderr}")
    gfx: list[str] = []
    for other, given in answers.every:
        if other == name:
            gfx += texts.targets(name, given.stdout, table)
    works = texts.recognised(name, answer.stdout) or bool(gfx)
    return Tool(
        name=name,
        state="ok" if works and _expected(name, answer) else "failed",
        gfx=tuple(dict.fromkeys(gfx)),
        version=texts.version(name, answer.stdout),
        path=answer.path or None,
        said=_complaint(both),
        text=both,
        exit_code=answer.exit_code,
    )


def _expected(name: str, answer: Answer) -> bool:
    """rocm-smi and its like end with 1 or 2 after mere warnings; a text that says nothing else is no answer."""
    return name != "clinfo" or answer.exit_code == 0 or "Number of platforms" in answer.stdout


_COMPLAINT = re.compile(r"NOT loaded|Unable to open|HSA_STATUS_ERROR|error|failed|not found", re.IGNORECASE)


def _complaint(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if _COMPLAINT.search(line)), lines[0] if lines else "")[:200]
