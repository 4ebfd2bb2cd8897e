"""`rocmdoctor verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocmdoctor.cli.options import KNOWN_ARCH, env_option, json_option

if TYPE_CHECKING:
    from rocmdoctor.cli.verifying import Verified
    from rocmdoctor.model import Remedy


@click.command(
    name="verify",
    epilog="Exit codes: 0 all holds, 1 a check failed, 2 usage, 6 could not assess, or no target to compile for.",
)
@click.option(
    "--arch", type=KNOWN_ARCH, help="The gfx target to compile for; default: the discrete GPUs that are here."
)
@env_option
@click.option("--cpu", is_flag=True, help="Compute on the processor what has a way there; needs no GPU.")
@click.option("--train", is_flag=True, help="Make a few steps of training, too: minutes.")
@click.option(
    "--content",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A folder with recipes/ and checks/ of your own.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0.1, 100),
    default=1.0,
    help="Stretches all time limits by this factor.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save all answers with the figures, too, for 'check --snapshot' elsewhere.",
)
@click.option("-v", "--verbose", count=True, help="Evidence, and what was left out.")
@click.option("--no-color", is_flag=True, help="Plain text; NO_COLOR does the same.")
@json_option
def command(
    arch: str | None,
    env: str | None,
    cpu: bool,
    train: bool,
    content: tuple[Path, ...],
    patience: float,
    output: Path | None,
    verbose: int,
    no_color: bool,
    as_json: bool,
) -> int:
    """Prove that what was installed works, and say what to do next.

    Asks the machine anew, compiles a small HIP program of ours in a temporary folder, looks for the GPU's code in it, and
    runs it where such a GPU is. There the libraries of the Python environment compute, too, each in a process of its own:
    torch, bitsandbytes, flash-attention, DeepSpeed and sums over all GPUs, against references with bounds that the
    arithmetic gives. What is not installed is left out. Changes nothing, needs no root, downloads nothing.

    \b
    rocmdoctor verify                  for the GPU that is here
    rocmdoctor verify --train          with a few steps of training, through axolotl where it is installed
    rocmdoctor verify --train --cpu    the same on the processor, without a GPU
    rocmdoctor verify --arch gfx90a    for an MI210, whether or not one is here
    """
    from rocmdoctor.cli.asking import patient
    from rocmdoctor.cli.planned import env_here, person_here
    from rocmdoctor.cli.proving import Proving
    from rocmdoctor.cli.taking import WrongUseError
    from rocmdoctor.cli.verifying import verify
    from rocmdoctor.reports.verify_text import next_steps

    stack, checks = _named(content)
    looked_at = env or env_here(None, person_here())
    try:
        with patient() as progress:
            proving = Proving(cpu=cpu, train=train, patience=patience)
            targets = (arch,) if arch else ()
            found = verify(targets, checks, content, patience, progress, looked_at, proving)
    except WrongUseError as error:
        raise click.UsageError(str(error)) from error
    if output is not None:
        _save(output, found)
    words = ["rocmdoctor install", stack, *(["--arch", arch] if arch else [])]
    steps = next_steps(found.state, found.outcome.diagnosis, " ".join(words), cpu=cpu, trained=train)
    if not found.gfx and not cpu:
        steps = (*steps, _no_target())
    code = found.outcome.diagnosis.exit_code or (0 if found.gfx or found.state == "cpu" else 6)
    if as_json:
        return _as_json(found, steps, code)
    from rocmdoctor.cli.terminal import style
    from rocmdoctor.reports.verify_text import verify_text

    width, paint = style(no_color=no_color)
    page = verify_text(found.state, found.gfx, found.outcome.diagnosis, steps, paint, width, verbose)
    click.echo(page, color=True)
    return code


def _save(output: Path, found: Verified) -> None:
    from rocmdoctor.hosts.replay import save

    try:
        save(output, found.snapshot.raw)
    except OSError as error:
        raise click.UsageError(f"-o: {output} cannot be written: {error.strerror}") from error


def _no_target() -> Remedy:
    from rocmdoctor.model import Remedy

    return Remedy(
        "No AMD GPU with a known target is here, so nothing was compiled; say which one is meant, or prove on the processor.",
        ("rocmdoctor verify --arch gfx90a", "rocmdoctor list gpus", "rocmdoctor verify --cpu"),
    )


def _named(content: tuple[Path, ...]) -> tuple[str, list[str]]:
    """The default stack, and the checks that its recipes name."""
    from rocmdoctor.cli.errors import PlacedError
    from rocmdoctor.content import ContentError, bundled, load_recipes
    from rocmdoctor.recipe import BadRecipeError

    try:
        found = load_recipes((bundled(), *content))
    except ContentError as error:
        raise PlacedError(error.where, str(error)) from error
    except BadRecipeError as error:
        first = error.problems[0]
        raise PlacedError(str(first.place), first.message) from error
    stack = next((s for s in found.stacks.values() if s.default), None)
    recipes = [found.recipes[name] for name in (stack.recipes if stack else found.recipes)]
    return stack.id if stack else "", list(
        dict.fromkeys(name for recipe in recipes for name in recipe.verify)
    )


def _as_json(found: Verified, steps: tuple[Remedy, ...], code: int) -> int:
    from rocmdoctor.facts.proofs import Proofs, ProofTable
    from rocmdoctor.reports.envelope import envelope
    from rocmdoctor.reports.json_check import verdict_of
    from rocmdoctor.reports.json_proofs import proofs_of, trainings_of

    diagnosis, known = found.outcome.diagnosis, found.outcome.known
    proofs, table = known.get(Proofs), known.get(ProofTable)
    data: dict[str, Any] = {
        "verified": found.state,
        "gfx": list(found.gfx),
        "verdicts": [verdict_of(v) for v in diagnosis.verdicts],
        "proofs": proofs_of(proofs, table),
        "training": trainings_of(proofs, table),
        "root_causes": list(diagnosis.root_causes),
        "next_steps": [{"text": s.text, "commands": list(s.commands)} for s in steps],
    }
    wrong = any(v.status in ("warn", "fail") for v in diagnosis.verdicts)
    click.echo(envelope("verify", "findings" if wrong or code else "ok", code, data))
    return code
