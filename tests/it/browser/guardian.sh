# Runs chromedriver until standard input ends, which it does however the tests end; then ends it and its browsers and
# deletes all they wrote. What chromedriver says, its port among it, goes to standard output.

command -v chromedriver >/dev/null || exit 1
home=$(mktemp -d "${TMPDIR:-/tmp}/flipgate-browser.XXXXXX") || exit 1

# Whatever a browser keeps, its profile above all, lands there.
export HOME="$home" TMPDIR="$home" XDG_CONFIG_HOME="$home/config" XDG_CACHE_HOME="$home/cache"
# A group of its own, so that all of it can be ended at once.
setsid chromedriver --port=0 --log-level=SEVERE </dev/null 2>/dev/null &
driver=$!
# Our end is the end of standard input, not a signal meant for the tests.
trap '' HUP INT TERM
# Whoever reads shall see the end of chromedriver, not ours.
exec >/dev/null

read -r _

# Browsers hang on a pipe of it (--remote-debugging-pipe) and would end with it, on a busy machine late.
kill -KILL -- "-$driver" 2>/dev/null || kill -KILL "$driver"
wait "$driver"
# One that is just ending may still write.
tries=0
while [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    rm -rf -- "$home" && break
    sleep 0.2
done
