"""From recipes and facts to plans."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.specifiers import InvalidSpecifier

from rocmdoctor.actions import Exec, Reboot, Request
from rocmdoctor.ops import all_operations
from rocmdoctor.planning.compare import differences
from rocmdoctor.planning.order import NoSuchTargetError, sort
from rocmdoctor.planning.plan import foretold, outline, questions, without_root
from rocmdoctor.planning.preflight import predict, refusals, size
from rocmdoctor.planning.refusal import Refusal, RefusedError, patiently
from rocmdoctor.planning.wish import versions
from tests.planning.kitchen import ANN, book, ground, plan

FILE = '- id: {id}\n  uses: file.write\n  with: {{path: /etc/{id}.conf, text: "{id}\\n"}}\n'
ONE = "id: one\nsteps:\n- id: a\n  uses: file.write\n  with: {path: /etc/a.conf, text: a}\n"


def _steps(made) -> list[str]:
    return [action.id for action in made.actions]


def _refused(call, *args, **more) -> str:
    with pytest.raises(RefusedError) as caught:
        call(*args, **more)
    (only,) = caught.value.refusals
    return only.says


# ---------------------------------------------------------------- order


def test_steps_stand_behind_what_they_name() -> None:
    text = "id: one\nsteps:\n" + "".join(
        f"- id: {name}\n  uses: file.write\n  with: {{path: /etc/{name}, text: x}}\n  after: {after}\n"
        for name, after in (("c", "[a]"), ("b", "[c]"), ("a", "[]"))
    )
    assert _steps(plan(book(text), "one")) == ["one.a", "one.c", "one.b"]


def test_recipes_stand_behind_what_they_name_whatever_the_wish_says() -> None:
    late = ONE.replace("id: one", "id: late\nafter: [one]")
    assert _steps(plan(book(ONE, late), "late", "one")) == ["one.a", "late.a"]


def test_a_recipe_that_nobody_asked_for_is_not_planned() -> None:
    late = ONE.replace("id: one", "id: late\nafter: [one]")
    assert _steps(plan(book(ONE, late), "late")) == ["late.a"]


def test_the_default_stack_is_meant_when_nothing_is_named() -> None:
    cookbook = book(ONE, stacks=("id: base\ndefault: true\nrecipes: [one]\n",))
    assert _steps(plan(cookbook)) == _steps(plan(cookbook, "base")) == ["one.a"]


def test_a_target_that_is_not_there_is_guessed() -> None:
    with pytest.raises(
        NoSuchTargetError, match=r"^no recipe and no stack is called 'onn', did you mean 'one'\?$"
    ):
        plan(book(ONE), "onn")
    with pytest.raises(NoSuchTargetError, match=r"^no recipe and no stack is called 'xyz', there are one$"):
        plan(book(ONE), "xyz")


def test_the_order_keeps_the_given_one_where_it_can() -> None:
    assert sort(["d", "a", "c", "b"], {"a": ["b"]}) == ["d", "c", "b", "a"]
    with pytest.raises(ValueError, match=r"a -> b -> a|b -> a -> b"):
        sort(["a", "b"], {"a": ["b"], "b": ["a"]})


# ---------------------------------------------------------------- what is left out


def test_a_step_that_cures_is_planned_where_its_check_complains() -> None:
    cookbook = book(ONE + "  cures: [host.iommu]\n")
    assert _steps(plan(cookbook, "one", statuses={"host.iommu": "warn"})) == ["one.a"]
    made = plan(cookbook, "one", statuses={"host.iommu": "ok"})
    assert made.actions == ()
    assert made.left_out == {"one.a": "nothing to cure: host.iommu is ok, it is ok"}


def test_a_step_with_skip_if_is_left_out_once_that_check_is_ok() -> None:
    cookbook = book(ONE + "  skip_if: rocm.hipcc\n")
    assert plan(cookbook, "one", statuses={"rocm.hipcc": "ok"}).left_out == {
        "one.a": "rocm.hipcc is ok already: it is ok"
    }
    (action,) = plan(cookbook, "one", statuses={"rocm.hipcc": "skip"}).actions
    assert action.skip_if == "rocm.hipcc"


@pytest.mark.parametrize(
    ("fits", "why"),
    [
        ("os: [debian-13]", "it is for debian-13, and this is ubuntu-22.04"),
        ("gfx: ['gfx11*']", "it is for gfx11*, and the target here is gfx90a"),
        ("kernel: '>=6'", "it needs kernel >=6, and here is 5.15.0"),
        ("has: [nvcc]", "it is for machines with NVIDIA's compiler nvcc"),
        ("lacks: [amd-gpu]", "it is not for machines with an AMD GPU that can compute"),
        ("python: '>=3.10'", "it needs Python >=3.10, and which is here cannot be told"),
    ],
)
def test_a_step_that_does_not_fit_says_why(fits: str, why: str) -> None:
    made = plan(book(ONE + f"  fits: {{{fits}}}\n"), "one")
    assert made.left_out == {"one.a": why}


@pytest.mark.parametrize(
    "fits", ["os: [ubuntu]", "os: [ubuntu-22.04]", "gfx: ['gfx90*']", "kernel: '<6'", "has: [amd-gpu]"]
)
def test_a_step_that_fits_is_planned(fits: str) -> None:
    assert _steps(plan(book(ONE + f"  fits: {{{fits}}}\n"), "one")) == ["one.a"]


def test_a_recipe_that_does_not_fit_is_refused_when_named_and_left_out_of_a_stack() -> None:
    windows = ONE.replace("id: one", "id: windows\nfits: {has: [wsl]}")
    why = "it is for machines with Windows around it"
    assert _refused(plan, book(ONE, windows), "windows") == f"windows: {why}"
    cookbook = book(ONE, windows, stacks=("id: both\nrecipes: [one, windows]\n",))
    assert plan(cookbook, "both").left_out == {"windows": why}


# ---------------------------------------------------------------- releases and names

RELEASES = """\
id: rocm
releases:
- version: "7.0"
  source: amd
  fits: {os: [debian-13]}
  vars: {where: seven}
- version: "6.0"
  source: distro
  vars: {where: six}
- version: "5.0"
  source: distro
  vars: {where: five}
steps:
- id: a
  uses: file.write
  with: {path: "/etc/${where}", text: "${version} ${gfx} ${user} ${kernel}"}
"""


def test_the_first_release_that_fits_is_chosen_and_the_others_say_why_not() -> None:
    made = plan(book(RELEASES), "rocm")
    assert made.choice["rocm"].version == "6.0"
    assert dict(made.choice["rocm"].others) == {
        "7.0 (amd)": "it is for debian-13, and this is ubuntu-22.04",
        "5.0 (distro)": "an earlier one in the recipe's order fits",
    }
    (action,) = made.actions
    assert (action.do.path, action.do.text) == ("/etc/six", "6.0 gfx90a ann 5.15.0-119-generic")


def test_no_release_is_a_refusal_that_names_each() -> None:
    for_radeons = RELEASES.replace(
        "source: distro\n", "source: distro\n  fits: {os: [ubuntu], gfx: ['gfx1*']}\n"
    )
    assert _refused(plan, book(for_radeons), "rocm") == (
        "no release of rocm is for this machine: 7.0 (amd): it is for debian-13, and this is ubuntu-22.04; 6.0, 5.0 (distro): "
        "it is for gfx1*, and the target here is gfx90a"
    )


def test_a_wish_that_nothing_fulfils_says_what_collides_and_what_to_give_up() -> None:
    with pytest.raises(RefusedError) as caught:
        plan(book(RELEASES), "rocm", source="amd")
    (only,) = caught.value.refusals
    assert only.says == (
        "--rocm-source amd and this machine do not go together: rocm 7.0 (amd): it is for debian-13, and this is ubuntu-22.04"
    )
    assert only.instead == (
        "Without --rocm-source amd: rocm 6.0 from distro. 'rocmdoctor recipe show rocm' shows what each release is for."
    )


def test_a_release_that_nobody_knows_is_answered_with_those_that_there_are() -> None:
    assert _refused(plan, book(RELEASES), "rocm", wish={"rocm": "4.0"}) == (
        "--rocm 4.0: rocmdoctor knows no such release of rocm; there are 7.0 (amd), 6.0, 5.0 (distro)"
    )


def test_a_step_for_another_source_is_left_out() -> None:
    only = RELEASES + "  source: [amd]\n"
    assert plan(book(only), "rocm").left_out == {
        "rocm.a": "it is for releases from amd, and the chosen one is 6.0 from distro"
    }
    assert _steps(plan(book(only.replace("[amd]", "[amd, distro]")), "rocm")) == ["rocm.a"]


@pytest.mark.parametrize(
    ("said", "means"),
    [("6.0.2", "==6.0.2"), ("6.0", "==6.0.*"), ("6.*", "==6.*"), ("6", "==6.*"), (">=6.2,<7", "<7,>=6.2")],
)
def test_a_wish_for_versions(said: str, means: str) -> None:
    assert str(versions(said)) == means


@pytest.mark.parametrize("said", ["", "newest", "6.0.2;", "6..0", "*"])
def test_a_wish_that_says_no_versions(said: str) -> None:
    with pytest.raises(InvalidSpecifier):
        versions(said)


def test_a_name_that_cannot_be_told_leaves_its_step_out() -> None:
    made = plan(book(ONE.replace("text: a", 'text: "${python}"')), "one", machine="mi210-no-rocm")
    assert made.left_out == {"one.a": "${python} cannot be told on this machine"}


def test_a_value_that_comes_out_of_a_name_must_have_the_argument_s_shape() -> None:
    text = 'id: one\nvars: {which: "a; reboot"}\nsteps:\n- id: a\n  uses: apt.install\n  with: {packages: ["${which}"]}\n'
    with pytest.raises(RefusedError) as caught:
        plan(book(text), "one")
    (only,) = caught.value.refusals
    assert only.says == "one.a: packages.1: 'a; reboot' is not a Debian package name"
    assert only.where.startswith("r0.yaml:")


# ---------------------------------------------------------------- targets


def test_the_target_is_the_discrete_gpu_s_and_the_integrated_one_is_named() -> None:
    made = plan(book(ONE), "one", machine="rx7900xtx-with-igpu")
    assert made.gfx == ("gfx1100",)
    assert made.notes[0].endswith(
        "(gfx1036) is part of the processor and is left out; --arch names it if it is meant"
    )
    assert plan(book(ONE), "one", machine="rx7900xtx-with-igpu", arch="gfx1036").gfx == ("gfx1036",)


def test_without_a_gpu_the_target_must_be_said() -> None:
    assert _refused(plan, book(ONE), "one", machine="no-gpu") == (
        "no AMD GPU with a known target is here, so there is nothing to compile for"
    )
    made = plan(book(ONE), "one", machine="no-gpu", arch="gfx90a")
    assert made.notes == ("no GPU of gfx90a is seen here: what is built is compiled for it and not run",)


def test_an_arch_that_the_gpu_contradicts_is_refused() -> None:
    assert _refused(plan, book(ONE), "one", arch="gfx1100") == (
        "--arch gfx1100, and the GPU here is gfx90a: code for gfx1100 would not run on it"
    )


# ---------------------------------------------------------------- what it costs, and what stands against it

APT = "id: {id}\nsteps:\n- id: p\n  uses: apt.install\n  with: {{packages: [{name}], download_mb: 100, disk_mb: {disk}}}\n"


def test_package_lists_are_refreshed_once() -> None:
    made = plan(
        book(APT.format(id="one", name="foo", disk=1), APT.format(id="two", name="bar", disk=1)), "one", "two"
    )
    programs = [a.do.argv[-1] for a in made.actions if isinstance(a.do, Exec)]
    assert programs == ["update", "foo", "bar"]
    assert [a.id for a in made.actions] == ["one.p.1", "one.p.2", "two.p.2"]


def test_costs_are_summed() -> None:
    cost = predict(plan(book(APT.format(id="one", name="foo", disk=250)), "one"))
    assert (cost.download, cost.disk, cost.installs, cost.removes, cost.reboots) == (
        100_000_000, 250_000_000, ("foo",), (), 0
    )  # fmt: skip


def test_too_little_room_is_refused_with_the_figures() -> None:
    cookbook = book(APT.format(id="one", name="foo", disk=29_000))
    free = {
        "answers": {f"disk:{p}": {"ok": True, "text": f"{64 * 10**9} {12 * 10**9}"} for p in ("/", "/var")}
    }
    here = ground("mi210", **free)
    (only,) = refusals(plan(cookbook, "one", **free), here.known)
    assert only.says == "/ has 12 GB free, and 29.6 GB are wanted (500 MB of them to spare)"
    apart = {
        "answers": {
            "disk:/": {"ok": True, "text": f"{64 * 10**9} {60 * 10**9}"},
            "disk:/var": {"ok": True, "text": "9 9"},
        }
    }
    (only,) = refusals(plan(cookbook, "one", **apart), ground("mi210", **apart).known)
    assert only.says == "/var has 9 B free, and 600 MB are wanted (500 MB of them to spare)"


def test_an_empty_plan_has_nothing_against_it() -> None:
    assert refusals(plan(book(ONE + "  cures: [host.iommu]\n"), "one"), ground("mi210").known) == ()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (151 * 10**6, "151 MB"), (5206 * 10**6, "5.21 GB")],
)
def test_sizes_are_said_as_apt_says_them(count: int, text: str) -> None:
    assert size(count) == text


def test_without_root_the_rest_is_for_an_administrator() -> None:
    made = without_root(plan(book(ONE), "one"))
    assert made.actions == ()
    assert made.left_out["one.a"].startswith("needs root; for an administrator: ")


# ---------------------------------------------------------------- whether a plan still fits


def test_the_same_machine_makes_the_same_plan() -> None:
    assert differences(plan(book(ONE), "one"), plan(book(ONE), "one")) == []


def test_a_fact_that_changed_is_named_with_both_values() -> None:
    first = plan(book(APT.format(id="one", name="foo", disk=1)), "one")
    assert first.claims["package foo"] == "absent"
    then = replace(first, claims={**first.claims, "package foo": "1.2-3"})
    assert differences(first, then) == ["package foo: absent when it was planned, 1.2-3 now"]


def test_a_plan_that_was_edited_is_found_though_no_fact_changed() -> None:
    first = plan(book(ONE), "one")
    do = replace_text(first.actions[0].do, "b")
    edited = replace(first, actions=(replace(first.actions[0], do=do),))
    assert differences(edited, first) == [
        "its steps are not those that this release plans (one.a): it was edited, or made by another release"
    ]


def replace_text(do, text: str):
    return replace(do, text=text)


def test_another_user_is_another_plan() -> None:
    first = plan(book(ONE), "one")
    other = replace(first, person=replace(ANN, name="bob"))
    assert differences(first, other)[0] == "it was planned for ann, and this is bob"


def test_the_figures_of_apt_may_move() -> None:
    first = plan(book(APT.format(id="one", name="foo", disk=1)), "one")
    later = replace(
        first, actions=tuple(replace(a, download=7, installs=("foo", "libfoo")) for a in first.actions)
    )
    assert differences(first, later) == []
    more = replace(first, actions=tuple(replace(a, removes=("bar",)) for a in first.actions))
    assert differences(first, more) != []


def test_an_outline_asks_nothing_of_the_machine() -> None:
    here = ground("mi210")
    drawn = outline(Request(("one",)), book(ONE), here, {})
    assert [b.id for b in drawn.bound] == ["one.a"]


def test_reboots_that_can_wait_become_one_at_the_end() -> None:
    text = (
        "id: one\nsteps:\n"
        "- id: now\n  uses: reboot\n  with: {why: the driver is loaded}\n  skip_if: host.memory\n"
        "- id: x\n  uses: kernel.cmdline\n  with: {parameters: [iommu=pt]}\n"
        "- id: y\n  uses: kernel.cmdline\n  with: {parameters: [pci=realloc=off]}\n"
    )
    made = plan(book(text), "one")
    reboots = [(n, a.says) for n, a in enumerate(made.actions) if isinstance(a.do, Reboot)]
    assert [says for _, says in reboots] == [
        "reboot, so that the driver is loaded",
        "reboot, so that the kernel starts with iommu=pt, and the kernel starts with pci=realloc=off",
    ]
    assert reboots[-1][0] == len(made.actions) - 1
    assert predict(made).reboots == 2


# ---------------------------------------------------------------- what can be asked beforehand


def test_what_is_foretold_is_asked_for_steps_that_are_wanted_and_once() -> None:
    mends = "id: {}\nsteps:\n- id: a\n  uses: apt.repair\n- id: b\n  uses: apt.repair\n"
    cookbook = book(mends.format("two"), mends.format("three"), ONE)
    told = foretold(Request(("two", "three"), None, None), cookbook)
    assert [query.argv[-2:] for query in told] == [("-f", "install")]
    assert foretold(Request(("one",), None, None), cookbook) == []
    with pytest.raises(NoSuchTargetError):
        foretold(Request(("four",), None, None), cookbook)


def test_what_is_foretold_is_what_the_plan_asks() -> None:
    telling = {name: item for name, item in all_operations().items() if item.foretold}
    assert telling
    for name, item in telling.items():
        assert item.asks is not None
        cookbook = book(f"id: one\nsteps:\n- id: a\n  uses: {name}\n")
        here = ground("mi210")
        drawn = outline(Request(("one",), None, None), cookbook, here, {})
        assert set(item.foretold) <= set(questions(drawn, here)), name


_LATE = {"ok": False, "why": "timeout"}


@pytest.mark.parametrize(
    ("fits", "late", "why"),
    [
        (
            "os: [debian-13]", ("read:/etc/os-release", "read:/usr/lib/os-release"),
            "it is for debian-13, and which system this is cannot be told (read:/usr/lib/os-release: no answer in time)",
        ),
        (
            "kernel: '>=6'", ("read:/proc/sys/kernel/osrelease",),
            "it needs kernel >=6, and which is here cannot be told (read:/proc/sys/kernel/osrelease: no answer in time)",
        ),
        (
            "has: [packaged-kernel]", ("read:/proc/sys/kernel/osrelease",),
            ("whether this machine has a running kernel from a package cannot be told "
            "(read:/proc/sys/kernel/osrelease: no answer in time)"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_told_says_which_question_failed(fits: str, late: tuple[str, ...], why: str) -> None:
    made = plan(book(ONE + f"  fits: {{{fits}}}\n"), "one", answers=dict.fromkeys(late, _LATE))
    assert made.left_out == {"one.a": why}


@pytest.mark.parametrize(
    ("says", "patience", "saved", "instead"),
    [
        ("x (read:/x: no answer in time)", 1.0, False,
         "If this machine is only slow, as in emulation, say '--patience 10', which waits 10 times as long as usual. Do it."),
        ("x (read:/x: no answer in time)", 10.0, False,
         "If this machine is only slow, as in emulation, say '--patience 30', which waits 30 times as long as usual. Do it."),
        ("x (read:/x: no answer in time)", 100.0, False, "Do it."),
        ("x (read:/x: no answer in time)", 1.0, True,
         "If this machine is only slow, as in emulation, take the snapshot anew with 'rocmdoctor collect --patience 10'. Do it."),
        ("x (read:/x: permission denied)", 1.0, False, "Do it."),
    ],
)  # fmt: skip
def test_patience_is_offered_where_it_may_help(says: str, patience: float, saved: bool, instead: str) -> None:
    (refusal,) = patiently([Refusal("misfit", says, "Do it.")], patience, saved=saved)
    assert refusal.instead == instead
