#!/bin/sh
# Forks for ever, within bounds: a tree of some hundred processes, each of which starts a new one when its child ends.
depth=${1:-0}
trap '' TERM
if [ "$depth" -lt 4 ]; then
    for _ in 1 2 3 4; do
        sh "$0" $((depth + 1)) &
    done
else
    echo leaf
fi
while :; do
    sleep 1000
done
