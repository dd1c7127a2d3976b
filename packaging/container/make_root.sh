#!/bin/sh
# Makes the image's root: installs the deb here (Debian 12 with python3, iproute2, systemd), then copies just what eniagent needs.
# usage: make_root.sh DEB ROOT
set -eu
deb=$1
root=$2
python=$(basename "$(readlink -f /usr/bin/python3)")

dpkg --install "$deb" >/dev/null

mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/etc"
for part in bin sbin lib lib64; do
    ln -s "usr/$part" "$root/$part"
done

copy() {
    # A file or link to the same place, its directory named without links, since /lib leads to /usr/lib here and there.
    place=$(readlink -f "$(dirname "$1")")
    mkdir -p "$root$place"
    cp -a "$1" "$root$place/"
    if [ -L "$1" ]; then
        copy "$(readlink -f "$1")"
    fi
}

dpkg -L "$python-minimal" "lib$python-minimal" "lib$python-stdlib" | sort -u | while IFS= read -r file; do
    case $file in
        */idlelib/* | */ensurepip/* | */lib2to3/* | */man/* | */lintian/* | */binfmts/* | */applications/* | */pixmaps/*) ;;
        /usr/share/doc/*) [ "${file##*/}" != copyright ] || echo "$file" ;;
        *) if [ -L "$file" ] || [ ! -d "$file" ]; then echo "$file"; fi ;;
    esac
done >/tmp/files
tar -C / --files-from /tmp/files --create | tar -C "$root" --extract
for file in /usr/bin/python3 /usr/bin/journalctl /usr/bin/ip /usr/bin/eniagent /etc/os-release; do
    copy "$file"
done
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    copy /etc/ssl/certs/ca-certificates.crt
fi
for package in iproute2 systemd libc6 ca-certificates; do
    [ ! -e "/usr/share/doc/$package/copyright" ] || copy "/usr/share/doc/$package/copyright"
done
cp -a /opt "$root/"
find "$root/opt/eniagent/lib" -maxdepth 1 -name 'cp*' ! -name "cp$(echo "${python#python}" | tr -d .)" -exec rm -rf {} +
find "$root/usr/lib" -name __pycache__ -prune -exec rm -rf {} +
"/usr/bin/$python" -IS -m compileall -q --invalidation-mode unchecked-hash -s "$root" "$root/usr/lib/$python"

# Every library that what was copied is linked with, until there is none that is new.
before=
while now=$(find "$root" -type f | wc -l) && [ "$now" != "$before" ]; do
    before=$now
    find "$root" -type f \( -perm -0100 -o -name '*.so' -o -name '*.so.*' \) -exec ldd {} + 2>/dev/null |
        sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p' | sort -u >/tmp/libraries
    while IFS= read -r file; do
        [ -e "$root$(readlink -f "$(dirname "$file")")/$(basename "$file")" ] || copy "$file"
    done </tmp/libraries
done

printf 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65532:65532:nobody:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnobody:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run/eniagent" "$root/host" "$root/var/lib/eniagent" "$root/var/log/support"
ln -s ../run "$root/var/run"
mkdir -m 1777 "$root/tmp" "$root/var/tmp"
