#!/bin/sh
# Collects what `dryport explain` needs, where dryport itself cannot run.
#
#   sh collect.sh > collected.txt
#
# For Linux (dash, bash, busybox), macOS and the BSDs. It installs and changes nothing, needs no
# root, and sends nothing anywhere. Root adds the processes of other users.
#
# It collects: the name and release of the system; settings that bear on ports, each by name;
# counts of sockets; and all TCP and UDP sockets with the IP addresses and ports of both ends,
# their state, and the id and short name of their process where the system's programs tell it.
# Nothing secret is in it: no host name, no name of a user, no environment, no arguments of
# commands, no content of a connection. Look through it before you send it all the same.

# Words of the programs are read again, so they have to be English; nothing else is taken from
# the environment.
LC_ALL=C
export LC_ALL
# Where sysctl and ss are kept from ordinary users.
PATH=$PATH:/usr/sbin:/sbin
export PATH

section() {
    printf '\n## $ %s\n' "$*"
}

# Whether there is such a program.
has() {
    command -v "$1" > /dev/null 2>&1
}

# Runs a command, under its name. What it complains of becomes a comment.
show() {
    section "$*"
    run "$@"
}

run() {
    if ! "$@" 2> /dev/null; then
        printf '# this did not work here: %s\n' "$*"
    fi
}

# A setting of Linux as `key = value`. In one read: the kernel gives the end of a list of ports
# only to a reader that takes all at once.
setting() {
    file=/proc/sys/$(printf '%s' "$1" | tr . /)
    if [ -r "$file" ]; then
        printf '%s = %s\n' "$1" "$(dd if="$file" bs=262144 count=1 2> /dev/null)"
    else
        printf '# %s: not on this system\n' "$1"
    fi
}

linux_settings() {
    section 'sysctl -a    (only what bears on ports)'
    for key in \
        net.ipv4.ip_local_port_range \
        net.ipv4.ip_local_reserved_ports \
        net.ipv4.ip_unprivileged_port_start \
        net.ipv4.tcp_tw_reuse \
        net.ipv4.tcp_tw_reuse_delay \
        net.ipv4.tcp_tw_recycle \
        net.ipv4.tcp_timestamps \
        net.ipv4.tcp_fin_timeout \
        net.ipv4.tcp_max_tw_buckets \
        net.netfilter.nf_conntrack_count \
        net.netfilter.nf_conntrack_max
    do
        setting "$key"
    done
}

# One counter of /proc/net/netstat, as nstat writes it.
linux_overflow() {
    section 'nstat -az TcpExtTCPTimeWaitOverflow'
    if ! has awk; then
        echo '# there is no awk to read /proc/net/netstat'
        return
    fi
    awk '
        $1 == "TcpExt:" && !names { names = split($0, name); next }
        $1 == "TcpExt:" {
            for (at = 2; at <= names; at++)
                if (name[at] == "TCPTimeWaitOverflow")
                    printf "TcpExt%-25s %-18s 0.0\n", name[at], $at
        }' /proc/net/netstat 2> /dev/null
}

linux_sockets() {
    if has ss; then
        # Bound sockets that neither listen nor connect: told since ss 6.8 and Linux 6.8. Asked for
        # one state, ss leaves its name out.
        bound=$(ss -tHnp state bound-inactive 2> /dev/null |
            sed 's/^/tcp   BOUND-INACTIVE /')
        show ss -tuanpo
        # Without a gap: these rows belong to the same table.
        [ -z "$bound" ] || printf '%s\n' "$bound"
    elif has netstat && netstat -tuan > /dev/null 2>&1; then
        # busybox knows no -o, and sometimes no -p.
        for options in -tuanpo -tuanp -tuan; do
            if netstat "$options" > /dev/null 2>&1; then
                section "netstat $options"
                netstat "$options" 2> /dev/null | without_titles
                return
            fi
        done
    else
        for file in /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6; do
            [ ! -r "$file" ] || show cat "$file"
        done
    fi
}

# `1234/sshd: somebody@pts/0` becomes `1234/sshd`: some programs write names of users, or their
# arguments, where netstat looks for theirs.
without_titles() {
    sed 's|\( [0-9][0-9]*/[^ :]*\)[ :].*$|\1|'
}

linux() {
    linux_settings
    for file in /proc/net/sockstat /proc/net/sockstat6; do
        [ ! -r "$file" ] || show cat "$file"
    done
    linux_overflow
    linux_sockets
}

# macOS and FreeBSD have net.inet.ip.portrange, NetBSD anonport*, OpenBSD port*.
bsd() {
    section 'sysctl net.inet.ip.portrange net.inet.tcp.msl'
    for key in \
        net.inet.ip.portrange \
        net.inet.ip.anonportmin net.inet.ip.anonportmax \
        net.inet.ip.porthifirst net.inet.ip.porthilast \
        net.inet.tcp.msl \
        net.inet.tcp.finwait2_timeout
    do
        sysctl "$key" 2> /dev/null
    done
    show netstat -an -p tcp
    show netstat -an -p udp
}

all() {
    cat << 'END'
# Collected by collect.sh of dryport, for `dryport explain`: the system's release, settings that
# bear on ports, and TCP and UDP sockets with their IP addresses, ports and processes. No host name,
# user, environment, argument or content is in it. Look through it before you send it.
END
    show uname -s -r
    case $(uname -s) in
        Linux) linux ;;
        *) bsd ;;
    esac
}

# A process may have any name: nothing in it shall move the cursor of who looks through this.
all | tr -d '\000-\010\013-\037\177'
exit 0
