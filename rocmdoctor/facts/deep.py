"""What the environment's own Python says when it is asked: only with --deep, in a child, and never as root."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact
from rocmdoctor.facts.python_env import CHOOSERS, chosen
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer, Env, Query, Read, Run

SWITCH = "ROCMDOCTOR_DEEP"
SECONDS = 60.0
# Asked by every fact that may run code of an environment, which is never done as root.
PERSON = Read("/proc/self/status", keep=r"^(?:Uid|Gid|Groups):[\d \t]*$", limit=8192)
_MARK = "rocmdoctor-deep "
# Runs in the environment that is judged, which may have any torch and print anything: what it prints goes nowhere,
# only the marked line leaves. Each GPU multiplies two matrices of ones, whose product is known.
_PROBE = """\
import json, os, time
out = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
said = {"stage": "import"}
start = time.perf_counter()
try:
    import torch
    said.update(seconds=round(time.perf_counter() - start, 2), stage="version", version=str(torch.__version__))
    said.update(hip=torch.version.hip, stage="device", available=bool(torch.cuda.is_available()), devices=[])
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        said["devices"].append({"name": str(about.name), "gfx": str(getattr(about, "gcnArchName", ""))})
        said["stage"] = "kernel"
        ones = torch.ones(64, 64, device="cuda:%d" % number)
        said["devices"][-1]["right"] = bool(((ones @ ones) == 64).all().item())
    said["stage"] = "done"
except BaseException as error:
    said["error"] = (type(error).__name__ + ": " + str(error))[:2000]
os.write(out, ("rocmdoctor-deep " + json.dumps(said) + "\\n").encode())
os._exit(0)
"""


@frozen
class Deep(Fact):
    """The answer of the environment's Python. `state`: not-wanted, root, absent, hangs, died or answered.

    `stage` is how far it came: import, version, device, kernel or done; `error` what stopped it there.
    """

    state: str
    python: str
    detail: str = ""
    stage: str = ""
    error: str = ""
    version: str = ""
    hip: str | None = None
    seconds: float = 0.0
    available: bool = False
    devices: tuple[Mapping[str, Any], ...] = ()

    templates: ClassVar[tuple[str, ...]] = (
        "run:<environment>/bin/python3 -I -c <probe of torch>, with --deep",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "switch": Env((SWITCH, *CHOOSERS)),
            "user": PERSON,
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        if not _wanted(ev) or by_root(ev["user"]):
            return {}
        argv = (_python(ev), "-I", "-c", _PROBE)
        return {"probe": Run(argv, timeout=SECONDS, touches="gpu", keep=rf"^{_MARK}\{{.*")}

    @classmethod
    def parse(cls, ev: Evidence) -> Deep:
        python = _python(ev)
        if not _wanted(ev):
            return cls("not-wanted", python)
        if "probe" not in ev:
            return cls("root", python)
        return _answer(ev["probe"], python)


def _wanted(ev: Evidence) -> bool:
    return ev["switch"].ok


def _python(ev: Evidence) -> str:
    return f"{chosen(ev)[0]}/bin/python3"


def by_root(status: Answer) -> bool:
    """Whether the process that asked is root's, by its status; also when nobody could tell."""
    line = next((x for x in status.text.splitlines() if x.startswith("Uid:")), "Uid: 0 0")
    return "0" in line.split()[1:3]


def _answer(answer: Answer, python: str) -> Deep:
    if not answer.ok:
        state = {"timeout": "hangs", "absent": "absent", "not-asked": "not-wanted"}.get(answer.why, "absent")
        return Deep(state, python, detail=answer.detail)
    try:
        said = json.loads(answer.stdout.partition(_MARK)[2].splitlines()[0])
        devices = tuple(d for d in said.get("devices", ()) if isinstance(d, dict))
    except (IndexError, ValueError, AttributeError, TypeError):
        last = answer.stderr.strip().splitlines()[-1:] or [""]
        return Deep("died", python, detail=f"exit code {answer.exit_code}. {last[0]}"[:500].strip())
    hip = said.get("hip")
    return Deep(
        "answered",
        python,
        stage=str(said.get("stage", "")),
        error=str(said.get("error", "")),
        version=str(said.get("version", "")),
        hip=str(hip) if hip else None,
        seconds=said["seconds"] if isinstance(said.get("seconds"), float) else 0.0,
        available=said.get("available") is True,
        devices=devices,
    )
