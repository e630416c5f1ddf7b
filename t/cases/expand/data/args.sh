#!/bin/sh
for a in "$@"; do printf "<%s>" "$a"; done
