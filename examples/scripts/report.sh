#!/bin/sh
# A job that cannot work until somebody does something about it.
echo "making the report of today"
if [ ! -r "$1" ]; then
    echo "ERROR cannot read the orders: no file $1" >&2
    exit 78
fi
echo "$(wc -l <"$1") orders"
