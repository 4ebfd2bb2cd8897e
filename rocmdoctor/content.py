"""Finds and loads the knowledge: checks and their tables, recipes, stacks and patches, in a wheel, a checkout or folders of one's own."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import stat
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rocmdoctor.diagnosis.registry import BadCheckError, Registry
from rocmdoctor.facts.base import Table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from rocmdoctor.patching import Patch, PatchProblem, Project
    from rocmdoctor.recipe import Problem, Recipe, Recipes, Stack

# A recipe is text of some hundred lines.
_MAX_BYTES = 1 << 20


class ContentError(Exception):
    """Knowledge that cannot be loaded; `where` is the file, with the line where it is known."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where


def bundled() -> Path:
    """The folder that holds checks/, recipes/ and patches/. Raises ContentError."""
    package = Path(__file__).resolve().parent
    # An editable install resolves to the checkout, which has no _content.
    for folder in (package / "_content", package.parent):
        if (folder / "checks" / "data").is_dir():
            return folder
    raise ContentError(
        str(package), "holds no checks; the installation is incomplete, install rocmdoctor again"
    )


def load_checks(folders: tuple[Path, ...]) -> Registry:
    """All checks of the folders' checks/*.py. Raises ContentError; a duplicate id is an error."""
    registry = Registry()
    for folder in folders:
        for path in sorted((folder / "checks").glob("*.py")):
            try:
                with registry.loading():
                    _run_file(path)
            except BadCheckError as error:
                raise ContentError(str(path), str(error)) from error
            except Exception as error:
                raise ContentError(_place(path, error), f"{type(error).__name__}: {error}") from error
    return registry


def own_folders(given: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Folders with content of the user's own: those that are named, then the one of the data folder where there is one.

    Its checks are code: root takes it from the data folder only where the folder is root's.
    """
    data = os.environ.get("XDG_DATA_HOME", "")
    home = Path(data) if data.startswith("/") else Path("~/.local/share").expanduser()
    kept = home / "rocmdoctor" / "content"
    mine = kept.is_dir() and (os.geteuid() != 0 or kept.stat().st_uid == 0)
    return tuple(dict.fromkeys((*given, *([kept] if mine else []))))


def load_recipes(folders: Iterable[Path], check_ids: Collection[str] | None = None) -> Recipes:
    """All of the folders' recipes/*.yaml and recipes/stacks/*.yaml.

    Raises ContentError for a folder that is none, BadRecipeError with all that is wrong in all files.
    """
    files: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise ContentError(str(folder), "is not a folder")
        files += recipe_files(folder)
    return read_recipes(files, check_ids)


def recipe_files(folder: Path) -> list[Path]:
    """The files of recipes and stacks of a folder, sorted."""
    return [
        *sorted((folder / "recipes").glob("*.yaml")),
        *sorted((folder / "recipes" / "stacks").glob("*.yaml")),
    ]


def read_recipes(files: Iterable[Path], check_ids: Collection[str] | None = None) -> Recipes:
    """The recipes and stacks in files, beside each other. Raises BadRecipeError."""
    from rocmdoctor.recipe import BadRecipeError, together  # noqa: PLC0415 - checks need none

    read, wrong = parse_recipes(files, check_ids)
    if wrong:
        raise BadRecipeError(wrong)
    return together(read)


def parse_recipes(
    files: Iterable[Path], check_ids: Collection[str] | None = None
) -> tuple[list[Recipe | Stack], list[Problem]]:
    """What is in files, each by itself, and all that is wrong in the others. Those in a folder `stacks` are stacks."""
    from rocmdoctor.recipe import BadRecipeError, load_recipe, load_stack  # noqa: PLC0415

    read: list[Recipe | Stack] = []
    wrong: list[Problem] = []
    for path in files:
        try:
            text = recipe_text(path)
            is_stack = path.parent.name == "stacks"
            read.append(load_stack(text, str(path)) if is_stack else load_recipe(text, str(path), check_ids))
        except BadRecipeError as error:
            wrong += error.problems
    return read, wrong


def recipe_text(path: Path) -> str:
    """The text of a file of YAML. Raises BadRecipeError."""
    from rocmdoctor.recipe import BadRecipeError, Place, Problem  # noqa: PLC0415

    def refused(message: str, line: int = 1) -> BadRecipeError:
        return BadRecipeError([Problem(Place(str(path), line, 1), "", message)])

    try:
        # Without blocking, since a FIFO would never answer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise refused("is not a regular file")
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise refused(f"cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise refused("is larger than 1 MiB; no recipe is")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        said = f"is not UTF-8 text: byte 0x{data[error.start]:02x} at {error.start}"
        raise refused(said, data.count(b"\n", 0, error.start) + 1) from error


def load_patches(folders: Iterable[Path], check_ids: Collection[str] | None = None) -> dict[str, Project]:
    """The projects of the folders' patches/, by name. A project of a later folder stands in for one of an earlier.

    Raises ContentError for a state.py that does not load, BadPatchError with all that is wrong in all patch files.
    """
    from rocmdoctor.patching import BadPatchError  # noqa: PLC0415 - checks need none

    found: dict[str, Project] = {}
    wrong: list[PatchProblem] = []
    for folder in folders:
        inside = (folder / "patches").iterdir() if (folder / "patches").is_dir() else ()
        for place in sorted(inside):
            if not place.is_dir() or place.name.startswith((".", "__")):
                continue
            try:
                found[place.name] = _project(place, check_ids)
            except BadPatchError as error:
                wrong += error.problems
    if wrong:
        raise BadPatchError(wrong)
    return dict(sorted(found.items()))


def _project(folder: Path, check_ids: Collection[str] | None) -> Project:
    from rocmdoctor.patching import BadPatchError, PatchProblem, Project, read_patch  # noqa: PLC0415

    patches: list[Patch] = []
    wrong: list[PatchProblem] = []
    for path in sorted(folder.glob("*.patch")):
        try:
            patches.append(read_patch(_patch_text(path), str(path), folder.name, check_ids))
        except BadPatchError as error:
            wrong += error.problems
    numbers: dict[str, str] = {}
    for patch in patches:
        other = numbers.setdefault(patch.id[:4], patch.id)
        if other != patch.id:
            wrong.append(PatchProblem(patch.where, 1, f"the number {patch.id[:4]} is that of '{other}', too"))
    if wrong:
        raise BadPatchError(wrong)
    module = _state_of(folder / "state.py")
    return Project(
        folder.name, tuple(patches), module.state, tuple(module.READS), dict(getattr(module, "REFUSED", {}))
    )


def _patch_text(path: Path) -> str:
    from rocmdoctor.patching import BadPatchError, PatchProblem  # noqa: PLC0415

    try:
        data = _small_file(path)
        return data.decode("utf-8")
    except OSError as error:
        raise BadPatchError([PatchProblem(str(path), 1, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        said = f"is not UTF-8 text: byte 0x{data[error.start]:02x} at {error.start}"
        raise BadPatchError([PatchProblem(str(path), line, said)]) from error


def _small_file(path: Path) -> bytes:
    """The bytes of a regular file of at most 1 MiB. Raises OSError. A FIFO would never answer."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise OSError(errno.EFBIG, "it is larger than 1 MiB")
    return data


def _state_of(path: Path) -> Any:
    """The module of a project that tells what its trees say."""
    if not path.is_file():
        raise ContentError(str(path), "is not there; beside patches it says what a tree says of them")
    try:
        module = _run_file(path)
    except Exception as error:
        raise ContentError(_place(path, error), f"{type(error).__name__}: {error}") from error
    missing = [name for name in ("state", "READS") if not hasattr(module, name)]
    if missing:
        raise ContentError(str(path), f"{missing[0]}: missing; wanted are READS and state(tree, version)")
    return module


def _run_file(path: Path) -> Any:
    # By path, and under a name of their own: a top-level package `checks` would collide in site-packages.
    inside = f"{path.parent.parent.name}_{path.parent.name}_{path.stem}"
    name = "rocmdoctor_content_" + re.sub(r"\W", "_", inside)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _place(path: Path, error: Exception) -> str:
    line = getattr(error, "lineno", None)
    trace = error.__traceback__
    while line is None and trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{path}:{line}" if line else str(path)


class DataTables:
    """Tables of checks/data/, each loaded once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "checks" / "data"
        self._loaded: dict[type[Table], Any] = {}

    def __call__(self, kind: type[Table]) -> Any:
        """Raises ContentError."""
        if kind not in self._loaded:
            path = self._folder / kind.file
            try:
                self._loaded[kind] = kind.load(toml_of(path))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ContentError(str(path), f"is not what {kind.__name__} reads: {error!r}") from error
        return self._loaded[kind]


@cache
def toml_of(path: Path) -> Mapping[str, Any]:
    """A table, as it was kept where it was read before. Raises ContentError."""
    try:
        stamp = path.stat()
        kept = path.parent / "__pycache__" / f"{path.stem}.{stamp.st_mtime_ns:x}.{stamp.st_size:x}.json"
        return kept_table(kept) or _parsed(path, kept)
    except OSError as error:
        raise ContentError(str(path), f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContentError(str(path), f"is not TOML: {error}") from error


def kept_table(kept: Path) -> Mapping[str, Any] | None:
    """The table as it was parsed before: reading JSON takes a twentieth of the time."""
    try:
        with kept.open("rb") as file:
            data: Mapping[str, Any] = json.load(file)
    except (OSError, ValueError):
        return None
    return data


def _parsed(path: Path, kept: Path) -> Mapping[str, Any]:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    keep_table(path, kept, data)
    return data


def keep_table(path: Path, kept: Path, data: Mapping[str, Any]) -> None:
    """Keeps what was parsed from `path` in `kept`, where that is possible."""
    # Kept where Python keeps its own byte code, under the same switch, and as little missed where that is not possible.
    if not sys.dont_write_bytecode:
        with suppress(OSError, TypeError):
            kept.parent.mkdir(exist_ok=True)
            aside = kept.with_name(f"{kept.name}.{os.getpid()}")
            aside.write_text(json.dumps(data), encoding="utf-8")
            aside.replace(kept)
            for old in kept.parent.glob(f"{path.stem}.*.json"):
                if old != kept:
                    old.unlink()
