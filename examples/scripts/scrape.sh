#!/bin/sh
# A scraper whose shop answers "HTTP 429" when it is asked more than 25 questions a second.
# Usage: scrape.sh --site HOST --qpi NUMBER
site= qpi=
while [ $# -gt 0 ]; do
    case $1 in
        --site) site=$2 ;;
        --qpi) qpi=$2 ;;
        *) echo "scrape: unknown option $1" >&2; exit 64 ;;
    esac
    shift 2
done
echo "asking $site, $qpi questions per interval"
for page in 1 2 3; do
    sleep 0.3
    if [ "$qpi" -gt 25 ]; then
        echo "ERROR $site answered HTTP 429 to page $page" >&2
        exit 1
    fi
    echo "page $page: $((page * 7)) offers"
done
echo "done"
