#!/bin/sh
# Installs ROCm with rocmdoctor on a machine that may be thrown away, across a reboot, and keeps what every step said.
# Made for virtual machines of a CI; needs python3, and root or a sudo that does not ask. docs/how-to/ci-in-a-vm.md
set -u

usage() {
    cat <<'END'
Usage: smoke.sh [OPTIONS] [-- INSTALL-OPTIONS]

  Called before a reboot:  check, install base                            ends with 102
  Called again after it:   waits for the resumed installation, verify, check
  A call after a failure tries that half again; after it has passed, a call does nothing.

Options; call it with the same ones both times:
  --arch GFX         the target to build for; default $ROCMDOCTOR_SMOKE_ARCH, else gfx90a
  --for RUNG         what the last check wants to be there: driver, rocm; default: it only must find nothing wrong
  --out DIR          where the answers are kept; default $ROCMDOCTOR_SMOKE_OUT, else ~/rocmdoctor-smoke
  --patience FACTOR  stretches rocmdoctor's time limits, for emulated machines; default 1
  --wait SECONDS     how long the installation may go on after the reboot; default 3600
  --ca-bundle FILE   makes this machine trust these certificates, for networks with an authority of their own
  --wheels DIR       takes rocmdoctor's own Python packages from this folder instead of the network
  --reboot           reboots by itself when it is due
  --no-reboot        goes on at once where the installation itself needs no reboot
  --again            forgets what earlier calls did

Words after -- go to 'install base': -- --rocm 6.2.4 --driver kernel

Exit codes: 0 all is as wanted · 2 usage, or this machine cannot be used · 10 the first check could not be made ·
11 the installation failed · 12 it did not go on after the reboot, or not to its end · 13 verify failed ·
14 the last check failed · 102 done so far: reboot the machine and call again
END
}

arch=${ROCMDOCTOR_SMOKE_ARCH:-gfx90a}
out=${ROCMDOCTOR_SMOKE_OUT:-}
rung='' patience=1 wait=3600 bundle='' wheels='' reboot='' again=''
unit=rocmdoctor-resume.service

say() { printf 'smoke: %s\n' "$*" >&2; }

fail() {
    say "$@"
    exit 2
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

now() { date +%s; }

# ---------------------------------------------------------------- this machine

boot_id() { cat /proc/sys/kernel/random/boot_id; }

# One file for each certificate that is not trusted yet: update-ca-certificates wants it so, and keeps them when it is run again.
# It looks at each for a second where the machine is emulated.
trust() {
    [ -r "$bundle" ] || fail "--ca-bundle: $bundle cannot be read"
    # Users have no sbin on their path.
    update=/usr/sbin/update-ca-certificates
    [ -x "$update" ] || fail "--ca-bundle needs the package ca-certificates on this machine"
    trusted=/etc/ssl/certs/ca-certificates.crt
    [ -r "$trusted" ] || trusted=/dev/null
    split=$(mktemp -d) || exit 2
    sum=$(cksum <"$bundle")
    awk -v to="$split/smoke-${sum%% *}" '
        /-----BEGIN CERTIFICATE-----/ { inside = 1; block = "" }
        inside { block = block $0 "\n" }
        /-----END CERTIFICATE-----/ {
            inside = 0
            if (FILENAME == ARGV[1]) { known[block] = 1; next }
            seen = 1
            if (block in known) next
            known[block] = 1
            file = sprintf("%s-%04d.crt", to, ++n)
            printf "%s", block >file
            close(file)
        }
        END { exit !seen }' "$trusted" "$bundle" || fail "--ca-bundle: $bundle holds no certificate"
    log=$out/ca-certificates.log
    if [ -e "$split/smoke-${sum%% *}-0001.crt" ] &&
        { ! as_root install -D -m 644 -t /usr/local/share/ca-certificates "$split"/*.crt >"$log" 2>&1 ||
            ! as_root "$update" >>"$log" 2>&1; }; then
        fail "--ca-bundle: the certificates could not be installed: $log"
    fi
    rm -rf -- "$split"
}

# In a folder of another user's, what is written could be led elsewhere.
open_folder() {
    [ -d "$out" ] || (umask 077 && mkdir -p -- "$out") || exit 2
    if [ -L "$out" ] || [ ! -O "$out" ]; then
        fail "--out: $out is a link or another user's; name a folder of your own"
    fi
    out=$(cd -- "$out" && pwd) || exit 2
    if [ -n "$again" ]; then
        for kept in phase steps.tsv summary.json check-before install resume verify check-after machine; do
            rm -f -- "$out/$kept" "$out/$kept.json" "$out/$kept.log"
        done
    fi
}

# ---------------------------------------------------------------- steps

# doctor VERB WORDS
doctor() {
    set -- "$root/run" --yes ${wheels:+--wheels "$wheels"} "$@"
    "$@"
}

# ask NAME VERB WORDS: the JSON goes to NAME.json, everything else to NAME.log; sets `code`.
ask() {
    name=$1
    shift
    say "$name: rocmdoctor $*"
    began=$(now)
    doctor "$@" --json >"$out/$name.json" 2>"$out/$name.log" </dev/null
    code=$?
    note "$name" "$code" "$began" "$*"
}

note() {
    seconds=$(($(now) - $3))
    say "$1: exit code $2 after $seconds s"
    printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$seconds" "$(boot_id)" "$4" >>"$out/steps.tsv"
}

# give_up CODE REASON: the next call tries this half again.
give_up() {
    say "$2"
    tail -n 5 -- "$out/$name.log" >&2
    finish "$1" "$2"
}

finish() {
    doctor collect --share --patience "$patience" -o "$out/machine.json" >"$out/machine.log" 2>&1 </dev/null ||
        say "no snapshot: $out/machine.log"
    summary "$1" "$2"
    exit "$1"
}

summary() {
    python3 - "$out" "$1" "$2" "$arch" <<'END' || say "no summary could be written"
import json, pathlib, platform, sys

out, code = pathlib.Path(sys.argv[1]), int(sys.argv[2])


def read(name, *path):
    """A value of an envelope; None where the step did not come to it."""
    try:
        found = json.loads((out / (name + ".json")).read_text())
        for key in path:
            found = found[key]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found


def system():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return ""


steps = []
for line in (out / "steps.tsv").read_text().splitlines():
    name, exit_code, seconds, boot, command = line.split("\t")
    row = {"step": name, "exit_code": int(exit_code), "seconds": int(seconds), "boot": boot, "command": command}
    steps.append(row)
words = {
    "schema": 1,
    "result": {0: "passed", 102: "reboot-needed"}.get(code, "failed"),
    "exit_code": code,
    "why": sys.argv[3],
    "arch": sys.argv[4],
    "system": system(),
    "kernel": platform.release(),
    "verified": read("verify", "data", "verified"),
    "readiness": read("check-after", "data", "readiness"),
    "root_causes": read("check-after", "data", "root_causes"),
    "steps": steps,
}
(out / "summary.json").write_text(json.dumps(words, indent=2) + "\n")
END
}

# state_of_run: the newest run's state, or `none`.
state_of_run() {
    python3 - "$out/resume.json" <<'END'
import json, sys
runs = json.load(open(sys.argv[1]))["data"]["runs"]
print(runs[-1]["state"] if runs else "none")
END
}

# ---------------------------------------------------------------- before the reboot

before() {
    : >"$out/steps.tsv"
    ask check-before check --patience "$patience"
    case $code in
        0 | 1 | 6) ;;
        *) give_up 10 "check ended with $code: this machine could not be judged; see $out/check-before.log" ;;
    esac
    ask install install base --arch "$arch" --patience "$patience" --yes --allow-remove "$@"
    case $code in
        0 | 102) ;;
        *) give_up 11 "install ended with $code, 0 or 102 is wanted; see $out/install.json" ;;
    esac
    [ "$code $reboot" != '0 never' ] || after
    printf 'installed %s %s\n' "$code" "$(boot_id)" >"$out/phase"
    due
}

due() {
    summary 102 "a reboot is due"
    if [ "$reboot" = self ]; then
        say "rebooting; call this again afterwards"
        sync
        as_root systemctl reboot || fail "systemd does not reboot this machine"
    else
        say "done so far: reboot this machine and call this again, with the same options"
    fi
    exit 102
}

# ---------------------------------------------------------------- after it

# The unit belongs to the boot: systemd calls the machine up only when it has ended.
await_boot() {
    [ -d /run/systemd/system ] || return 0
    until=$(($(now) + wait))
    while [ "$(now)" -lt "$until" ]; do
        state=$(timeout "$((until - $(now)))" systemctl is-system-running --wait 2>/dev/null)
        case $state in
            running | degraded | maintenance) return 0 ;;
        esac
        sleep 1
    done
    return 1
}

resumed() {
    began=$(now)
    name=resume
    say "resume: waiting for the installation to end, $wait s at most"
    await_boot
    waited=$?
    as_root journalctl -b -u "$unit" --no-pager >"$out/resume.log" 2>&1
    doctor history --json >"$out/resume.json" 2>>"$out/resume.log" </dev/null ||
        give_up 12 "history could not be asked; see $out/resume.log"
    found=$(state_of_run)
    note resume "$waited" "$began" "history: $found"
    [ "$waited" = 0 ] || give_up 12 "the machine was not up after $wait s, its installation is: $found; see $out/resume.log"
    # Of a run that was over before the reboot nothing is to come; the newest that is listed may be another.
    [ "$ended" != 0 ] || return 0
    case $found in
        done) ;;
        reboot)
            printf 'installed 102 %s\n' "$(boot_id)" >"$out/phase"
            due
            ;;
        *) give_up 12 "after the reboot the installation is: $found, done is wanted; see $out/resume.log" ;;
    esac
}

after() {
    ask verify verify --arch "$arch" --patience "$patience"
    [ "$code" = 0 ] || give_up 13 "verify ended with $code, 0 is wanted; see $out/verify.json"
    set -- check --patience "$patience"
    [ -z "$rung" ] || set -- "$@" --for "$rung"
    ask check-after "$@"
    [ "$code" = 0 ] || give_up 14 "check ended with $code, 0 is wanted; see $out/check-after.json"
    say "passed; what every step said is in $out"
    printf 'passed\n' >"$out/phase"
    finish 0 ""
}

# ---------------------------------------------------------------- the command line

while [ $# -gt 0 ]; do
    case $1 in
        --arch | --for | --out | --patience | --wait | --ca-bundle | --wheels)
            [ $# -gt 1 ] || fail "$1 needs a value"
            case $1 in
                --arch) arch=$2 ;;
                --for) rung=$2 ;;
                --out) out=$2 ;;
                --patience) patience=$2 ;;
                --wait) wait=$2 ;;
                --ca-bundle) bundle=$2 ;;
                --wheels) wheels=$2 ;;
            esac
            shift
            ;;
        --reboot) reboot=self ;;
        --no-reboot) reboot=never ;;
        --again) again=1 ;;
        -h | --help)
            usage
            exit 0
            ;;
        --)
            shift
            break
            ;;
        *)
            usage >&2
            fail "$1 is no option"
            ;;
    esac
    shift
done

case $wait in
    '' | *[!0-9]*) fail "--wait: $wait is no number of seconds" ;;
esac
root=$(cd -P -- "$(dirname -- "$0")/.." && pwd) || exit 2
[ -x "$root/run" ] || fail "$root/run is missing: this script lies in smoke/ of a checkout of rocmdoctor"
command -v python3 >/dev/null || fail "no python3 here; install it first"
as_root true 2>/dev/null || fail "needs root, or a sudo that asks for no password"
out=${out:-${HOME:?is not set}/rocmdoctor-smoke}
open_folder
[ -z "$bundle" ] || trust

phase='' ended='' mark=''
[ ! -e "$out/phase" ] || read -r phase ended mark <"$out/phase"
case $phase in
    passed)
        say "passed before: $out/summary.json; --again begins anew"
        exit 0
        ;;
    installed)
        [ "$mark" != "$(boot_id)" ] || due
        resumed
        after
        ;;
    *) before "$@" ;;
esac
