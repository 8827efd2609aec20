#!/bin/sh
# Installs the browser that the live page is tested in: Debian's Chromium. Does nothing when it is there.
set -eu
if [ -x /usr/bin/chromium ]; then
    exit 0
fi
echo "installing chromium for the browser tests"
if [ "$(id -u)" -eq 0 ]; then as_root=""; else as_root="sudo"; fi
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium
