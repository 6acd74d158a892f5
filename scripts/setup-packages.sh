# Part of setup.sh, which offers say and fail: which distribution packages are missing, and their installation.

# packages_here LIST...: the lines of the lists that hold for this release, without their conditions.
packages_here() {
  release=$([ ! -r "$os_release" ] || . "$os_release"; echo "${ID-}-${VERSION_ID-}")
  sed '/^#/d; /^ *$/d' "$@" | sed "/^[^ ]* \[\([^]]* \)\{0,1\}!${release}[] ]/d; s/^\([^ ]*\) \[[^]]*\]/\1/"
}
os_release=/etc/os-release

# missing_packages LIST...: Debian's names, one a line; of alternatives the first.
missing_packages() {
  if ! command -v dpkg-query >/dev/null; then
    missing_programs
    return
  fi
  installed="
$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^.i. *//p')
"
  packages_here "$@" | while read -r names _; do
    found=no
    for name in $(echo "$names" | tr '|' ' '); do
      case $installed in *"
$name
"*) found=yes ;; esac
    done
    [ "$found" = yes ] || echo "${names%%|*}"
  done
}

# Without dpkg: by the programs and files they bring.
missing_programs() {
  sed '/^#/d' scripts/packages-other.txt | while read -r package shown_by others; do
    case $shown_by in
      /*) [ -e "$shown_by" ] || echo "$package" ;;
      *) command -v "$shown_by" >/dev/null || echo "$package" ;;
    esac
  done
}

# package_reason PACKAGE LIST...
package_reason() {
  name=$1
  shift
  packages_here "$@" | sed -n "s/^$name\(|[^ ]*\)\{0,1\}  *//p" | head -n 1
}

# say_packages TITLE PACKAGES LIST...: each with its reason.
say_packages() {
  title=$1 named=$2
  shift 2
  say "$title"
  for package in $named; do
    say "  $package: $(package_reason "$package" "$@")"
  done
}

# install_packages PACKAGES LIST...: says what and why, then installs; ends the script when it cannot.
install_packages() {
  packages=$(echo $1)
  shift
  say_packages "missing packages:" "$packages" "$@"
  if ! command -v apt-get >/dev/null; then
    say "install them with your distribution's tools:"
    for package in $packages; do
      sed -n "s/^$package  [^ ]*  \([^ ]*\)  \([^ ]*\)$/set-up:   $package: in Fedora \1, in Arch Linux \2/p" scripts/packages-other.txt
    done
    fail "this is neither Debian nor Ubuntu: run set-up again when they are installed"
  fi
  [ "$(id -u)" = 0 ] || fail "run this as root once, or install them: apt-get install --no-install-recommends $packages"
  hold_services
  if ! known_to_apt $packages || ! apt_install $packages; then
    say "reading the package lists"
    apt-get update -qq </dev/null || fail "apt-get update failed; is there a network?"
    apt_install $packages || { tail -n 20 "$apt_log" >&2; fail "the packages could not be installed; see above"; }
  fi
  release_services
}

known_to_apt() {
  for package in "$@"; do
    apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || return 1
  done
}

apt_log=build/apt.log

# Never removes a package of this machine, asks nothing, and shows how far it is.
apt_install() {
  mkdir -p build
  { DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends --no-remove \
      -o Dpkg::Options::=--force-confold "$@" </dev/null 2>&1 || echo "apt-get failed"; } |
    tee "$apt_log" | show_steps
  ! grep -q '^apt-get failed$' "$apt_log"
}

# Counts packages: at a terminal in place, else a line for every 25.
show_steps() {
  terminal=no
  if [ -t 1 ]; then terminal=yes; fi
  awk -v terminal="$terminal" '
    function step(word, done) {
      if (terminal == "yes") printf "\rset-up:   %s %d of %d: %-40.40s", word, done, total, name
      else if (done % 25 == 0 || done == total) printf "set-up:   %s %d of %d\n", word, done, total
      if (terminal == "yes" && done == total) print ""
      fflush()
    }
    /newly installed/ { for (i = 1; i < NF; i++) if ($(i + 1) == "newly") total += $i; total += $1 }
    /^Need to get/ { sub(/ of archives.*/, ""); sub(/^Need to get /, ""); print "set-up:   " $0 " to download"; fflush() }
    /^Get:/ { name = $5; step("downloaded", ++got) }
    /^Setting up/ { name = $3; step("installed", ++ready) }
  '
}

# While packages are installed, invoke-rc.d starts nothing if this file says 101.
policy=/usr/sbin/policy-rc.d
policy_mark='# Put here by the set-up of Berth while it installs packages.'
hold_services() {
  if [ -e "$policy" ] && ! grep -qF "$policy_mark" "$policy"; then return; fi
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" > "$policy"
  chmod 755 "$policy"
}

# What was installed shall not start at the next boot either: Berth starts what it needs.
release_services() {
  command -v systemctl >/dev/null || return 0
  for package in $(sed -n 's/^Setting up \([^ :]*\).*/\1/p' "$apt_log"); do
    for unit in $(dpkg -L "$package" 2>/dev/null | sed -n 's#.*/systemd/system/\([^/@]*\.\(service\|socket\|timer\)\)$#\1#p'); do
      systemctl --quiet disable "$unit" >/dev/null 2>&1 || true
    done
  done
}
