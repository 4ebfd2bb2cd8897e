#!/bin/sh
# The last step of an image build, inside the image: what must not be the same in every machine made of it goes.
# docs/how-to/pre-baked-images.md
set -eu

usage() {
    cat <<'END'
Usage: clean-image.sh [--keep-environments]

  --keep-environments  leaves rocmdoctor's own Python environments, so that it works at the first start without a network

Goes: rocmdoctor's runs (what is in the image can no longer be taken back with 'undo'), its environments and answers, apt's lists
and archives, the ssh host's keys, the machine's number, the random seed, logs, and what cloud-init remembers.

Exit codes: 0 cleaned · 2 usage, or not root · 3 an installation has not ended: every machine made of the image would go on with it
END
}

keep=''
case ${1:-} in
    '') ;;
    --keep-environments) keep=1 ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
esac
[ "$(id -u)" = 0 ] || { echo "clean-image: needs root" >&2; exit 2; }
if [ -e /etc/systemd/system/rocmdoctor-resume.service ]; then
    echo "clean-image: an installation has not ended: './run history', then './run resume' or './run undo'" >&2
    exit 3
fi

for home in /root /home/*; do
    rm -rf -- "$home/rocmdoctor-smoke" "$home/.local/state/rocmdoctor"
    [ -n "$keep" ] || rm -rf -- "$home/.cache/rocmdoctor"
done
rm -rf /var/lib/rocmdoctor
[ -n "$keep" ] || rm -rf /var/cache/rocmdoctor

if command -v cloud-init >/dev/null; then
    cloud-init clean --logs --seed >/dev/null
fi
if command -v apt-get >/dev/null; then
    apt-get clean
    rm -rf /var/lib/apt/lists/*
fi
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
# Empty, not missing: systemd takes a missing file for a system whose /etc is new.
: >/etc/machine-id
[ -L /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
rm -f /var/lib/systemd/random-seed
rm -rf /var/log/journal/*
find /var/log -type f -exec truncate -s 0 {} +
