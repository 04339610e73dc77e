#!/bin/sh
# Start three children that double-fork and call setsid(2), and one that does neither; then wait.
for _ in 1 2 3; do
    (setsid sleep 1000 </dev/null >/dev/null 2>&1 &)
done
echo "three children ran away"
sleep 1000 &
wait
