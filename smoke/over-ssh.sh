#!/bin/sh
# Runs smoke.sh on a machine that is reached by ssh, reboots it in between, and brings back what the steps said.
set -u

usage() {
    cat <<'END'
Usage: over-ssh.sh [USER@]HOST FOLDER [SMOKE-OPTIONS]

  over-ssh.sh ci@gpu-box results --arch gfx90a --for rocm
  ROCMDOCTOR_SSH='ssh -p 2301 -i key' over-ssh.sh ci@127.0.0.1 results

The checkout is copied to ~/rocmdoctor-checkout there, and FOLDER here gets the answers. That user is root or has a sudo that
does not ask. Every call begins anew. SMOKE-OPTIONS are those of smoke.sh but --out, --again and --reboot.

Variables:
  ROCMDOCTOR_SSH             the ssh command with its options; default: ssh -o BatchMode=yes
  ROCMDOCTOR_CA_BUNDLE       a file of certificates here that the machine is to trust
  ROCMDOCTOR_REBOOT_SECONDS  how long a reboot may take; default 900

Exit codes: those of smoke.sh, but 102 only when the machine asks for a fourth reboot · 2 usage, or ssh does not get there ·
15 the machine did not come back, or could not be rebooted · 16 the answers could not be brought back
END
}

say() { printf 'over-ssh: %s\n' "$*" >&2; }

fail() {
    code=$1
    shift
    say "$@"
    exit "$code"
}

# Word splitting is meant: the variable is a command line.
# shellcheck disable=SC2086
there() { ${ROCMDOCTOR_SSH:-ssh -o BatchMode=yes} -o ConnectTimeout=10 -o ServerAliveInterval=30 "$host" "$1"; }

quoted() {
    for word; do
        printf "'%s' " "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
    done
}

boot_id() { there 'cat /proc/sys/kernel/random/boot_id' </dev/null 2>/dev/null; }

copy_checkout() {
    tar -C "$root" --exclude=./.git --exclude=./.vagrant --exclude=./smoke-results --exclude=__pycache__ \
        --exclude='./.*_cache' --exclude=./.hypothesis --exclude=./.venv -c . |
        there 'rm -rf rocmdoctor-checkout rocmdoctor-smoke && mkdir rocmdoctor-checkout && tar -C rocmdoctor-checkout -x' ||
        fail 2 "the checkout could not be copied to $host"
    [ -z "${ROCMDOCTOR_CA_BUNDLE:-}" ] && return
    there 'cat >rocmdoctor-checkout/.ca-bundle.crt' <"$ROCMDOCTOR_CA_BUNDLE" ||
        fail 2 "ROCMDOCTOR_CA_BUNDLE: $ROCMDOCTOR_CA_BUNDLE could not be copied to $host"
    options="--ca-bundle rocmdoctor-checkout/.ca-bundle.crt $options"
}

reboot() {
    before=$(boot_id)
    say "rebooting $host"
    # The connection may end before its answer.
    # shellcheck disable=SC2016
    there 'if [ "$(id -u)" = 0 ]; then systemctl reboot; else sudo -n systemctl reboot; fi' </dev/null >&2
    until=$(($(date +%s) + ${ROCMDOCTOR_REBOOT_SECONDS:-900}))
    while [ "$(date +%s)" -lt "$until" ]; do
        now=$(boot_id)
        [ -z "$now" ] || [ "$now" = "$before" ] || return 0
        sleep 1
    done
    fail 15 "$host was not rebooted within ${ROCMDOCTOR_REBOOT_SECONDS:-900} s"
}

fetch() {
    mkdir -p -- "$folder" &&
        there 'tar -C rocmdoctor-smoke -c .' </dev/null | tar -C "$folder" -x &&
        say "what the steps said: $folder" && return
    say "nothing could be brought back from $host"
    return 16
}

case ${1:-} in
    -h | --help)
        usage
        exit 0
        ;;
esac
[ $# -ge 2 ] || { usage >&2; exit 2; }
root=$(cd -P -- "$(dirname -- "$0")/.." && pwd) || exit 2
host=$1 folder=$2
shift 2
options=$(quoted "$@")
copy_checkout
reboots=0
while :; do
    there "rocmdoctor-checkout/smoke/smoke.sh $options" </dev/null
    code=$?
    if [ "$code" != 102 ] || [ "$reboots" = 3 ]; then break; fi
    reboots=$((reboots + 1))
    reboot
done
[ "$code" != 255 ] || fail 15 "the connection to $host broke"
fetch || [ "$code" != 0 ] || code=16
exit "$code"
