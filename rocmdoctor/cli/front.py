"""The first page of help, without any import, so that it costs no more than Python itself."""

VERBS = {
    "check": "what is there, what is wrong first, and what cures it",
    "run": "run a program unchanged, and say why when it fails",
    "fix": "cure what 'check' finds, where a recipe can, after one yes",
    "plan": "what 'install' would do: steps, versions, removals, sizes, reboots",
    "install": "driver access, ROCm, settings and exports, after one yes; resumable",
    "resume": "go on with an installation that was interrupted",
    "undo": "take an installation back",
    "verify": "prove that it works: compile for the GPU, look into the code, run it",
    "env": "the few variables that this machine needs, and why not the others",
    "pip": "install with pip, and leave alone what was installed for the GPUs",
    "cache": "wheels that were built here: show, clear away, carry to other machines",
    "history": "what was installed here, when, and how it ended",
    "explain": "name the fault in a log: the line that shows it, the cause, the cure",
    "collect": "save what can be asked of this machine, to be judged elsewhere",
    "list": "what this release knows: checks, gpus, recipes, stacks",
    "patch": "which patches a source tree needs here; applies them",
    "recipe": "check recipes of your own before they are used",
    "completion": "shell completion for bash, zsh and fish",
}

_HEAD = """\
Usage: rocmdoctor VERB [OPTIONS]

  Say why a machine with AMD GPUs cannot fine-tune, and how to cure it.

  rocmdoctor check                      judge this machine
  rocmdoctor check --for rocm           fail when ROCm is not there
  rocmdoctor explain build.log          name the fault in a log
  rocmdoctor collect -o box.json        save this machine's answers
  rocmdoctor check --snapshot box.json  judge a saved one
  rocmdoctor fix                        cure what it finds
  rocmdoctor plan base --arch gfx90a    what an installation would do
  rocmdoctor install base --arch gfx90a

Verbs:
"""

_TAIL = """\

Options:
  -V, --version  Show the version.
  -h, --help     Show this page; after a verb, that verb's options and examples.

Exit codes: 0 fine, 1 a check failed, 2 usage, 3 this machine does not fit, 4 a step failed, 5 declined,
6 could not assess, 70 our bug, 102 reboot needed, 130 Ctrl-C.
"""


def page() -> str:
    """The page as it is printed."""
    return _HEAD + "".join(f"  {name:<11} {says}\n" for name, says in VERBS.items()) + _TAIL
