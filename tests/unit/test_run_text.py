"""What is said when a run ends, or waits."""

from __future__ import annotations

from types import SimpleNamespace

from rocmdoctor.reports.run_text import busy_text, done_text, waiting_text


def test_a_reboot_that_is_needed_says_why_and_what_then() -> None:
    assert waiting_text("the driver is loaded", "3", armed=True, refused=False) == (
        "\nDone so far. A reboot is needed: the driver is loaded.\n"
        "After the reboot the installation goes on by itself.\nNext: sudo reboot"
    )
    assert "After the reboot, go on with: rocmdoctor resume 3" in waiting_text(
        "x", "3", armed=False, refused=False
    )
    assert "systemd-inhibit --list" in waiting_text("x", "3", armed=True, refused=True)


def test_whoever_uses_the_gpus_is_named_before_a_reboot_ends_them() -> None:
    users = ("process 42 'python train.py' of bob since 2026-01-02T03:04:05Z",)
    assert (
        "The GPUs are in use, and a reboot ends that: process 42 'python train.py' of bob since 2026-01-02T03:04:05Z. "
        "Let them end first.\n"
    ) in waiting_text("x", "3", users, armed=True, refused=False)


def test_many_users_are_counted_and_none_are_no_line() -> None:
    assert busy_text(()) == ""
    assert busy_text([f"process {n}" for n in range(7)]).endswith(
        "process 4; and 2 more. Let them end first.\n"
    )


def test_after_an_installation_with_torch_comes_the_training() -> None:
    plan = SimpleNamespace(gfx=("gfx90a",), choice={"rocm": "7.2"})
    assert done_text(plan, 1, "ran", (), (), (), "4") == (  # type: ignore[arg-type]
        "\nDone: 1 step; verified: a HIP program was compiled for gfx90a and gave the right numbers on the GPU.\n"
        "To take it back: rocmdoctor undo 4\nNext: rocmdoctor check"
    )
    plan.choice["torch"] = "2.14.0"
    assert done_text(plan, 2, "no", (), (), (), "4").endswith("\nNext: rocmdoctor verify --train")  # type: ignore[arg-type]
