# Sourced by demo, test, check and bench: makes .venv and installs the package into it, once.
# Usage: . scripts/setup.sh [extra]      (extra: "demo" or "dev")

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11, 3.12 or 3.13 is needed, but none was found. Set PYTHON=/path/to/python3." >&2
    return 1
}

as_root() { # installs Debian packages where that is possible without a question
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

make_venv() {
    local python="$1"
    "$python" -m venv "$venv" 2>/dev/null && return
    rm -rf "$venv"
    local package
    package="$("$python" -c 'import sys; print(f"python3.{sys.version_info[1]}-venv")')"
    echo "Python's venv module is missing; installing Debian's $package ..." >&2
    if ! { as_root apt-get update -q && as_root apt-get install -y -q "$package"; } >&2; then
        echo "Could not install it. Run: sudo apt-get install $package" >&2
        return 1
    fi
    "$python" -m venv "$venv"
}

find_browser() { # the page's tests look at it with the real Chromium; without it they are skipped
    local name
    for name in ${CHROMIUM:-} chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null && return
    done
    echo "Installing Debian's chromium for the tests of the page ..." >&2
    if ! { as_root apt-get update -q && as_root apt-get install -y -q chromium; } >&2; then
        echo "Could not install it, so those tests are skipped. Run: sudo apt-get install chromium" >&2
    fi
}

setup() {
    local extra="$1" python want stamp="$venv/.installed-$1"
    want="$(cat "$root/pyproject.toml" "$root/constraints.txt" "$root/scripts/setup.sh" | sha256sum) $root"
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && return
    python="$(find_python)" || return 1
    [ -x "$venv/bin/python" ] || make_venv "$python" || return 1
    echo "Installing into $venv (once; a few minutes) ..." >&2
    local pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/constraints.txt")
    # torch first and alone: every other package then finds it there and asks for no other build
    "${pip[@]}" torch || return 1
    "${pip[@]}" -e "$root[$extra]" || return 1
    if [ "$extra" = dev ]; then
        # test oracles; without dependencies, since torchvision has no CPU build to ask for
        "${pip[@]}" --no-deps torchvision timm || return 1
        find_browser
    fi
    echo "$want" >"$stamp"
}

setup "${1:-onnx}" || exit 1
export PATH="$venv/bin:$PATH"
