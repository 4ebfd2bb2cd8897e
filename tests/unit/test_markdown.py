from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocmdoctor.cli.main import run
from rocmdoctor.diagnosis.runner import Diagnosis
from rocmdoctor.diagnosis.verdicts import fail, ok, warn
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import RUNGS, Remedy, Verdict
from rocmdoctor.reports.markdown import LIMIT, block, inline, markdown
from tests.judging import judge
from tests.machines.healthy import machine
from tests.machines.parts import ABSENT, Answers, files, text

SNAPSHOT = from_raw(
    {"schema": 1, "tool": "rocmdoctor 0.1.0", "taken_at": "2026-11-22T03:00:00Z", "answers": {}}
)
HOSTILE = (
    "@everyone see #1, GH-1 and ROCm/ROCm#2",
    "<script>alert(1)</script><img src=x onerror=y>",
    "</details>\n\n# Taken over\n\n| a | b |\n| --- | --- |",
    "```\n```sh\nrm -rf /\n````",
    "[click](https://evil.invalid) ![x](https://evil.invalid/x.png) <https://evil.invalid>",
    "a | b || c\n--- | ---",
    "`code` **bold** __strong__ ~~gone~~ $x^2$ \\| \\`",
    "1. one\n2. two\n- three\n> quoted\n===",
    "https://evil.invalid www.evil.invalid",
    "\x1b[31mred\x07 \u202eback \u2066iso \ud800 \u200b@all",
    "&lt;b&gt; &#64;all",
)  # fmt: skip


def page(*verdicts: Verdict, causes: tuple[str, ...] = ()) -> str:
    known = judge(machine("mi210")).known
    diagnosis = Diagnosis(verdicts, causes, dict.fromkeys(RUNGS, "ready"), 1)
    return markdown(diagnosis, known, SNAPSHOT)


def outside_code(said: str) -> str:
    """What is left when fences and code spans are taken out, as a renderer sees it."""
    kept: list[str] = []
    fence = ""
    for line in said.splitlines():
        mark = re.match(r"(`{3,})(\w*)\s*$", line)
        if fence:
            if mark and len(mark.group(1)) >= len(fence) and not mark.group(2):
                fence = ""
        elif mark:
            fence = mark.group(1)
        else:
            kept.append(line)
    assert not fence, "a fence is left open"
    return re.sub(r"(?<!\\)`[^`\n]+`", "", "\n".join(kept))


def assert_tame(said: str, own: str) -> None:
    """Nothing but what the page itself brings is markup. `own` is the same page without foreign text."""
    plain = outside_code(said)
    # Tags and entities: only the page's own.
    assert re.findall(r"</?\w+", plain) == re.findall(r"</?\w+", outside_code(own))
    assert not re.findall(r"[@#](?=[\w])", plain)
    assert not re.search(r"\bGH-\d|://|www\.", plain)
    assert not re.search(r"(?<!\\)\]\(|(?<!\\)!\[|(?<!\\)\*\*evil", plain)
    assert re.findall(r"^#+ ", plain, re.MULTILINE) == re.findall(r"^#+ ", outside_code(own), re.MULTILINE)
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in plain.splitlines()]
    assert cells == [len(re.findall(r"(?<!\\)\|", line)) for line in outside_code(own).splitlines()]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", said)
    said.encode()


def blacklisted() -> Answers:
    answers = machine("mi210")
    for key in answers:
        if "kfd" in key or key.startswith(("stat:/sys/module/amdgpu", "read:/sys/module/amdgpu")):
            answers[key] = ABSENT
    rules = "/etc/modprobe.d/own.conf"
    answers["glob:/etc/modprobe.d/*.conf"] = files({rules: "blacklist amdgpu\n"})
    return answers


def of(foreign: str) -> str:
    remedy = Remedy(foreign, ("true", foreign.replace("\n", " ")))
    bad = Verdict(
        "fail", foreign, (foreign.replace("\n", " "),), remedy, "module-blacklisted", id="driver.x", title=""
    )
    note = Verdict("warn", foreign, (), None, id="host.y", title="")
    return page(bad, note, causes=("driver.x",))


@pytest.mark.parametrize("foreign", HOSTILE)
def test_foreign_text_is_no_markup(foreign: str) -> None:
    assert_tame(of(foreign), of("plain"))


@given(st.text(st.sampled_from("`~@#|<>[]()!*_\\/&;:-=+1. \nagGHt$\u200b\ud800\x1b"), max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_is_markup(foreign: str) -> None:
    said = inline(foreign)
    assert "\n" not in said
    assert not re.search(r"[@#]\w|<|>|://", said)
    unescaped = re.sub(r"\\[\\`*_\[\]|~$#+=.)-]", "", said)
    assert not re.search(r"[`*_\[\]|~$]", unescaped)
    fenced = block((foreign.replace("\n", " "), foreign.replace("\n", " ")))
    assert outside_code(fenced).strip() == ""
    assert outside_code(block(tuple(foreign.split("\n")))).strip() == ""


@pytest.mark.parametrize("line", ["```", "````", "```sh", "~~~", "    ```"])
def test_no_line_closes_the_fence_that_it_stands_in(line: str) -> None:
    fence = block((line, "after")).splitlines()[0]
    assert block((line, "after")) == f"{fence}\n{line}\nafter\n{fence}\n"
    assert fence not in line


def test_a_real_renderer_agrees() -> None:
    markdown_it = pytest.importorskip("markdown_it")
    render = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render
    own = re.findall(r"<[^>]+>", render(of("plain")))
    for foreign in HOSTILE:
        assert re.findall(r"<[^>]+>", render(of(foreign))) == own, foreign


def test_the_page_has_a_summary_the_causes_and_folded_checks() -> None:
    answers = blacklisted()
    outcome = judge(answers)
    said = markdown(outcome.diagnosis, outcome.known, from_raw({"schema": 1, "answers": answers}))
    cause = outcome.diagnosis.root_causes[0]
    lines = said.splitlines()
    assert "| machine | Ubuntu 22.04 · kernel 5.15.0-119-generic" in said
    assert any(re.fullmatch(rf"### Root cause.*: `{cause}` \(module-blacklisted\)", line) for line in lines)
    remedy = outcome.diagnosis.verdict(cause).remedy
    assert remedy is not None
    assert "```sh\n" + "\n".join(remedy.commands) + "\n```" in said
    for verdict in outcome.diagnosis.verdicts:
        assert any(line.startswith(f"| `{verdict.id}` |") for line in lines)
    assert said.count("<details>") == said.count("</details>") > 0


def test_a_long_report_is_cut_and_says_so() -> None:
    verdicts = [
        Verdict("fail", "é" * 5000, ("x" * 5000,) * 200, Remedy("r" * 5000), id=f"a.b{n}") for n in range(300)
    ]
    said = page(*verdicts, causes=tuple(v.id for v in verdicts))
    assert len(said.encode()) <= LIMIT
    assert re.search(r"\*\*Cut here:\*\* \d+ causes and \d+ rows had no room", said)
    assert said.count("<details>") == said.count("</details>")
    many = [Verdict("ok", "y" * 290, id=f"a.b{n}") for n in range(2000)]
    said = page(*many)
    assert len(said.encode()) <= LIMIT
    assert "rows had no room" in said
    assert "Cut here" not in page(ok("fine"), warn("to note"), fail("bad", remedy=Remedy("r")))


def _saved(tmp_path, answers: Answers) -> str:
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"schema": 1, "answers": answers}), encoding="utf-8")
    return str(path)


def test_the_verb_masks_and_keeps_the_exit_code(tmp_path, capsys) -> None:
    answers = blacklisted()
    for key in [key for key in answers if "/home/ann" in key]:
        answers[key.replace("/home/ann", "/home/marlenka")] = answers.pop(key)
    answers["env:HOME"] = text("/home/marlenka")
    answers["glob:/etc/modprobe.d/*.conf"] = files({"/etc/modprobe.d/marlenka.conf": "blacklist amdgpu\n"})
    box = _saved(tmp_path, answers)
    codes = [run(["check", "--snapshot", box])]
    plain = capsys.readouterr().out
    codes.append(run(["check", "--snapshot", box, "--format", "markdown"]))
    said = capsys.readouterr().out
    assert "marlenka" in plain
    assert "marlenka" not in said
    assert "/etc/modprobe.d/user1.conf" in said
    assert codes == [1, 1]


def test_format_json_is_json(tmp_path, capsys) -> None:
    box = _saved(tmp_path, machine("mi210"))
    said = []
    for words in (["--json"], ["--format", "json"]):
        assert run(["check", "--snapshot", box, *words]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert json.loads(said[0])["command"] == "check"


@pytest.mark.parametrize("more", [["--json"], ["--snapshot", "."]])
def test_markdown_is_for_one_machine_alone(more: list[str]) -> None:
    assert run(["check", "--format", "markdown", *more]) == 2
