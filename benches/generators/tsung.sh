#!/bin/sh
# Starts tsung with tsung.xml, whose places it fills from the environment that the comparison sets (see
# src/main.rs). What tsung writes stays in the current folder, and no process of its own outlives it.
set -eu
here=$(dirname "$0")
folder=$(pwd)

# A line of the people to one of the three values that tsung reads.
sed -E 's/^\{"user":([0-9]+),"token":"([^"]*)","conversation":([0-9]+)\}$/\1;\3;\2/' "$PEOPLE" > people.csv
think="$((THINK_MS / 1000)).$(printf %03d "$((THINK_MS % 1000))")"
sed -e "s|@HOST@|${GATEWAY%:*}|; s|@PORT@|${GATEWAY##*:}|; s|@SECONDS@|$SECONDS|; s|@USERS@|$USERS|" \
  -e "s|@ARRIVE_PER_SECOND@|$ARRIVE_PER_SECOND|; s|@PEOPLE@|$folder/people.csv|; s|@THINK@|$think|" \
  "$here/tsung.xml" > tsung.xml

# Threads of Erlang that have nothing to do turn round for a while, which would count as the cost of messages.
idle="+sbwt none +sbwtdcpu none +sbwtdio none"
# Erlang leaves a port mapper behind, and its nodes listen on all addresses: so it gets a mapper of its own, on
# a port beside the cluster's, and both stay on this machine.
export HOME="$folder" ERL_EPMD_PORT="$((${GATEWAY##*:} + 10))" ERL_EPMD_ADDRESS=127.0.0.1
export ERL_AFLAGS="-kernel inet_dist_use_interface {127,0,0,1} $idle"
epmd &
mapper=$!
trap 'kill "$mapper"; wait "$mapper" 2> /dev/null || true' EXIT
until epmd -names > /dev/null 2>&1; do sleep 0.1; done
tsung -n -f tsung.xml -l log start < /dev/null
