"""May the user who asks open the GPUs' device nodes, and would a later session?"""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.access import (
    DeviceNodes,
    DeviceRules,
    DriverSources,
    Groups,
    HostDriver,
    NewUsers,
    Node,
    Session,
    Wsl,
)
from rocmdoctor.facts.gpus import Gpu, Gpus
from rocmdoctor.facts.system import Inside

_FLAGS = "docker-device-flags"
_RECIPE = "gpu-access"
_ENGINES = ("docker", "podman", "containerd", "libpod", "oci")
# What the driver means when the node may be opened and it refuses all the same:
# drivers/gpu/drm/amd/amdkfd/kfd_chardev.c (kfd_open), fs/char_dev.c.
_REFUSED = {
    "ENOMEM": "the driver has no memory, or no process slot, left for one more user",
    "EAGAIN": "the driver is locked by a GPU reset or a suspend that has not ended",
    "ENODEV": "the node's number belongs to no GPU",
    "ENXIO": "no driver answers behind the node: it is a leftover of another boot or another kernel",
    "EINVAL": "the driver does not take this process",
    "EIO": "the GPU does not answer",
}


def _names(session: Session | None, groups: Groups | None) -> str:
    if session is None:
        return "the asking user is unknown"
    known = {g.gid: g.name for g in groups.all if g.name} if groups else {}
    shown = ", ".join(f"{known[g]} ({g})" if g in known else str(g) for g in session.gids)
    return f"session of {session.who} (uid {session.uid}) with groups {shown}"


def _allowed_by_mode(node: Node, session: Session, groups: Groups | None) -> bool | None:
    """What the mode bits say, None when the group's number is not known."""
    if session.uid == 0 or node.mode & 0o006 == 0o006:
        return True
    if node.owner in (session.name, str(session.uid)):
        return node.mode & 0o600 == 0o600
    gid = groups.gid(node.group) if groups else int(node.group) if node.group.isdigit() else None
    if gid is None:
        return None
    return gid in session.gids and node.mode & 0o060 == 0o060


def _container_flags(inside: Inside, gid: int | None) -> Remedy:
    group = f"--group-add {gid}" if gid is not None else "--group-add video --group-add render"
    if inside.container in _ENGINES or inside.container is None:
        return Remedy(
            "Start the container with the devices and with the number that the group has on the host; rootless podman "
            "keeps the caller's groups with --group-add keep-groups.",
            (f"docker run --device /dev/kfd --device /dev/dri {group} --ipc=host IMAGE",),
        )
    return Remedy(
        f"Hand /dev/kfd and /dev/dri into the {inside.container} container, writable for group {gid or 'render'}, and "
        "start it anew."
    )


def _login_again(name: str) -> Remedy:
    return Remedy(
        f"Log out and in again: groups are given at login. Terminal multiplexers, editor servers and services that "
        f"started before keep the old groups; restart them too. For one shell, newgrp {name} does it.",
        ("exec su - $USER",),
    )


def _join(name: str, session: Session | None, groups: Groups | None) -> Remedy:
    user = session.name if session and session.name else "$USER"
    there = {g.name for g in groups.all} if groups else {"render", "video"}
    if name.isdigit() and "render" in there:
        return Remedy(
            f"No group has the number {name}: let udev give the nodes to group render anew.", _UDEV, _RECIPE
        )
    make: tuple[str, ...] = ()
    if name.isdigit():
        make = (f"sudo groupadd --system --gid {name} render",)
        name = "render"
    wanted = dict.fromkeys((name, *(n for n in ("render", "video") if n in there)))
    text = "Join the groups, then log out and in again."
    return Remedy(
        f"Make the group. {text}" if make else text,
        (*make, f"sudo usermod -a -G {','.join(wanted)} {user}"),
        None if make else _RECIPE,
    )


def _not_permitted(
    node: Node, session: Session | None, groups: Groups | None, inside: Inside | None
) -> tuple[str, Remedy, str | None]:
    """Why the node does not open, what to do, and the fault where it is not the check's own."""
    gid = groups.gid(node.group) if groups else None
    boxed = inside is not None and inside.container is not None
    if node.error == "EPERM" and inside is not None:
        why = (
            "the kernel forbids it whatever the mode bits say: the container was started without this device"
        )
        return why, _container_flags(inside, gid), _FLAGS
    if inside is not None and node.owner in ("nobody", "65534") and inside.user_namespace:
        why = (
            "the container's id map has no place for the host's owner, so nobody inside belongs to its group"
        )
        return why, _container_flags(inside, None), _FLAGS
    if node.mode & 0o060 != 0o060:
        why = f"mode {node.mode:04o} gives the group no read and write, 0660 is wanted: udev's rules did not run on it"
        return why, Remedy("Let udev set owner and mode again.", _UDEV, _RECIPE), None
    if session is None or groups is None:
        return "who asks, and with which groups, could not be read", _join(node.group, session, groups), None
    if gid in session.gids:
        why = f"group {node.group} is in this session, so an access list or a security module forbids it"
        return why, Remedy("Look at the access list and at the log of the security module.", _LISTS), None
    if groups.on_paper(node.group):
        why = f"{session.who} is in group {node.group} on paper, but this session began before that"
        return why, _login_again(node.group), None
    if inside is not None and (boxed or inside.user_namespace):
        number = f" ({gid})" if gid is not None and str(gid) != node.group else ""
        why = f"the container's user is not in group {node.group}{number}, the number that owns the node on the host"
        return why, _container_flags(inside, gid), _FLAGS
    return f"{session.who} is not in group {node.group}", _join(node.group, session, groups), None


_UDEV = (
    "sudo udevadm control --reload-rules",
    "sudo udevadm trigger --subsystem-match=kfd --subsystem-match=drm",
)
_LISTS = ("getfacl /dev/kfd /dev/dri/renderD*", "sudo dmesg | grep -i -e apparmor -e avc | tail")


def _opened(node: Node, session: Session | None, groups: Groups | None) -> str:
    who = session.who if session else "the asking user"
    if session is not None and session.uid == 0:
        return f"{who} opens {node.path}, as it opens everything; another user is judged when that user asks"
    if session is not None and _allowed_by_mode(node, session, groups) is False:
        return f"{who} opens {node.path} thanks to an access list, though mode {node.mode:04o} {node.owner}:{node.group} says no"
    return f"{who} opens {node.path} for reading and writing"


@check("driver.kfd-access", fault="device-permissions")
def kfd_access(
    nodes: DeviceNodes,
    session: Session | None,
    groups: Groups | None,
    gpus: Gpus | None,
    inside: Inside | None,
) -> Verdict:
    """The training user may open /dev/kfd.

    The node is really opened, because access lists and id maps make mode bits lie. It waits for no other check: the
    node can be there, and closed, before any GPU has come up.
    """
    node = nodes.kfd
    if node is None:
        return skip("/dev/kfd is not there")
    proof = (node.shown, _names(session, groups))
    if node.opened:
        return ok(_opened(node, session, groups), *proof)
    if node.opened is None:
        guess = _allowed_by_mode(node, session, groups) if session else None
        if guess is None:
            return unknown(f"{node.path} was not opened, and its mode alone does not tell", *proof)
        if guess:
            return ok(
                f"mode and groups let {session.who if session else 'the user'} open {node.path}", *proof
            )
    why, remedy, fault = _why_closed(node, session, groups, inside)
    text = (
        f"{node.shown} and does not open ({node.error or 'by its mode'}): {why}. Without it ROCm finds no GPU"
    )
    if gpus is not None and not gpus.capable:
        return warn(f"{text}; there is no AMD GPU that can compute yet", *proof, remedy=remedy, fault=fault)
    return fail(text, *proof, remedy=remedy, fault=fault)


def _why_closed(
    node: Node, session: Session | None, groups: Groups | None, inside: Inside | None
) -> tuple[str, Remedy, str | None]:
    if node.error in ("", "EACCES", "EPERM"):
        return _not_permitted(node, session, groups, inside)
    why = _REFUSED.get(node.error, "the driver refuses")
    return (
        why,
        Remedy(
            "Read what the driver says about it.", ("sudo dmesg | grep -i -e amdgpu -e kfd | tail -n 30",)
        ),
        None,
    )


@check(
    "access.render-nodes",
    fault="device-permissions",
    explained_by=("driver.kfd-access", "driver.kfd-present", "access.container-devices"),
)
def render_nodes(
    nodes: DeviceNodes, gpus: Gpus, session: Session | None, groups: Groups | None, inside: Inside | None
) -> Verdict:
    """The training user may open the render node of each GPU."""
    wanted = {g.render_minor: g for g in gpus.capable if g.render_minor is not None}
    if not wanted:
        return skip("no GPU that can compute has a render node yet")
    closed: dict[str, tuple[Gpu, Node | None]] = {}
    guessed = False
    for minor, gpu in wanted.items():
        node = nodes.renders.get(minor)
        if node is None and not nodes.live:
            return unknown(f"/dev/dri/renderD{minor} is not in this tree, and no running system was asked")
        opens = node.opened if node else False
        if node is not None and opens is None:
            opens, guessed = (_allowed_by_mode(node, session, groups) if session else None), True
        if opens is None:
            return unknown(f"/dev/dri/renderD{minor} was not opened, and its mode alone does not tell")
        if not opens:
            closed[f"/dev/dri/renderD{minor}"] = (gpu, node)
    if not closed:
        how = "by mode and groups" if guessed else "for reading and writing"
        return ok(f"{len(wanted)} render node(s) open {how}", *(n.shown for n in nodes.renders.values()))
    return _closed_nodes(closed, len(wanted), session, groups, inside)


def _closed_nodes(
    closed: dict[str, tuple[Gpu, Node | None]],
    wanted: int,
    session: Session | None,
    groups: Groups | None,
    inside: Inside | None,
) -> Verdict:
    proof = [
        f"{path} of {gpu.name}: {node.shown if node else 'not there'}" for path, (gpu, node) in closed.items()
    ]
    path, (_, node) = next(iter(closed.items()))
    fault: str | None = None
    if node is not None:
        why, remedy, fault = _why_closed(node, session, groups, inside)
        why = f"{node.shown} and does not open ({node.error or 'by its mode'}): {why}"
    elif inside is not None and inside.container:
        why, remedy, fault = (
            f"{path} was not handed into the container",
            _container_flags(inside, None),
            _FLAGS,
        )
    else:
        why = f"{path} is not there, though the driver publishes it"
        remedy = Remedy("Let udev make the nodes again.", _UDEV, _RECIPE)
    if len(closed) < wanted:
        rest = f"{len(closed)} of {wanted} GPUs are left out by ROCm"
        return warn(f"{why}; {rest}", *proof, remedy=remedy, fault=fault)
    return fail(f"{why}. ROCm then uses no GPU", *proof, remedy=remedy, fault=fault)


@check("access.session-groups", fault="device-permissions", after=("driver.kfd-access",))
def session_groups(
    nodes: DeviceNodes, session: Session, groups: Groups, gpus: Gpus | None, inside: Inside | None
) -> Verdict:
    """The account is in the group that owns /dev/kfd, in this session and in the next."""
    node = nodes.kfd
    if node is None:
        return skip("/dev/kfd is not there, so no group owns it")
    if session.uid == 0:
        return skip("root needs no group")
    name, gid = node.group, groups.gid(node.group)
    now = gid in session.gids if gid is not None else None
    if now is None:
        return unknown(f"the number of group {name} is not in /etc/group", node.shown)
    boxed = inside is not None and inside.container is not None
    paper = groups.on_paper(name)
    if now and (paper or boxed or session.name is None or gid == session.gids[0]):
        return ok(f"{session.who} is in group {name} ({gid})")
    if now:
        return ok(
            f"{session.who} is in group {name} ({gid}) here; /etc/group does not say so, a directory service may"
        )
    if paper:
        return warn(
            f"{session.who} is in group {name} on paper, but not in this session, which began before",
            node.shown,
            remedy=_login_again(name),
        )
    if node.opened and gpus is not None and gpus.capable:
        return ok(
            f"{session.who} is not in group {name} and opens the node all the same; where an access list of the desktop "
            "allows it, remote and batch sessions have no access",
            node.shown,
        )
    return warn(f"{session.who} is not in group {name}", node.shown, remedy=_join(name, session, groups))


@check("access.container-devices", fault=_FLAGS, explained_by=("driver.kfd-present",))
def container_devices(nodes: DeviceNodes, inside: Inside, driver: HostDriver, gpus: Gpus | None) -> Verdict:
    """The container was given the devices of the host's GPUs."""
    if not inside.container:
        return skip("not inside a container")
    if not nodes.live:
        return unknown("no running container was asked")
    if not driver.loaded:
        return skip("the host's kernel does not run amdgpu")
    missing = [path for path, there in (("/dev/kfd", nodes.kfd), ("/dev/dri", nodes.dri)) if not there]
    if not missing:
        return ok("/dev/kfd and /dev/dri are here")
    names = " and ".join(missing)
    text = f"the host runs the amdgpu driver, but {names} is not in this {inside.container} container: ROCm finds no GPU"
    remedy = _container_flags(inside, None)
    if gpus is None or gpus.capable:
        return fail(text, remedy=remedy)
    return skip(f"{names} is not in this container, and the host shows no AMD GPU that can compute")


@check("access.container-driver", fault="dkms-not-needed")
def container_driver(inside: Inside, sources: DriverSources) -> Verdict:
    """The container has no kernel driver of its own, which it could not load."""
    if not inside.container:
        return skip("not inside a container")
    if not sources.trees:
        return ok("no driver sources in /usr/src")
    return warn(
        f"/usr/src/{sources.trees[0]} is a kernel driver inside a {inside.container} container; the host's kernel is "
        "the one that runs, and building another here only fails",
        remedy=Remedy("Install ROCm in containers without the driver.", ("apt-get purge amdgpu-dkms",)),
    )


@check("access.wsl-bridge", fault="wsl")
def wsl_bridge(inside: Inside, wsl: Wsl, sources: DriverSources | None) -> Verdict:
    """Under Windows, the bridge to the GPU is there and no Linux driver stands beside it."""
    if not inside.wsl:
        return skip("not under the Windows Subsystem for Linux")
    if sources is not None and sources.trees:
        return warn(
            f"/usr/src/{sources.trees[0]}: the Linux kernel driver cannot run under Windows, where the GPU is reached "
            "through /dev/dxg",
            remedy=Remedy("Remove it; ROCm goes without it here.", ("sudo apt-get purge amdgpu-dkms",)),
        )
    missing = [
        path
        for path, there in (("/dev/dxg", wsl.dxg), ("/usr/lib/wsl/lib/libdxcore.so", wsl.library))
        if not there
    ]
    if missing:
        return warn(
            f"{' and '.join(missing)} is not there, so nothing here reaches the GPU of Windows",
            remedy=Remedy(
                "In Windows, update WSL and AMD's driver, and use a WSL 2 distribution.",
                ("wsl.exe --update", "wsl.exe --shutdown"),
            ),
        )
    return ok("/dev/dxg and libdxcore.so are there")


@check("access.future-users")
def future_users(new: NewUsers, gpus: Gpus, inside: Inside | None) -> Verdict:
    """Accounts made from now on get the groups that own the GPUs."""
    if not gpus.capable or (inside is not None and inside.container):
        return skip("no GPU here that new accounts would use")
    missing = [name for name in ("render", "video") if name not in (new.extra or ())]
    if not missing:
        return ok("EXTRA_GROUPS in /etc/adduser.conf names render and video")
    return skip(
        f'new accounts do not get {" and ".join(missing)}; ADD_EXTRA_GROUPS=1 and EXTRA_GROUPS="video render" in '
        "/etc/adduser.conf would do that, for machines with many users"
    )


@check("access.udev-rule")
def udev_rule(nodes: DeviceNodes, rules: DeviceRules | None) -> Verdict:
    """Whom the mode of the device nodes lets in is known."""
    everyone = [n.path for n in (nodes.kfd, *nodes.renders.values()) if n is not None and n.mode & 0o006]
    if nodes.kfd is None and not nodes.renders:
        return skip("there are no device nodes")
    own = (
        [f"{path} sets mode {', '.join(f'{m:04o}' for m in modes)}" for path, modes in rules.modes.items()]
        if rules
        else []
    )
    if everyone:
        return ok(f"{', '.join(everyone)}: open to every local user by mode, no group needed", *own)
    return ok("the nodes are for their owner and group", *own)
