#!/usr/bin/env bash
# What a machine with a GPU tells about this package, in under five minutes: device tests, kernels,
# attacks, training, and a short federation that is attacked and defended.
#
#   benchmarks/gpu.sh OUT [WHEELS] [--dry]
#
# OUT     folder for gpu.jsonl, one line a result; each is also printed
# WHEELS  folder of wheels that the machine lacks; they are installed into a folder that goes again
# --dry   small sizes without a GPU: tries the script itself
#
# PYTHON is the interpreter (python3), PDRR_COMMIT the commit where there is no git.
set -euo pipefail

out="" wheels="" dry=()
for word in "$@"; do
  case "$word" in
    --dry) dry=(--dry) ;;
    -*) echo "gpu.sh: no option $word; usage: benchmarks/gpu.sh OUT [WHEELS] [--dry]" >&2; exit 2 ;;
    *) if [ -z "$out" ]; then out="$word"; else wheels="$word"; fi ;;
  esac
done
if [ -z "$out" ]; then
  echo "gpu.sh: needs a folder for the results; usage: benchmarks/gpu.sh OUT [WHEELS] [--dry]" >&2
  exit 2
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
python=${PYTHON:-python3}

if [ -n "$wheels" ]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl
  export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi

cd "$(dirname "$0")/.."
export KERAS_BACKEND=jax
"$python" -m benchmarks.gpu "$out" "${dry[@]+"${dry[@]}"}"
