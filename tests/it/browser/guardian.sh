# Runs chromedriver until standard input ends, which it does however the tests end; then ends it and its browsers and
# deletes all they wrote. What chromedriver says, its port among it, goes to standard output.

command -v chromedriver >/dev/null || exit 1
home=$(mktemp -d "${TMPDIR:-/tmp}/flipgate-browser.XXXXXX") || exit 1

# Whatever a browser keeps, its profile above all, lands there.
export HOME="$home" TMPDIR="$home" XDG_CONFIG_HOME="$home/config" XDG_CACHE_HOME="$home/cache"
# A session of its own, so that all of it can be ended: chromedriver gives each browser a group of its own.
setsid chromedriver --port=0 --log-level=SEVERE </dev/null 2>/dev/null &
driver=$!
# Our end is the end of standard input, not a signal meant for the tests.
trap '' HUP INT TERM
# Whoever reads shall see the end of chromedriver, not ours.
exec >/dev/null

read -r _

# The processes of chromedriver's session that have not ended, browsers among them.
left() {
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        pid=${line%% *}
        # Behind the name, which may have spaces: state, parent, group, session.
        set -- ${line##*) }
        [ "${4:-}" = "$driver" ] && [ "$1" != Z ] && echo "$pid"
    done
}

# A browser would end by itself once chromedriver has, on a busy machine late; what still runs makes its files anew.
tries=0
while [ "$tries" -lt 200 ]; do
    tries=$((tries + 1))
    pids=$(left)
    if [ -n "$pids" ]; then
        kill -KILL $pids 2>/dev/null
    else
        wait "$driver"
        rm -rf -- "$home" && break
    fi
    sleep 0.1
done
