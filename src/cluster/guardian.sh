# Owns one throw-away PostgreSQL: makes it, says `ready`, and when standard input ends stops and deletes it.
# Arguments: directory of the programs, directory to live in, superuser, port (it names the socket).
# Standard output: `ready`, or `failed` and the end of the log.

bin=$1 home=$2 user=$3 port=$4
# Its end is the end of standard input, not a signal meant for those who use it.
trap '' HUP INT TERM

leave() {
    cd /
    rm -rf -- "$home"
    exit "$1"
}

fail() {
    echo failed
    tail -n 3 "$home/log"
    leave 1
}

"$bin/initdb" --no-sync -E UTF8 --locale=C -A trust -U "$user" -D "$home/data" \
    </dev/null >"$home/log" 2>&1 || fail

cat >>"$home/data/postgresql.conf" <<SETTINGS
listen_addresses = ''
port = $port
unix_socket_directories = '$home'
unix_socket_permissions = 0700
max_connections = 300
timezone = 'UTC'
fsync = off
synchronous_commit = off
full_page_writes = off
SETTINGS

"$bin/pg_ctl" start -w -t 50 -D "$home/data" -l "$home/server.log" </dev/null >>"$home/log" 2>&1 || {
    cat "$home/server.log" >>"$home/log" 2>/dev/null
    stop=failed
}

[ -n "$stop" ] || echo ready
[ -n "$stop" ] || read -r _

"$bin/pg_ctl" stop -w -t 20 -m immediate -D "$home/data" </dev/null >/dev/null 2>&1 ||
    kill -9 "$(head -n 1 "$home/data/postmaster.pid")" 2>/dev/null
[ -z "$stop" ] || fail
leave 0
