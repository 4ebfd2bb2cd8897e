"""Everything that the root side runs, in one archive: what root executes is this, and nothing that a user can write.

The archive holds rocmdoctor, its checks, recipes and patches, content of the user's own, and the libraries that the
root side imports. Equal inputs make equal bytes, so a version that is there already is used again.
"""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from rocmdoctor.content import bundled

START = "start.py"
OWN = "own"
_LIBRARIES = ("click", "packaging", "plumbum", "psutil", "tomli", "typing_extensions")
_CONTENT = ("checks", "recipes", "patches")
_LEFT_OUT = {"__pycache__", "tests", ".mypy_cache"}
# Isolated mode (-I) leaves out the script's folder and everything of the user's; only what lies beside it is added.
_START_TEXT = """\
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "lib")]
sys.dont_write_bytecode = True
from rocmdoctor.cli.runner import main
sys.exit(main(sys.argv[1:]))
"""


def build(own: Iterable[Path] = ()) -> bytes:
    """The archive. `own` are folders with content of the user's. Raises OSError."""
    package = Path(__file__).resolve().parent.parent
    entries: dict[str, bytes] = {START: _START_TEXT.encode()}
    entries.update(_tree(package, package.name))
    for name in _CONTENT:
        entries.update(_tree(bundled() / name, name))
    for number, folder in enumerate(own):
        for name in _CONTENT:
            entries.update(_tree(folder / name, f"{OWN}/{number}/{name}"))
    for name in _LIBRARIES:
        entries.update(_library(name))
    return _packed(entries)


def _tree(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        inside = path.relative_to(folder)
        if (
            not _LEFT_OUT & set(inside.parts)
            and not any(p.startswith(".") for p in inside.parts)
            and path.is_file()
        ):
            yield f"{name}/{inside.as_posix()}", path.read_bytes()


def _library(name: str) -> Iterator[tuple[str, bytes]]:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return
    origin = Path(spec.origin)
    if spec.submodule_search_locations:
        yield from _tree(origin.parent, f"lib/{name}")
    else:
        yield f"lib/{origin.name}", origin.read_bytes()


def _packed(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entries[name])
    return buffer.getvalue()
