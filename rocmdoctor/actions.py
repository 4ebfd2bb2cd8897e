"""What a plan is made of: five things that can be done to a machine, and what each says, costs and takes back. Frozen.

Sizes are bytes, times seconds, versions text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from rocmdoctor.frozen import frozen

PLAN_SCHEMA = 1


@frozen
class Exec:
    """A program, as an argument list. Nothing is ever given to a shell.

    `simulate` is asked right before: the packages that it says would go must be among the action's `removes`. Where it is a
    pip, it must not say that it would install what is of the patterns `keeps`, but for those that are `named`.
    `heal`: programs that mend what an earlier try left when it was cut off; they run before such a second try.
    `creates` names a path that proves, once it is there, that the program need not run again.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    simulate: tuple[str, ...] = ()
    heal: tuple[tuple[str, ...], ...] = ()
    creates: str = ""
    codes: tuple[int, ...] = (0,)
    keeps: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


@frozen
class WriteFile:
    """A file with this text; None means that there shall be no such file.

    With `block` the text stands between two marked lines of a file that is otherwise kept, None removes them. `mode` is
    for files that are new; a file that is there keeps its mode and owner.
    """

    path: str
    text: str | None
    mode: int = 0o644
    block: bool = False


@frozen
class Fetch:
    """A download that must have this sha256 (64 hex digits).

    With `key` it holds the OpenPGP key of this fingerprint, `sha256` is empty, and that key alone is kept, armored: key
    files change when their keys are prolonged, fingerprints do not. `instead` is a file of this machine that stands in for
    what the address would give.
    """

    url: str
    path: str
    sha256: str
    mode: int = 0o644
    key: str = ""
    instead: str = ""


@frozen
class ApplyPatch:
    """A patch file applied to a source tree with `git apply`."""

    patch: str
    tree: str
    sha256: str


@frozen
class Reboot:
    """The machine starts anew; done once its boot id differs. `why` completes "so that ...".

    With `can_wait` nothing of the plan stands on it: one reboot at the plan's end serves for all of these.
    """

    why: str
    can_wait: bool = False


Do = Exec | WriteFile | Fetch | ApplyPatch | Reboot


@frozen
class Undo:
    """How an action is taken back. `kind`:

    restore: what the file was before, after which `commands` run (a boot menu is made from it, a daemon reads it);
    packages: those that it newly installed are purged; commands: these run, none where another action's undo does it;
    nothing: it leaves nothing that would have to be taken back; impossible: `says` tells why.
    """

    kind: str
    says: str = ""
    commands: tuple[tuple[str, ...], ...] = ()


@frozen
class Action:
    """One thing to do. `id` is `<recipe>.<step>`, with a number where a step does several; ops leave it empty.

    `says` is what the user reads, in the imperative. `root`: needs root, else it is done as the user. `removes` and
    `installs` are predicted package names. `download`, `disk` and `seconds` are predictions. `skip_if` is a check that
    says, when it is ok, that the action need not be repeated. `sources`: it changes where packages come from. `then` is what the user must do
    afterwards for it to count, such as to log in again; it is said at the end.
    """

    do: Do
    says: str
    undo: Undo
    id: str = ""
    recipe: str = ""
    root: bool = True
    network: bool = False
    timeout: float = 120.0
    removes: tuple[str, ...] = ()
    installs: tuple[str, ...] = ()
    download: int = 0
    disk: int = 0
    seconds: float = 1.0
    skip_if: str = ""
    sources: bool = False
    then: str = ""


@frozen
class Person:
    """For whom the machine is set up. `home` and `shell` are paths."""

    name: str
    uid: int
    home: str
    shell: str = ""


@frozen
class Request:
    """What was asked for, from which the same plan can be made again.

    `rocm` is a release (`6.0.2`, `6.4`) or a set of versions (`>=6.2,<7`). `driver`: dkms, kernel or auto. `keep` are
    vendors whose packages stay. `mirror` stands in for the server of packages, `trust_key` for the fingerprint of its key.
    `pins` are requirements such as `torch==2.9.*`, `more` targets beside the others, `from_source` components that are
    built even where there is a wheel. `python` is a version, `env` the folder of the environment, None for the managed one.
    `locked` is the file of a lock that the rest was taken from, `mirror_folder` what stands in for every server of it.
    """

    targets: tuple[str, ...]
    arch: str | None = None
    rocm_source: str | None = None
    no_root: bool = False
    rocm: str | None = None
    driver: str | None = None
    keep: tuple[str, ...] = ()
    mirror: str | None = None
    trust_key: str | None = None
    pins: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    from_source: tuple[str, ...] = ()
    python: str | None = None
    env: str | None = None
    locked: str | None = None
    mirror_folder: str | None = None


@frozen
class Choice:
    """The version of one component, and why others fell out: version to reason."""

    version: str
    source: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


@frozen
class Plan:
    """Everything that will be done, in this order, and what it was planned from.

    `claims` are the facts that it rests on, by name, as text: the plan fits as long as all are still so. `left_out`:
    steps that this machine does not call for, with the reason. `verify` are ids of checks. `gfx` are the targets that
    code is compiled for.
    """

    request: Request
    person: Person
    gfx: tuple[str, ...]
    choice: Mapping[str, Choice]
    actions: tuple[Action, ...]
    claims: Mapping[str, str]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    verify: tuple[str, ...]
