#!/bin/sh
# A daemon: says something every second, until it is told to stop.
trap 'echo "told to stop, stopping"; exit 0' TERM
n=0
while :; do
    n=$((n + 1))
    echo "tick $n"
    sleep 1
done
