#!/bin/sh
# A scraper whose shop answers "HTTP 429" when it is asked more than 25 questions a second.
# Usage: scrape.sh --site HOST --qpi NUMBER [--since DATE] [--quiet] [--tag NAME]...
site= qpi= since= tags= quiet=
while [ $# -gt 0 ]; do
    case $1 in
        --site) site=$2 ;;
        --qpi) qpi=$2 ;;
        --since) since=" since $2" ;;
        --tag) tags="$tags $2" ;;
        --quiet) quiet=yes; shift; continue ;;
        *) echo "scrape: unknown option $1" >&2; exit 64 ;;
    esac
    shift 2
done
[ -n "$quiet" ] || echo "asking $site$since, $qpi questions per interval${tags:+, for$tags}"
for page in 1 2 3; do
    sleep 0.3
    if [ "$qpi" -gt 25 ]; then
        echo "ERROR $site answered HTTP 429 to page $page" >&2
        exit 1
    fi
    echo "page $page: $((page * 7)) offers"
done
echo "done"
