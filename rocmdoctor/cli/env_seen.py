"""The environment of a saved snapshot, as its own Python would have told: from the metadata that was read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rocmdoctor.asking import keys
from rocmdoctor.cli.planned import Ask
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.distributions import Dists
from rocmdoctor.facts.python_env import PythonEnv
from rocmdoctor.model import Query
from rocmdoctor.ops.environments import env_questions


def env_seen(known: Known) -> str | None:
    """The folder of the environment that was looked at; None where it was the system's own Python."""
    env = known.maybe(PythonEnv)
    return None if env is None or env.kind in ("missing", "system") else env.prefix


def as_seen(known: Known) -> Ask:
    """Answers questions about that environment; all others stay unanswered."""
    env, path, dists = known.maybe(PythonEnv), env_seen(known), known.maybe(Dists)
    told: dict[str, Any] = {}
    if env is not None and path is not None and env.python is not None and dists is not None:
        stat, names, run = (keys(query)[0] for query in env_questions(path))
        lines = [f"python {env.python[0]}.{env.python[1]}.0", "writable 1"]
        lines += [f"dist {d.name} {d.version} -" for d in dists.dists if not d.leftover]
        told = {
            stat: {"ok": True, "text": "dir 0755 user user"},
            names: {"ok": True, "text": "bin/\nlib/\n"},
            run: {"ok": True, "exit_code": 0, "stdout": "".join(f"{line}\n" for line in lines), "stderr": ""},
        }

    def ask(queries: Iterable[Query]) -> dict[str, Any]:
        return {key: told[key] for query in queries for key in keys(query) if key in told}

    return ask
