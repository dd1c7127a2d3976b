# What the scriptlets of the deb and the rpm share. The build puts it into each of them, with the units in place of the mark.
units="@UNITS@"

compile_modules() {
    # The tree is root's and is not written at run time, so it is compiled here, for this machine's Python alone.
    tag=$(/usr/bin/python3 -IS -c 'import sys; print("cp%d%d" % sys.version_info[:2])') || return 0
    [ -d "/opt/eniagent/lib/$tag" ] || return 0
    /usr/bin/python3 -IS -m compileall -q -f --invalidation-mode unchecked-hash /opt/eniagent/lib/common "/opt/eniagent/lib/$tag" ||
        echo "eniagent: its modules could not be compiled; it works, and starts slower" >&2
}

forget_modules() {
    [ ! -d /opt/eniagent ] || find /opt/eniagent -type d -name __pycache__ -prune -exec rm -rf {} +
}

make_user_and_places() {
    if [ -e /usr/lib/sysusers.d/eniagent.conf ] && [ -x "$(command -v systemd-sysusers)" ]; then
        systemd-sysusers eniagent.conf
    fi
    if [ -e /usr/lib/tmpfiles.d/eniagent.conf ] && [ -x "$(command -v systemd-tmpfiles)" ]; then
        systemd-tmpfiles --create eniagent.conf || true
    fi
}

reload_systemd() {
    [ ! -d /run/systemd/system ] || systemctl daemon-reload || true
}

restart_running() {
    # Only what runs already: to start or enable the service is the administrator's to say.
    [ ! -d /run/systemd/system ] || [ -z "$units" ] || systemctl try-restart $units || true
}

stop_and_disable() {
    [ -z "$units" ] || [ ! -x "$(command -v systemctl)" ] || if [ -d /run/systemd/system ]; then
        systemctl --no-reload disable --now $units || true
    else
        systemctl --no-reload disable $units || true
    fi
}
