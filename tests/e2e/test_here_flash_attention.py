"""flash-attention's sdist, which takes hours to build: it is the one that the recipe names, and can be built as it says."""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tarfile
import urllib.request
from functools import cache

import pytest

from rocmdoctor.content import bundled, load_recipes
from rocmdoctor.recipe import Release
from tests.planning.boxes import Box, planned
from tests.planning.test_training_rules import answers


def _releases() -> list[Release]:
    found = load_recipes((bundled(),)).recipes["flash-attention"].releases
    return [release for release in found if release.source == "source"]


@cache
def _data(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            return bytes(answer.read())
    except OSError as error:
        pytest.skip(f"{url} cannot be downloaded: {error}")


def _archive(release: Release) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(_data(release.url)))


by_release = pytest.mark.parametrize("release", _releases(), ids=lambda release: release.version)


@by_release
def test_it_is_the_one_that_the_recipe_names(release: Release) -> None:
    assert hashlib.sha256(_data(release.url)).hexdigest() == release.sha256


@by_release
def test_it_brings_composable_kernel_so_that_no_git_is_needed(release: Release) -> None:
    with _archive(release) as archive:
        names = [name for name in archive.getnames() if "/csrc/composable_kernel/" in name]
    assert len(names) > 1000
    assert any(name.endswith("/01_fmha/generate.py") for name in names)


@by_release
def test_it_builds_for_the_targets_that_the_recipe_has(release: Release) -> None:
    with _archive(release) as archive:
        (path,) = (name for name in archive.getnames() if re.fullmatch(r"[^/]+/setup\.py", name))
        file = archive.extractfile(path)
        assert file is not None
        text = file.read().decode("utf-8")
    found = re.search(r"allowed_archs = (\[[^\]]*\])", text)
    assert found is not None
    assert set(release.fits.gfx) == set(ast.literal_eval(found.group(1))) - {"native"}
    for name in ("BUILD_TARGET", "GPU_ARCHS", "FLASH_ATTENTION_FORCE_BUILD", "MAX_JOBS"):
        assert f'"{name}"' in text, name


def test_the_plan_says_how_many_compilers_there_is_memory_for() -> None:
    plan = planned(answers(Box(), "3.10"), "training")
    (says,) = (a.says for a in plan.actions if a.says.startswith("build flash-attn"))
    found = re.search(
        r"for gfx90a and keep the wheel; (\d+) compilers at once, up to 9 GB of memory each$", says
    )
    assert found is not None, says
    assert 1 < int(found.group(1)) <= 64
