#!/usr/bin/env bash
# Trains `mini` from nothing: draws the data set, goes through the stages one after the other, and puts the model together.
#
#     tools/train_mini.sh [RUNS] [DATA]            # folders; runs/mini and data/synthetic/train
#
# It may be stopped at any time (Ctrl-C, kill, a machine that goes off) and started again: what is drawn stays, a stage
# goes on from its last checkpoint, which is a few minutes old at most, and finished stages are passed over. Each stage
# logs to RUNS/<stage>/log.jsonl and run.log and draws contact sheets. Environment:
#
#     MINUTES=10       stop each call after so many minutes (0: never): for machines that are lent in pieces
#     PROCESSES=2      processes of a stage; with one thread each they are faster on CPUs than one with two threads
#     STAGES="..."     only these
#     ARGUMENTS="..."  more for every stage, such as "--set precision=bf16"
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/mini} data=${2:-data/synthetic/train}
minutes=${MINUTES:-0} processes=${PROCESSES:-1}
signgen=(python -m signgen)
begun=$SECONDS

finished() { [ -f "$runs/$1/finished" ]; }

# train STAGE ARGUMENTS...: one stage to its end, or until the time is up, which ends this script.
train() {
    local stage=$1 output=$runs/$1 left=0
    shift
    finished "$stage" && return
    [ -z "${STAGES:-}" ] || [[ " $STAGES " == *" $stage "* ]] || return 0
    if [ "$minutes" != 0 ]; then
        left=$(python -c "print(max($minutes - ($SECONDS - $begun) / 60, 0))")
        [ "$left" != 0 ] || exit 0
    fi
    local resume=() launch=(python)
    [ -d "$output/checkpoints" ] && resume=(--resume)
    [ "$processes" = 1 ] || launch=(torchrun --standalone --nproc-per-node "$processes")
    # shellcheck disable=SC2086
    "${launch[@]}" -m signgen train "mini/$stage" --set "data=$data" --set "output=$output" --set "minutes=$left" \
        "${resume[@]}" "$@" ${ARGUMENTS:-} --json | tee "$output.json"
    if python -c "import json, sys; sys.exit(not json.load(open('$output.json'))['finished'])"; then
        touch "$output/finished"
    else
        exit 0 # its time is up; the next call goes on
    fi
}

"${signgen[@]}" synthesize "$data" --clips "${CLIPS:-640}" --signers "${SIGNERS:-80}" --seed 1 --jobs "$(nproc)"
train autoencoder
train fusion
parts=(--set "start.autoencoder=$runs/autoencoder/model/vae" --set "start.fusion=$runs/fusion/model/fusion")
train denoiser "${parts[@]}"
train video "${parts[@]}" --set "start.denoiser=$runs/denoiser/model/denoiser"
train distill "${parts[@]}" --set "start.denoiser=$runs/video/model/denoiser"
coarse=$runs/coarse
[ -f "$coarse/model_index.json" ] ||
    "${signgen[@]}" assemble "$coarse" "$runs"/{autoencoder,fusion,distill} --window 16 --overlap 1
train hand_refiner --set "start.model=$coarse"
train face_refiner --set "start.model=$coarse"
"${signgen[@]}" assemble "$runs/model" "$coarse" "$runs"/{hand_refiner,face_refiner} --limit 36
echo "the model is in $runs/model; compare it with the one that ships: python benchmarks/held_out.py --model $runs/model"
