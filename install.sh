#!/bin/sh
# Installs skep: a Debian package where dpkg is, a tarball elsewhere, for the machine or for one user.
#
#   ./install.sh [--system | --user] [--from DIR | --url BASE] [--yes]
#   ./install.sh --uninstall [--purge]
#
# Nothing is used before its signature was checked. All of this is one function, called in the last line: a download that
# breaks off does nothing.

set -eu

main() {
    VERSION='@VERSION@'
    PUBLIC_KEY='@PUBLIC_KEY@'
    URL='@URL@'
    scope='' from='' root='' kind='' purge='' yes='' service=yes task=install

    # As it is in the repository, nothing was put in.
    case "$VERSION" in @*) VERSION='' ;; esac
    case "$PUBLIC_KEY" in @*) PUBLIC_KEY='' ;; esac
    case "$URL" in @*) URL='' ;; esac

    while [ $# -gt 0 ]; do
        case "$1" in
        --system) scope=system ;;
        --user) scope=user ;;
        --from) need_value "$@"; from=$2; shift ;;
        --url) need_value "$@"; URL=$2; shift ;;
        --key) need_value "$@"; PUBLIC_KEY=$2; shift ;;
        --root) need_value "$@"; root=$2; shift ;;
        --deb) kind=deb ;;
        --tarball) kind=tarball ;;
        --no-service) service=no ;;
        --uninstall) task=uninstall ;;
        --purge) purge=--purge ;;
        --yes | -y) yes=--yes ;;
        --help | -h) usage; return 0 ;;
        *) fail 2 "there is no option \`$1\`" "./install.sh --help lists them" ;;
        esac
        shift
    done

    look_around
    if [ "$task" = uninstall ]; then
        uninstall
        return 0
    fi
    [ -z "$purge" ] || fail 2 "\`--purge\` goes with \`--uninstall\`" ""

    work=$(mktemp -d "${TMPDIR:-/tmp}/skep-install.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP

    told "1/4" "looking for skep for $machine"
    fetch SHA256SUMS
    fetch SHA256SUMS.minisig
    told "2/4" "checking the signature"
    check_signature
    choose
    told "3/4" "fetching $file"
    fetch "$file"
    check_digest
    told "4/4" "installing $file for $whom"
    case "$file" in
    *.deb) install_deb ;;
    *) install_tarball ;;
    esac
}

usage() {
    cat <<'END'
Installs skep, or removes it.

  ./install.sh                   for the machine as root, for you otherwise
  ./install.sh --from DIR        from a folder with the files of a release; no network is used
  ./install.sh --uninstall       and keep models and settings; --purge removes them, too

Options:
  --system, --user   for the machine (as root), or for one user without root
  --from DIR         take everything from this folder
  --url BASE         fetch everything from below this address (https)
  --deb, --tarball   this kind, whatever else would be chosen
  --no-service       the program, its manual and completions alone
  --key KEY          the public key of whoever signed the release (minisign's, `RW...`)
  --root DIR         into the system below this folder
  --yes              ask nothing

Exit status: 0 done, 1 failed, 2 wrong usage, 3 not trusted: a signature or digest is missing or wrong
END
}

# === What is said ===

told() {
    printf '[%s] %s\n' "$1" "$2" >&2
}

note() {
    printf '      %s\n' "$1" >&2
}

# An exit status, what is wrong, what to do.
fail() {
    printf 'error: %s\n' "$2" >&2
    [ -z "$3" ] || printf '       %s\n' "$3" >&2
    exit "$1"
}

need_value() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then
        fail 2 "\`$1\` needs a value" "./install.sh --help"
    fi
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# === What is here ===

look_around() {
    system=$(uname -s)
    [ "$system" = Linux ] || fail 1 "skep runs on Linux; this is $system" "in a virtual machine or a container with Linux it runs here, too"
    case "$(uname -m)" in
    x86_64 | amd64) machine=x86_64 debian=amd64 ;;
    aarch64 | arm64) machine=aarch64 debian=arm64 ;;
    *) fail 1 "there is no skep for the processor $(uname -m)" "it can be built from its sources: cargo xtask build" ;;
    esac
    user=$(id -u)
    if [ -z "$scope" ]; then
        if [ "$user" = 0 ]; then scope=system; else scope=user; fi
    fi
    if [ "$scope" = system ]; then
        [ "$user" = 0 ] || fail 1 "installing for the machine needs root" "sudo $0 --system   (or \`--user\`, which does not)"
        prefix=/usr/local whom='this machine'
    else
        [ -n "${HOME:-}" ] || fail 1 "HOME is not set" "set it, or install with \`--system\`"
        prefix=$HOME/.local whom="$HOME"
        [ "$kind" != deb ] || fail 2 "a Debian package is for the machine" "leave \`--user\` or \`--deb\` out"
    fi
    if [ -n "$root" ]; then
        [ -d "$root" ] || fail 2 "\`--root $root\`: there is no such folder" ""
        root=$(cd "$root" && pwd)
        [ "$root" != / ] || root=''
    fi
    list=$root$prefix/share/skep/installed
}

# === Where files come from ===

fetch() {
    if [ -n "$from" ]; then
        [ -f "$from/$1" ] || fail 1 "there is no \`$1\` in $from" "copy the whole folder of the release"
        cp "$from/$1" "$work/$1"
        return
    fi
    [ -n "$URL" ] || fail 2 "it is not known where to fetch skep from" "name a folder with the release: --from DIR   (or an address: --url https://...)"
    case "$URL" in
    https://*) ;;
    *) fail 2 "\`$URL\` does not begin with https://" "" ;;
    esac
    # A file must not grow without end: a release has less than a gigabyte.
    if has curl; then
        bar=--silent
        [ ! -t 2 ] || bar=--progress-bar
        curl $bar --show-error --fail --location --proto '=https' --proto-redir '=https' --tlsv1.2 \
            --retry 3 --max-filesize 1000000000 --output "$work/$1" "$URL/$1" \
            || fail 1 "could not fetch $URL/$1" "check the network, or copy the release and use --from DIR"
    elif has wget; then
        wget -q --https-only -O "$work/$1" "$URL/$1" \
            || fail 1 "could not fetch $URL/$1" "check the network, or copy the release and use --from DIR"
    else
        fail 1 "neither curl nor wget is here" "install one, or copy the release and use --from DIR"
    fi
}

# === Whether they can be trusted ===

check_signature() {
    [ -n "$PUBLIC_KEY" ] || fail 3 "this script has no public key to check with" "give the key of whoever made the release: --key RW..."
    if has minisign; then
        minisign -V -q -P "$PUBLIC_KEY" -m "$work/SHA256SUMS" -x "$work/SHA256SUMS.minisig" >/dev/null 2>&1 || distrusted
        note "good, by minisign"
    elif has openssl && openssl pkeyutl -help 2>&1 | grep -q rawin; then
        check_with_openssl || distrusted
        note "good, by openssl"
    else
        fail 3 "neither minisign nor openssl 3 is here to check the signature with" "install one of them: apt-get install minisign, dnf install minisign, pacman -S minisign, apk add minisign"
    fi
}

distrusted() {
    fail 3 "the signature of SHA256SUMS is wrong: the files were changed, or another key signed them" "nothing was installed; fetch the release again from where you trust it"
}

# The same by hand (the formats are described in minisign's manual): Ed25519 over the file, or over its BLAKE2b digest.
check_with_openssl() (
    cd "$work"
    printf '%s' "$PUBLIC_KEY" | openssl base64 -d -A >key.raw 2>/dev/null || return 1
    sed -n 2p SHA256SUMS.minisig | tr -d '\r\n' | openssl base64 -d -A >signature.raw 2>/dev/null || return 1
    [ "$(wc -c <key.raw)" -eq 42 ] || return 1
    [ "$(wc -c <signature.raw)" -eq 74 ] || return 1
    # The key's number.
    head -c 10 key.raw | tail -c 8 >key.number
    head -c 10 signature.raw | tail -c 8 >signature.number
    cmp -s key.number signature.number || return 1
    case "$(head -c 2 signature.raw)" in
    ED) openssl dgst -blake2b512 -binary SHA256SUMS >signed || return 1 ;;
    Ed) cp SHA256SUMS signed ;;
    *) return 1 ;;
    esac
    # RFC 8410: what comes before the 32 bytes of a public key of Ed25519.
    { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; tail -c 32 key.raw; } >key.der
    tail -c 64 signature.raw >signature
    openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey key.der -in signed -sigfile signature >/dev/null 2>&1
)

check_digest() {
    wanted=$(awk -v file="$file" '$2 == file { print $1 }' "$work/SHA256SUMS")
    if has sha256sum; then
        found=$(sha256sum <"$work/$file")
    elif has openssl; then
        found=$(openssl dgst -sha256 -r <"$work/$file")
    else
        fail 3 "neither sha256sum nor openssl is here to check digests with" "install coreutils"
    fi
    if [ -z "$wanted" ] || [ "${found%% *}" != "$wanted" ]; then
        fail 3 "$file is not what was signed" "nothing was installed; fetch it again"
    fi
}

# === Which of them ===

choose() {
    if [ -z "$kind" ]; then
        kind=tarball
        if [ "$scope" = system ] && has dpkg && [ -e "$root/var/lib/dpkg/status" ]; then kind=deb; fi
    fi
    file=''
    if [ "$kind" = deb ]; then
        file=$(named "skep_" "_$debian.deb")
        [ -n "$file" ] || note "the release has no Debian package for $debian; taking the tarball"
    fi
    [ -n "$file" ] || file=$(named "skep-" "-$machine-linux.tar.gz")
    [ -n "$file" ] || file=$(named "skep-" "-$machine-linux-static.tar.gz")
    [ -n "$file" ] || fail 1 "the release has nothing for $machine" "it can be built from its sources: cargo xtask build"
}

# The signed file of this beginning and end, of our version where it is known.
named() {
    awk -v start="$1" -v end="$2" -v version="$VERSION" '
        $2 ~ /^[A-Za-z0-9._~+-]+$/ && index($2, start) == 1 && length($2) > length(start end) \
            && substr($2, length($2) - length(end) + 1) == end {
            of = substr($2, length(start) + 1, length($2) - length(start end))
            # A package has a number of its own behind that.
            sub(/-[0-9]+$/, "", of)
            if (version == "" || of == version) found = $2
        }
        END { print found }' "$work/SHA256SUMS"
}

# === Installing ===

install_deb() {
    if [ -n "$root" ]; then
        dpkg --root="$root" --install "$work/$file" >&2
    elif has apt-get; then
        # It may be read by another user there.
        chmod 0755 "$work"
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --allow-downgrades "$work/$file" >&2
    else
        dpkg --install "$work/$file" >&2
    fi
    note "\`systemctl status skep\` shows the service"
    next skep
}

install_tarball() {
    tar -xzf "$work/$file" -C "$work"
    tree=$work/${file%.tar.gz}
    enough_libc
    : >"$work/installed"
    # What an earlier version left is removed with this one.
    [ ! -f "$list" ] || cat "$list" >"$work/installed"
    (cd "$tree" && find bin share -type f | sort) >"$work/paths"
    while read -r path; do
        case "$path" in bin/*) mode=0755 ;; *) mode=0644 ;; esac
        place "$tree/$path" "$prefix/$path" "$mode"
    done <"$work/paths"
    printf 'f %s\n' "$prefix/share/skep/installed" >>"$work/installed"
    sort -u "$work/installed" >"$work/installed.sorted"
    cp "$work/installed.sorted" "$list"
    program=$root$prefix/bin/skep
    if [ "$service" = yes ]; then
        if [ "$scope" = user ]; then set -- --user; else set -- ; fi
        [ -z "$root" ] || set -- "$@" --root "$root"
        [ -z "$yes" ] || set -- "$@" --yes
        "$program" install "$@" || fail 1 "skep is in $prefix/bin; its service could not be set up" "\`$prefix/bin/skep install --dry-run\` shows what would be done"
    fi
    case ":$PATH:" in
    *":$prefix/bin:"*) next skep ;;
    *)
        note "$prefix/bin is not in PATH: add it, or call $prefix/bin/skep"
        next "$prefix/bin/skep"
        ;;
    esac
}

# A file of ours: there whole or not at all, and in the list with each folder that was made for it.
place() {
    folder=$(dirname "$2")
    missing=$folder
    while [ ! -d "$root$missing" ]; do
        printf 'd %s\n' "$missing" >>"$work/installed"
        missing=$(dirname "$missing")
    done
    mkdir -p "$root$folder"
    cp "$1" "$root$2.new"
    chmod "$3" "$root$2.new"
    mv -f "$root$2.new" "$root$2"
    printf 'f %s\n' "$2" >>"$work/installed"
}

# Says before anything is copied that the program would not start.
enough_libc() {
    read -r libc wanted <"$tree/share/skep/needs" || true
    [ "$libc" = glibc ] && [ -z "$root" ] || return 0
    found=$(getconf GNU_LIBC_VERSION 2>/dev/null | awk '{ print $2 }')
    if [ -z "$found" ] || ! printf '%s\n%s\n' "$wanted" "$found" | sort -V -C; then
        static=$(named "skep-" "-$machine-linux-static.tar.gz")
        [ -z "$static" ] && fail 1 "skep needs glibc $wanted; here is ${found:-another C library}" "use a newer distribution, or run skep in a container"
        note "here is ${found:-another C library} in place of glibc $wanted: taking the static program, which uses no cards"
        file=$static
        fetch "$file"
        check_digest
        tar -xzf "$work/$file" -C "$work"
        tree=$work/${file%.tar.gz}
    fi
}

next() {
    told "done" "skep is installed"
    note "$1 doctor      what is well and what is not"
    note "$1 run tiny    asks the small model that comes with it"
}

# === Removing ===

uninstall() {
    if [ "$scope" = system ] && has dpkg-query \
        && dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Status}' skep 2>/dev/null | grep -q -e ' installed' -e config-files; then
        told "1/1" "removing the Debian package"
        set -- --remove
        [ -z "$purge" ] || set -- --purge
        [ -z "$root" ] || set -- --root="$root" "$@"
        dpkg "$@" skep >&2
        told "done" "skep is removed"
        return 0
    fi
    [ -f "$list" ] || fail 1 "skep was not installed for $whom by this script" "\`--user\` and \`--system\` say which is meant"
    if [ "$service" = yes ]; then
        told "1/2" "removing the service"
        set --
        [ "$scope" != user ] || set -- "$@" --user
        [ -z "$root" ] || set -- "$@" --root "$root"
        [ -z "$yes" ] || set -- "$@" --yes
        [ -z "$purge" ] || set -- "$@" "$purge"
        "$root$prefix/bin/skep" uninstall "$@" || fail 1 "the service could not be removed; the program was left for another try" ""
    fi
    told "2/2" "removing the program"
    # In reverse, so that folders come after what is in them. Only what is below the prefix, whatever the list says.
    sort -r "$list" | while read -r what path; do
        case "$path" in
        */../* | */..) continue ;;
        "$prefix"/*) ;;
        *) [ "$what" = d ] || continue ;;
        esac
        case "$what" in
        f) rm -f "$root$path" ;;
        d) rmdir "$root$path" 2>/dev/null || true ;;
        esac
    done
    told "done" "skep is removed"
    [ -n "$purge" ] || note "models, state and settings were kept; \`--uninstall --purge\` removes them, too"
}

main "$@"
