"""Runs one proof with the Python of the environment that is judged: `python3 -I prove.py SUBJECT cpu|gpu FOLDER`.

Standard library and the component that is proved, nothing else. What libraries print goes nowhere; only marked lines of
JSON leave, one whenever something is known, so that a proof that dies has said how far it came. They hold figures and no
judgement: what is right is decided by whoever reads them, perhaps on another machine.
"""

# mypy: ignore-errors

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from contextlib import suppress

MARK = b"rocmdoctor-proof "


class MissingError(Exception):
    """The component is not installed."""


class Report:
    """What leaves this process: lines of JSON. Keys said again replace what was said before, figures are collected."""

    def __init__(self, out):
        self._out = out

    def say(self, **known):
        """Something that is known now. All numbers must be finite, since JSON has no others."""
        data = MARK + json.dumps(known, allow_nan=False).encode() + b"\n"
        while data:
            data = data[os.write(self._out, data) :]

    def stage(self, words):
        """What is done next, for the case that it is the last thing."""
        self.say(stage=words)

    def figure(self, name, **values):
        """A measurement."""
        self.say(figure={"name": name, **values})

    def without(self, name, why):
        """Something that this device or release has no way to do."""
        self.say(figure={"name": name, "without": str(why)[:500]})


def need(report, module, distribution=None):
    """Imports a component and says its version. Raises MissingError when there is none."""
    if importlib.util.find_spec(module) is None:
        raise MissingError(distribution or module)
    report.stage("import " + module)
    found = importlib.import_module(module)
    if distribution is not None:
        report.say(version=str(getattr(found, "__version__", "")), file=str(getattr(found, "__file__", "")))
    return found


def first_device(torch, device):
    """The device that proofs compute on. Raises LookupError when torch shows no GPU."""
    if device == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise LookupError("torch.cuda.is_available() is False")
    return torch.device("cuda", 0)


def about(torch, device):
    """The name of a device, for people: `cpu`, or number, target and product of a GPU."""
    if device.type == "cpu":
        return "cpu"
    found = torch.cuda.get_device_properties(device)
    gfx = str(getattr(found, "gcnArchName", "")).partition(":")[0]
    return " ".join(filter(None, (f"gpu {device.index}", gfx, str(found.name))))


def random(torch, *shape, seed=1):
    """Normal numbers, the same on every machine and device."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def compared(torch, got, reference, scale):
    """The largest difference in parts of `scale`, where it stands, and how many results are no finite number."""
    got, reference, scale = (x.detach().double().cpu() for x in (got, reference, scale))
    finite = torch.isfinite(got)
    off = torch.where(
        finite, (got - reference).abs() / scale.clamp_min(1e-300), torch.zeros_like(scale + got)
    )
    worst = int(off.argmax())
    return {
        "worst": float(off.flatten()[worst].clamp_max(1e300)),
        "at": [int(n) for n in torch.unravel_index(torch.tensor(worst), off.shape)],
        "nonfinite": int((~finite).sum()),
        "count": got.numel(),
    }


def kind_of(error):
    """What stopped a proof, in one word."""
    name = type(error).__name__
    if isinstance(error, MissingError):
        return "missing"
    if isinstance(error, MemoryError) or name == "OutOfMemoryError" or "out of memory" in str(error).lower():
        return "memory"
    if isinstance(error, LookupError) and "torch.cuda.is_available" in str(error):
        return "no-gpu"
    return "failed"


def main():
    """Never returns, so that no library's clean-up can spoil what was said."""
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    report = Report(out)
    subject, device, folder = sys.argv[1:4]
    # Behind the environment's own folders: nothing of ours may stand in for a module of theirs.
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    sys.modules["prove"] = sys.modules["__main__"]
    start = time.perf_counter()
    try:
        os.chdir(folder)
        report.say(subject=subject, asked=device, stage="start")
        importlib.import_module("prove_" + subject).prove(report, device)
        report.stage("done")
    except BaseException as error:
        # Whatever happens in foreign code is an answer.
        report.say(kind=kind_of(error), error=f"{type(error).__name__}: {error}"[:2000])
    with suppress(OSError):
        report.say(seconds=round(time.perf_counter() - start, 2))
    os._exit(0)


if __name__ == "__main__":
    main()
