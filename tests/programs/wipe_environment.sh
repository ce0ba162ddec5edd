#!/bin/sh
# Leaves everything that could tell whose it is: environment, session, parent, outputs. Its mark is an argument.
echo up
(setsid env -i /bin/sh -c 'trap "" TERM HUP INT; exec </dev/null >/dev/null 2>&1; while :; do /bin/sleep 1000; done' "$1" &)
exec env -i /bin/sh -c 'trap "" TERM; /bin/sleep 1000; /bin/sleep 1000' "$1"
