# Mild traffic for the demo of compose.yaml, by busybox's sh and wget: lists in every order, searches, and each record in
# each of its forms, a few reads a second, over and over. With an argument it stops after so many rounds.
set -u
proxy=${PROXY:-http://flipgate:8080}
rounds=${1:-0}
pause=${PAUSE:-1}
sent=0

read_one() {
    # What is answered is flipgate's to judge; 404 is an answer, too.
    wget -q -O /dev/null "$proxy$1" 2>/dev/null
    sent=$((sent + 1))
    [ $((sent % 5)) -ne 0 ] || sleep "$pause"
}

# The video ids of all records, one a line.
videos() {
    for page in 1 2 3 4 5; do
        wget -q -O - "$proxy/api/reports?size=50&page=$page" 2>/dev/null
    done | tr ',{}' '\n\n\n' | sed -n 's/^ *"video_id": *"\([A-Za-z0-9_-]*\)".*/\1/p' | sort -u
}

round=0
while :; do
    read_one /
    read_one /api/filters
    for sort in added_desc added_asc newest oldest title_az title_za duration_desc duration_asc; do
        for size in 7 12 20 50; do
            for page in 1 2 3; do
                read_one "/api/reports?sort=$sort&size=$size&page=$page"
            done
        done
        read_one /api/filters
    done
    for words in a the ai of sky water history; do
        read_one "/api/reports?q=$words"
    done
    for video in $(videos); do
        read_one "/api/reports/$video"
        read_one "/$video.json"
        read_one "/$video.html"
    done
    round=$((round + 1))
    [ "$round" -ne "$rounds" ] || break
done
