#!/bin/sh
# Run until SIGTERM, then take SECONDS to finish: steady.sh SECONDS
finish() {
    echo "finishing, for $1 s"
    sleep "$1"
    exit 0
}
trap 'finish "$1"' TERM
echo "at work"
while :; do
    sleep 1000 &
    wait $!
done
