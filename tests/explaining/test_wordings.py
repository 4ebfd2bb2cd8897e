"""Known errors generalise: other texts of the same kinds get the right fault first, texts of what went well get none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from rocmdoctor.content import DataTables, bundled, load_checks
from rocmdoctor.explaining import KnownError, judged
from rocmdoctor.facts.faults import FaultTable
from tests.explaining.known import known_errors, seen
from tests.explaining.wordings import HARMLESS, WORDINGS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What a case of the captures calls a fault, where that is another word than the vocabulary's.
_CLASSES = {
    "groups/permissions": "device-permissions",
    "missing-libstdc++-dev": "missing-libstdcxx-dev",
    "WSL": "wsl",
}
# Nothing in these texts shows a fault: it shows only when the two are laid side by side.
_PAIR = ("hipconfig-full-5.4.3.txt", "apt-show-rocm-libs-5.3.3-mixed.txt")


def _faults(text: str) -> list[str]:
    return [one.best.error.fault for one in judged(seen(text)).diagnoses]


@pytest.mark.parametrize(("fault", "text"), WORDINGS, ids=[f"{n}-{f}" for n, (f, _) in enumerate(WORDINGS)])
def test_another_wording_gets_its_fault_first(fault, text):
    assert _faults(text)[:1] == [fault]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_went_well_gets_no_diagnosis(text):
    assert _faults(text) == []


@pytest.mark.parametrize("before", ["", "[rank0]: ", "2026-11-04T10:22:31.1234567Z ", "#17 93.21 ", "    "])
def test_texts_of_what_went_well_together_get_none_whatever_stands_before_their_lines(before):
    lines = [before + line for text in HARMLESS for line in text.split("\n")]
    assert _faults("\n".join(lines)) == []


def test_every_fault_has_known_errors_or_a_check():
    home = bundled()
    named = {error.fault for error in known_errors()}
    named |= {item.fault for item in load_checks((home,)).ordered() if item.fault}
    # A check may name more faults than the one that it is declared with.
    files = [*(home / "checks").rglob("*.py"), *(home / "rocmdoctor" / "diagnosis").glob("*.py")]
    texts = "".join(path.read_text(encoding="utf-8") for path in files)
    silent = set(DataTables(home)(FaultTable).layers) - named
    assert {fault for fault in silent if f'"{fault}"' not in texts} == set()


# ---- the samples, told by another machine

_HOMES = re.compile(r"/home/alice|/srv|(?<![\w.])~(?=/)")


def _versions(text: str) -> str:
    """Other last numbers in versions of three and more parts; libraries and tags keep theirs."""
    return re.sub(r"(?<![\w.])(\d+\.\d+\.)(\d+)(?![\w.]*\.so)", lambda m: m[1] + str(int(m[2]) + 1), text)


_TELLINGS: dict[str, Callable[[str], str]] = {
    "another home": lambda text: _HOMES.sub("/mnt/data/grp_x/Øla", text),
    "other versions": _versions,
    "other addresses": lambda text: re.sub(r"0x[0-9a-f]{5,}", "0x7f00deadbeef", text),
    "a GPU behind another bus": lambda text: re.sub(r"\b0000:[0-9a-f]{2}:00\.0", "0001:e3:00.0", text),
    "rank of a launcher": lambda text: "".join(f"[rank3]: {line}\n" for line in text.splitlines()),
    "time of a runner": lambda text: "".join(
        f"2026-10-01T08:00:00.0000000Z {line}\n" for line in text.splitlines()
    ),
    "step of an image build": lambda text: "".join(f"#12 34.56 {line}\n" for line in text.splitlines()),
    "colours": lambda text: "".join(f"\x1b[1m\x1b[31m{line}\x1b[0m\n" for line in text.splitlines()),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "a crowd around": lambda text: "all is well\n" * 300 + text + "all was well\n" * 300,
    "typographic quotes": lambda text: re.sub(r"[`']([\w.+-]+)'", "‘\\1’", text),
}


@pytest.mark.parametrize("telling", _TELLINGS)
def test_samples_are_explained_whoever_tells_them(telling):
    change = _TELLINGS[telling]
    lost = [
        f"{error.id}: {sample.text}"
        for error in known_errors()
        for sample in error.samples
        if error.id not in {one.error.id for one in seen(change(sample.text)).observed}
    ]
    assert lost == []


def _stands(error: KnownError, text: str) -> bool:
    """Whether the first answer is of the error's fault, or names the error among the causes of the same line."""
    diagnoses = judged(seen(text)).diagnoses
    if not diagnoses:
        return False
    first = diagnoses[0]
    near = [first.best.error, *(other.error for other in first.others)]
    return first.best.error.fault == error.fault or error in near


@pytest.mark.parametrize("error", known_errors(), ids=lambda e: e.id)
def test_no_other_error_speaks_before_the_one_whose_sample_it_is(error):
    assert [sample.text for sample in error.samples if not _stands(error, sample.text)] == []


# ---- the captures


def test_every_text_of_the_cases_names_its_fault_first(corpus):
    wrong = []
    for file in sorted((corpus / "cases").glob("*.toml")):
        case = tomllib.loads(file.read_text())
        wanted = _CLASSES.get(case["class"], case["class"])
        if case["symptom_form"] != "described" and _faults(case["symptom_text"])[:1] != [wanted]:
            wrong.append((file.name, wanted, _faults(case["symptom_text"])))
    assert wrong == []


def test_outputs_that_show_a_fault_are_explained_and_healthy_ones_are_not(corpus):
    wrong = []
    for output in tomllib.loads((corpus / "outputs" / "index.toml").read_text())["output"]:
        explained = judged(seen((corpus / "outputs" / output["file"]).read_bytes()))
        if output["file"] in _PAIR:
            continue
        if explained.exit_code != (0 if output["healthy"] else 1):
            wrong.append((output["file"], explained.exit_code))
    assert wrong == []


def test_the_pair_of_outputs_shows_its_fault_together(corpus):
    together = "".join((corpus / "outputs" / name).read_text() for name in _PAIR)
    assert _faults(together)[:1] == ["mixed-rocm-versions"]
