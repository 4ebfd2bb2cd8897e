"""A shell that sets nothing of ROCm, and an environment without torch."""

from __future__ import annotations

from rocmdoctor.facts.shell import NAMES, OVERRIDE
from tests.machines.parts import ABSENT, Answers, Spec, files, text

_HOME_FILES = (".bashrc", ".profile", ".bash_profile", ".zshrc", ".zshenv", ".config/fish/config.fish")


def variables(spec: Spec) -> Answers:
    """The process that asks."""
    unset = (*NAMES, "LD_LIBRARY_PATH", "LD_PRELOAD", "CONDA_PREFIX", "VIRTUAL_ENV", "XDG_CACHE_HOME")
    nodes = (f"{OVERRIDE}_{node}" for node, _ in enumerate(spec.gpus, 1))
    answers: Answers = {f"env:{name}": ABSENT for name in (*unset, *nodes)}
    answers["env:PATH"] = text("/usr/local/bin:/usr/bin:/bin")
    answers["env:HOME"] = text(f"/home/{spec.user}")
    return answers


def shell_files(spec: Spec) -> Answers:
    """Files of the shell, of which only the beginnings of lines are left, since they set nothing of ours."""
    home = f"/home/{spec.user}"
    answers: Answers = {f"read:{home}/{name}": ABSENT for name in _HOME_FILES}
    answers[f"read:{home}/.bashrc"] = text("\n\n    \nexport\n\n")
    answers[f"read:{home}/.profile"] = text("\n\n")
    answers[f"read:{home}/.config/rocmdoctor/env.sh"] = ABSENT
    answers[f"glob:{home}/.config/rocmdoctor/env.sh"] = ABSENT
    runs = "rocmdoctor/runs/*/promised"
    answers[f"glob:/var/lib/{runs}"] = answers[f"glob:{home}/.local/state/{runs}"] = ABSENT
    answers[f"glob:{home}/.config/environment.d/*.conf"] = ABSENT
    answers["read:/etc/environment"] = text("\n")
    answers["read:/etc/bash.bashrc"] = text("\n\n\n")
    answers["glob:/etc/profile.d/*.sh"] = files({"/etc/profile.d/bash_completion.sh": "\n\n"})
    answers[f"stat:{home}"] = text(f"dir 0750 {spec.user} {spec.user}")
    answers[f"stat:{home}/.config/miopen"] = text(f"dir 0755 {spec.user} {spec.user}")
    answers[f"stat:{home}/.cache/miopen"] = ABSENT
    return answers


PARTS = (variables, shell_files)
