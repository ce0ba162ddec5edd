#!/bin/sh
# A converter that says how far it is. A file with "damaged" in its name breaks off at its third page.
# Usage: convert.sh [--] FILE PAGES
[ "$1" != -- ] || shift
file=$1 pages=$2 page=1
echo "converting $file, $pages pages"
while [ "$page" -le "$pages" ]; do
    sleep 0.1
    case $file in
        *damaged*)
            if [ "$page" -ge 3 ]; then
                echo "ERROR page $page of $file is damaged" >&2
                exit 1
            fi
            ;;
    esac
    echo "page $page of $pages, $((page * 100 / pages))%"
    page=$((page + 1))
done
echo "wrote $file.txt"
