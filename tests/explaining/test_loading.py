"""Files of known errors: what is wrong is said with its place."""

from __future__ import annotations

import pytest

from rocmdoctor.explaining.loading import BadKnownErrorError, Names, check_together, read_errors

GOOD = """\
schema: 1
errors:
  - id: kfd-open-denied
    fault: device-permissions
    title: The user may not open {path}
    says:
      - text: "Unable to open {path} read-write: {why}"
        printed_by: ROCm/rocminfo rocminfo.cc
        where: {why: [Permission denied]}
    near: [{text: "ROCk module is loaded", printed_by: the same}]
    in: [python]
    cause: "{path} is closed."
    confidence: medium
    decided_by:
      - check: driver.kfd-access
        fail: {confidence: high}
        ok: {drop: true}
    look_at: {text: who it is, commands: [[id]]}
    remedy: {text: open it, commands: [[ls, "{path}"]], recipe: gpu-access}
    samples:
      - {text: "Unable to open /dev/kfd read-write: Permission denied", source: rocminfo.cc}
"""
NAMES = Names(("device-permissions", "disk-full"), ("driver.kfd-access",), ("python", "pip"))


def _wrong(old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(BadKnownErrorError) as caught:
        read_errors(GOOD.replace(old, new), "a/kfd.yaml", NAMES)
    return str(caught.value)


def test_a_good_file_is_read():
    (one,) = read_errors(GOOD, "a/kfd.yaml", NAMES)
    assert one["file"] == "kfd.yaml"
    assert one["decided_by"] == [
        {"check": "driver.kfd-access", "fail": {"confidence": "high"}, "ok": {"drop": True}}
    ]


CASES = [
    ("    fault: dev", "    falt: dev", "a/kfd.yaml:3:5: errors.1: 'fault' is missing\na/kfd.yaml:4:5: errors.1.falt: unknown key, did you mean 'fault'?"),
    ("device-permissions", "device-permission", "a/kfd.yaml:4:12: errors.1.fault: 'device-permission' is no fault, did you mean 'device-permissions'?"),
    ("kfd-open-denied", "Kfd_open", "a/kfd.yaml:3:9: errors.1.id: found 'Kfd_open', wanted small letters and digits with hyphens between them"),
    ("{path} read", "{pth} read", "a/kfd.yaml:7:15: errors.1.says.1.text: the hole {pth} has no type; types are path, url, version, gfx, name, number, hex, word, text, written {pth:text}"),
    ("where: {why", "where: {wy", "a/kfd.yaml:7:15: errors.1.says.1.text: the hole {why} has no type; types are path, url, version, gfx, name, number, hex, word, text, written {why:text}"),
    ('"{path} is closed."', '"{file} is closed."', "a/kfd.yaml:12:12: errors.1.cause: {file} is no hole of every line of 'says'; holes of all lines are path, why"),
    ('"{path}"]]', '"{who}"]]', "a/kfd.yaml:19:45: errors.1.remedy.commands.1.2: {who} is no hole of every line of 'says'; holes of all lines are path, why"),
    ("confidence: medium", "confidence: sure", "a/kfd.yaml:13:17: errors.1.confidence: 'sure' is no confidence; known are high, low, medium"),
    ("driver.kfd-access", "driver.kfd-acces", "a/kfd.yaml:15:16: errors.1.decided_by.1.check: 'driver.kfd-acces' is no check, did you mean 'driver.kfd-access'?"),
    ("        fail: {confidence: high}\n        ok: {drop: true}\n", "", "a/kfd.yaml:15:9: errors.1.decided_by.1: says for no status what it means; statuses are ok, warn, fail, skip, unknown, broken"),
    ("drop: true", "drop: yes", "a/kfd.yaml:17:20: errors.1.decided_by.1.ok.drop: 'yes' is no value here; 'true' is; known are true"),
    ("in: [python]", "in: [pyton]", "a/kfd.yaml:11:10: errors.1.in.1: 'pyton' is no kind of text, did you mean 'python'?"),
    ("schema: 1", "schema: 2", "a/kfd.yaml:1:9: schema: '2' is no schema that this release reads; 1 is; known are 1"),
    ("commands: [[id]]", "commands: [id]", "a/kfd.yaml:18:43: errors.1.look_at.commands.1: found 'id', wanted a list"),
    ("schema: 1", "schema: 1\nschema: 1", "a/kfd.yaml:2:1: schema: the key stands here twice, first in line 1"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), CASES)
def test_what_is_wrong_is_said_with_its_place(old, new, said):
    assert _wrong(old, new) == said


def test_what_may_hold_anything_goes_into_no_command():
    text = GOOD.replace("{why}", "{why:text}").replace("        where: {why: [Permission denied]}\n", "")
    with pytest.raises(BadKnownErrorError) as caught:
        read_errors(text.replace('"{path}"]]', '"{why}"]]'), "a/kfd.yaml", NAMES)
    assert str(caught.value) == (
        "a/kfd.yaml:18:45: errors.1.remedy.commands.1.2: {why:text} may hold anything, and commands are pasted; types here "
        "are gfx, hex, name, number, path, version, words"
    )


def test_what_must_differ_stands_in_a_line():
    with pytest.raises(BadKnownErrorError, match=r"errors\.1\.differ: no line has a hole \{nothing\}"):
        read_errors(GOOD.replace("    near:", "    differ: [path, nothing]\n    near:"), "a/kfd.yaml", NAMES)


def test_between_files_ids_are_once_and_named_ones_exist():
    errors = [
        {"id": "one", "file": "a.yaml"},
        {"id": "one", "file": "b.yaml"},
        {"id": "two", "file": "b.yaml", "instead_of": ["on"]},
    ]
    assert check_together(errors) == [
        "b.yaml: the id 'one' stands in a.yaml, too",
        "b.yaml: two: instead_of names 'on', did you mean 'one'?",
    ]
