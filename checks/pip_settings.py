"""Whether the settings of pip, uv and conda let a ROCm build of torch be found, and leave it where it belongs."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, ok, skip, warn
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.pip_settings import PipSettings, PipTable, Setting
from rocmdoctor.facts.python_env import PythonEnv

_INDEXES = ("index-url", "extra-index-url", "find-links")
_CUDA = {"cuda": "CUDA", "cpu": "processors alone"}


@check("torch.pip-settings", fault="cuda-torch-installed")
def pip_settings(
    settings: PipSettings, table: PipTable, env: PythonEnv, gpus: Gpus, pci: PciDisplays | None
) -> Verdict:
    """What pip, uv and conda are set to fetches builds for ROCm, and puts them into this environment."""
    if not gpus.capable:
        return skip("no AMD GPU that torch could use")
    if env.kind == "missing":
        return skip(f"{env.prefix} is not there")
    wrong = _wrong_index(settings, table, env, nvidia=bool(pci and pci.nvidia))
    return wrong or _elsewhere(settings, env) or _mixed(settings, table, env)


def _wrong_index(settings: PipSettings, table: PipTable, env: PythonEnv, *, nvidia: bool) -> Verdict | None:
    """An index that has no build for an AMD GPU."""
    for tool, named in (("pip", settings.pip), ("uv", settings.uv)):
        for setting in (named[n] for n in _INDEXES if n in named):
            for url in setting.values:
                kind = table.kind(url)
                if kind in _CUDA and not (nvidia and kind == "cuda"):
                    why = f"{setting.where} sets {setting.name} to {url}: {tool} finds builds of torch for {_CUDA[kind]} there, which use no AMD GPU"
                    return warn(why, remedy=_without(setting, env))
    channel = next((c for c in settings.channels if c in table.cuda_channels), None)
    if channel and env.kind == "conda" and not nvidia:
        why = f"~/.condarc names the channel {channel}, whose builds of torch are for CUDA; there is no NVIDIA GPU here"
        remedy = Remedy(
            "Take it out; pip has the builds for ROCm.", (f"conda config --remove channels {channel}",)
        )
        return warn(why, remedy=remedy)
    return None


def _elsewhere(settings: PipSettings, env: PythonEnv) -> Verdict | None:
    """Settings that lead packages away from the environment."""
    target, user = settings.pip.get("target"), settings.pip.get("user")
    if target is not None and not target.values[0].startswith(f"{env.prefix}/lib"):
        why = f"{target.where} sets target to {target.values[0]}: what pip installs goes there, and not into {env.prefix}"
        return warn(why, remedy=_without(target, env))
    if user is not None and user.true and env.kind != "system":
        why = f"{user.where} sets user: "
        if env.kind == "venv" and not env.inherits:
            why += f"pip refuses to install into {env.prefix}, which does not see the user's own packages"
        else:
            why += f"what pip installs goes to ~/.local, where every Python of that version sees it, and not into {env.prefix}"
        return warn(why, remedy=_without(user, env))
    return None


def _mixed(settings: PipSettings, table: PipTable, env: PythonEnv) -> Verdict:
    """pip holds all indexes equal and takes the highest version of a package; uv asks the extra ones first."""
    pip, held = settings.pip, settings.pip.get("constraint")
    main = pip.get("index-url") or Setting("index-url", (table.default,), "", "")
    offline = "no-index" in pip and pip["no-index"].true
    used = [pip["find-links"]] if "find-links" in pip else []
    used += [] if offline else [main, *([pip["extra-index-url"]] if "extra-index-url" in pip else [])]
    places = [(url, setting) for setting in used for url in setting.values]
    rocm = [(url, setting) for url, setting in places if table.kind(url) == "rocm"]
    general = [url for url, _ in places if table.kind(url) == "pypi"]
    named = ", ".join(url for url, _ in places)
    if rocm and general and held is None:
        url, setting = rocm[0]
        option = "--find-links" if setting.name == "find-links" else "--index-url"
        why = (
            f"{setting.where} sets {setting.name} to {url}, and pip asks {general[0]} as well: it takes the higher version of "
            "both, so torch becomes PyPI's CUDA build once that is newer, or where the other has no wheel for this Python"
        )
        with_torch = (
            f"{env.command} install torch {'--no-index ' if option == '--find-links' else ''}{option} {url}"
        )
        remedy = _without(setting, env)
        text = f"{remedy.text} Name the index when torch is installed, and only then."
        return warn(why, remedy=Remedy(text, (*remedy.commands, with_torch)))
    if held is not None:
        return ok(
            f"pip asks {named or 'no index'}, held by the constraints in {held.values[0]} ({held.where})"
        )
    if general and len(places) == 1:
        return ok("pip asks PyPI alone")
    return ok(f"pip asks {named or 'no index'}")


def _without(setting: Setting, env: PythonEnv) -> Remedy:
    """How a setting is taken out of its file or of the shell."""
    if not setting.section:
        return Remedy(
            f"Take {setting.where} out of the shell and of the files that set it.",
            (f"unset {setting.where}",),
        )
    levels = {"/etc/pip.conf": "--global", f"{env.prefix}/pip.conf": "--site"}
    level = "--user" if setting.where.endswith("/.config/pip/pip.conf") else levels.get(setting.where)
    if level is None or "_" in setting.spelled:
        return Remedy(f"Take {setting.spelled} out of [{setting.section}] in {setting.where}.")
    root = "sudo " if level == "--global" else ""
    command = f"{root}{env.command} config {level} unset {setting.section}.{setting.name}"
    return Remedy(f"Take it out of {setting.where}.", (command,))
