#!/bin/sh
# Fetches what the page needs from others into monitor/static/vendor, at the versions below, and writes SHA256SUMS.
# Run it by hand to take a newer version, look at the difference, commit. Nothing runs it at build or test time: the
# files are in the repository, and tests/monitor/test_vendored_files.py holds them to SHA256SUMS.
# Needs npm (as a client of the registry only: no package's scripts are run).
set -eu
cd "$(dirname "$0")/static/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() { # package version sha256-of-tarball folder file...
    package=$1 version=$2 sha256=$3 folder=$4
    shift 4
    tarball=$(cd "$work" && npm pack --silent "$package@$version")
    echo "$sha256  $work/$tarball" | sha256sum --check --quiet
    rm -rf "$work/package" "$folder"
    tar -xzf "$work/$tarball" -C "$work"
    mkdir -p "$folder"
    for file in "$@"; do
        install -m 644 "$work/package/$file" "$folder/"
    done
    echo "$package $version, fetched unchanged from the npm package, SHA-256 of the tarball $sha256" >"$folder/ORIGIN"
}

fetch uplot 1.6.32 4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d \
    uplot dist/uPlot.esm.js dist/uPlot.min.css LICENSE
fetch @fontsource-variable/inter 5.3.0 d26710dd38e7217484a1d47ee76c024977ec550548876f26d06ed1844af09a14 \
    inter files/inter-latin-wght-normal.woff2 LICENSE

find . -mindepth 2 -type f | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
cat SHA256SUMS
