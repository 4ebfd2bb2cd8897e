"""A user who may use the GPUs: device nodes, groups, session."""

from __future__ import annotations

from tests.machines.parts import ABSENT, Answers, Spec, files, text


def session(spec: Spec) -> Answers:
    """The user's processes, with the groups that the last login gave."""
    return {
        "read:/proc/self/status": text(
            f"Uid:\t{spec.uid}\t{spec.uid}\t{spec.uid}\t{spec.uid}\nGid:\t1000\t1000\t1000\t1000\nGroups:\t27 44 110 1000 \n"
        ),
        "stat:/proc/self": text(f"dir 0555 {spec.user} {spec.user}"),
        # As the question's pattern leaves it: a line's name or nothing, its number, the user where it is a member.
        "read:/etc/group": text(
            f"\n0\n\n27\n{spec.user}\nvideo\n44\n{spec.user}\nrender\n110\n{spec.user}\n\n1000\n"
        ),
        "read:/etc/adduser.conf": text('ADD_EXTRA_GROUPS=1\nEXTRA_GROUPS="video render"\n'),
    }


def nodes(spec: Spec) -> Answers:
    """/dev/kfd and the render nodes as udev makes them."""
    answers: Answers = {
        "stat:/sys/class/kfd": text("dir 0755 root root") if spec.gpus else ABSENT,
        "stat:/dev/kfd": text("char 0660 root render") if spec.gpus else ABSENT,
        "access:/dev/kfd": text("read-write") if spec.gpus else ABSENT,
        "stat:/dev/dri/renderD128": ABSENT,
        "glob:/etc/udev/rules.d/*.rules": files({}),
        "stat:/run/udev/control": text("socket 0600 root root"),
        "list:/usr/src": text(f"linux-headers-{spec.kernel}/\n"),
        "stat:/usr/lib/wsl/lib/libdxcore.so": ABSENT,
    }
    if not spec.gpus:
        answers["list:/dev/dri"] = ABSENT
        return answers
    cards = [f"card{n}\n" for n in range(len(spec.gpus))]
    renders = [f"renderD{gpu.render_minor}\n" for gpu in spec.gpus]
    answers["list:/dev/dri"] = text("by-path/\n" + "".join(cards + renders))
    for gpu in spec.gpus:
        path = f"/dev/dri/renderD{gpu.render_minor}"
        answers[f"stat:{path}"] = text("char 0660 root render")
        answers[f"access:{path}"] = text("read-write")
    return answers


PARTS = (session, nodes)
