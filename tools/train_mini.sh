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
#     ABLATION=1       from the video stage on, not the model but FPDM's rows B3 to B6 without and with cross-view
#                      attention, and their tables: RUNS/ablation/*.md (see benchmarks/ablation.py)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/mini} data=${2:-data/synthetic/train}
minutes=${MINUTES:-0} processes=${PROCESSES:-1}
signgen=(python -m signgen)
begun=$SECONDS
mkdir -p "$runs"

finished() { [ -f "$runs/$1/finished" ]; }

# train STAGE[=PRESET] ARGUMENTS...: one stage to its end, or until the time is up, which ends this script.
train() {
    local stage=${1%=*} preset=mini/${1#*=} left=0
    local output=$runs/$stage
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
    mkdir -p "$(dirname "$output")"
    # shellcheck disable=SC2086
    "${launch[@]}" -m signgen train "$preset" --set "data=$data" --set "output=$output" --set "minutes=$left" \
        "${resume[@]}" "$@" ${ARGUMENTS:-} --json | tee "$output.json"
    if python -c "import json, sys; sys.exit(not json.load(open('$output.json'))['finished'])"; then
        touch "$output/finished"
    else
        exit 0 # its time is up; the next call goes on
    fi
}

# variant NAME ARGUMENTS...: one row of the ablation with cross-view attention, and one without.
variant() {
    local name=$1 made
    shift
    for made in "$name-cva" "$name"; do
        local cva=()
        [ "$made" = "$name-cva" ] || cva=(--set "model.cross_view={levels: [], mid: false}")
        train "ablation/$made=ablation/variant" "$@" "${cva[@]}"
        [ -f "$runs/ablation/models/$made/model_index.json" ] || ! finished "ablation/$made" ||
            "${signgen[@]}" assemble "$runs/ablation/models/$made" "$runs/ablation/$made"
    done
}

# table BENCHMARK ARGUMENTS...: what it prints, to RUNS/ablation/BENCHMARK.md, once.
table() {
    local made=$runs/ablation/$1.md
    [ -f "$made" ] && return
    python "benchmarks/$1.py" "${@:2}" >"$made.part"
    mv "$made.part" "$made"
}

ablation() {
    local own=$runs/ablation name models=()
    local start=(--set "start.autoencoder=$runs/autoencoder/model/vae" --set "start.denoiser=$own/base/model/denoiser")
    train ablation/base "${parts[@]}" --set "start.denoiser=$runs/video/model/denoiser"
    for name in source baseline enhanced; do train "ablation/$name"; done
    variant b3 "${start[@]}" --set "start.fusion=$own/enhanced/model/fusion" --set model.fusion_dim=null
    variant b4 "${start[@]}" --set "start.fusion=$own/source/model/fusion"
    variant b5 "${start[@]}" --set "start.fusion=$own/baseline/model/fusion"
    variant b6 "${start[@]}" --set "start.fusion=$own/enhanced/model/fusion"
    [ -z "${STAGES:-}" ] || return 0
    table retrieval "A1 source alone=$own/source/model/fusion" "A2 baseline InfoNCE=$own/baseline/model/fusion" \
        "A3 source-enhanced=$own/enhanced/model/fusion"
    table ablation "$own"/models/* --steps 1 --json "$own/ablation.json"
    for name in b{6,5,4,3}{-cva,}; do models+=("$name=$own/models/$name"); done
    table source_spread "${models[@]}" --steps 1 --renders "$own/renders" --sheet "$own/source_spread.png"
    echo "the tables are in $own: ablation.md, retrieval.md, source_spread.md"
}

"${signgen[@]}" synthesize "$data" --clips "${CLIPS:-640}" --signers "${SIGNERS:-80}" --seed 1 --jobs "$(nproc)" \
    --content-version "${CONTENT:-5}" # mattes, which the composer learns from, came with 5
train autoencoder
train fusion
parts=(--set "start.autoencoder=$runs/autoencoder/model/vae" --set "start.fusion=$runs/fusion/model/fusion")
train denoiser "${parts[@]}"
train video "${parts[@]}" --set "start.denoiser=$runs/denoiser/model/denoiser"
if [ -n "${ABLATION:-}" ]; then
    ablation
    exit 0
fi
train distill "${parts[@]}" --set "start.denoiser=$runs/video/model/denoiser"
[ -z "${STAGES:-}" ] || [[ "$STAGES" == *refiner* || "$STAGES" == *compos* || "$STAGES" == *matte* ]] || exit 0
coarse=$runs/coarse
[ -f "$coarse/model_index.json" ] ||
    "${signgen[@]}" assemble "$coarse" "$runs"/{autoencoder,fusion,distill} --window 16 --overlap 1
train matte
train composer --set "start.model=$coarse"
composed=$runs/composed
[ -f "$composed/model_index.json" ] || "${signgen[@]}" assemble "$composed" "$coarse" "$runs"/{matte,composer}
train hand_refiner --set "start.model=$composed"
train face_refiner --set "start.model=$composed"
"${signgen[@]}" assemble "$runs/model" "$composed" "$runs"/{hand_refiner,face_refiner} --limit 40
echo "the model is in $runs/model; compare it with the one that ships: python benchmarks/held_out.py --model $runs/model"
