#!/bin/sh
# The long forms of the tests: more cases than CI has time for. Each part can be run alone.
#
#   tests/long.sh [properties] [judging] [causes] [waves] [truth] [simulation] [rotations] [kills] [cuts] [full] [soak] [load] [fuzz]
#
# properties: every property test of the reading stages with SUPWATCH_LONG_CASES cases (1,000,000).
# judging:    that the verdicts kept are those of a replay, with SUPWATCH_CASES random sequences (50,000).
# causes:     that a changed text keeps its cause, with SUPWATCH_LONG_CASES cases (1,000,000).
# waves:      that waves are what was, with SUPWATCH_CASES made-up truths (50,000).
# truth:      SUPWATCH_TRUTH_COUNT (100,000) made-up hierarchies, healthy or with one fault, are told as they are.
# simulation: delivery under faults on a simulated network, with SUPWATCH_SEEDS seeds (1,000).
# rotations:  SUPWATCH_ROTATIONS (2,000) rotations of every kind against a model, of the seed SUPWATCH_SEED (2026).
# kills:      SIGKILL at random moments, SUPWATCH_KILLS times (150) for the agent, the collector, and a third of it for both.
# cuts:       power cuts on a disk of their own, SUPWATCH_POWER_CUTS (60) for the spool and for the store; needs root. And
#             SUPWATCH_CUT_STATES (5,000) states that a cut may leave, computed from what a writer does.
# full:       the disk of the spool and of the store is filled and freed SUPWATCH_DISK_FULL times (10); needs root.
# soak:       fifty agents in one process for SUPWATCH_SOAK_SECONDS (900), with rotations and links that break.
# load:       SUPWATCH_LOAD_AGENTS (1,000) come back at once; one has SUPWATCH_BACKLOG_MIB (1,024) beside quiet ones.
# fuzz:       every fuzz target for SUPWATCH_FUZZ_SECONDS (180), two at a time; needs `cargo install cargo-fuzz` and a
#             nightly compiler. What it finds is left in agent/reading/fuzz/artifacts; inputs worth keeping go into agent/reading/fuzz/corpus.
set -eu
cd "$(dirname "$0")/.."

properties() {
    cases=${SUPWATCH_LONG_CASES:-1000000}
    echo "property tests of the reading stages, $cases cases each"
    PROPTEST_CASES=$cases cargo test --release --locked -p supwatch-reading --lib -- --test-threads 2 \
        lines::tests::any_split parse::tests::parsing_never reader::tests::any_split
    PROPTEST_CASES=$cases cargo test --release --locked -p supwatch-reading --test round_trip
}

judging() {
    cases=${SUPWATCH_CASES:-50000}
    echo "verdicts kept against a replay, $cases sequences"
    SUPWATCH_CASES=$cases cargo test --release --locked -p supwatch-judgement --lib judge::properties
}

causes() {
    cases=${SUPWATCH_LONG_CASES:-1000000}
    echo "changed texts keep their cause, $cases cases"
    PROPTEST_CASES=$cases cargo test --release --locked -p supwatch-judgement --lib diagnosis::tests::a_changed
}

waves() {
    cases=${SUPWATCH_CASES:-50000}
    echo "waves against made-up truths, $cases cases"
    SUPWATCH_CASES=$cases PROPTEST_CASES=$cases cargo test --release --locked -p supwatch-judgement -p supwatch --lib -- waves:: otlp::spans
}

truth() {
    count=${SUPWATCH_TRUTH_COUNT:-100000}
    echo "true hierarchies, $count of them"
    # Small files by the hundred thousand: in memory where there is room, it takes half as long.
    [ -w /dev/shm ] && export TMPDIR=/dev/shm
    SUPWATCH_TRUTH_COUNT=$count cargo test --release --locked -p supwatch-tests --test truth -- --nocapture
}

simulation() {
    echo "simulated delivery"
    SUPWATCH_SEEDS=${SUPWATCH_SEEDS:-1000} cargo test --release --locked -p supwatch-tests --test simulation whatever -- --nocapture
    SUPWATCH_JUDGED=${SUPWATCH_JUDGED:-1000} cargo test --release --locked -p supwatch-tests --test simulation no_finding
    SUPWATCH_TWICE=${SUPWATCH_TWICE:-20} cargo test --release --locked -p supwatch-tests --test simulation same
}

rotations() {
    echo "rotations against a model"
    SUPWATCH_ROTATIONS=${SUPWATCH_ROTATIONS:-2000} cargo test --locked -p supwatch-agent --lib tail::tests::model -- --nocapture
}

kills() {
    echo "kills at random moments"
    SUPWATCH_KILLS=${SUPWATCH_KILLS:-150} cargo test --locked -p supwatch-tests --test e2e kills:: -- --nocapture --test-threads 1
}

cuts() {
    echo "power cuts"
    SUPWATCH_CUT_STATES=${SUPWATCH_CUT_STATES:-5000} cargo test --locked -p supwatch-durable --test power -- --nocapture
    SUPWATCH_POWER_CUTS=${SUPWATCH_POWER_CUTS:-60} cargo test --locked -p supwatch-tests --test e2e power_cuts:: -- --nocapture --test-threads 1
}

full() {
    echo "full disks"
    SUPWATCH_DISK_FULL=${SUPWATCH_DISK_FULL:-10} cargo test --locked -p supwatch-tests --test e2e disk_full:: -- --nocapture --test-threads 1
}

soak() {
    echo "fifty agents for a while"
    SUPWATCH_SOAK_SECONDS=${SUPWATCH_SOAK_SECONDS:-900} cargo test --locked -p supwatch-tests --test soak fifty_agents -- --nocapture
}

load() {
    echo "many agents, and a large backlog"
    SUPWATCH_LOAD_AGENTS=${SUPWATCH_LOAD_AGENTS:-1000} SUPWATCH_BACKLOG_MIB=${SUPWATCH_BACKLOG_MIB:-1024} \
        cargo test --locked -p supwatch-tests --test soak overload:: -- --nocapture --test-threads 1
}

fuzz() {
    seconds=${SUPWATCH_FUZZ_SECONDS:-180}
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd agent/reading
    cargo +nightly fuzz build
    for pair in "lines decode" "parse recognise"; do
        pids=""
        for target in $pair; do
            # Fuzzed in a copy: the corpus of the repository holds what was chosen by hand.
            cp -r "fuzz/corpus/$target" "$work/$target"
            cargo +nightly fuzz run "$target" "$work/$target" -- -max_total_time="$seconds" -max_len=4096 \
                > "$work/$target.log" 2>&1 &
            pids="$pids $!"
        done
        for pid in $pids; do
            wait "$pid" || { cat "$work"/*.log | tail -60; echo "a fuzz target found something"; exit 1; }
        done
        for target in $pair; do
            echo "$target: $(tail -n 1 "$work/$target.log")"
        done
    done
    cd ../..
}

if [ $# -eq 0 ]; then
    set -- properties judging causes waves truth simulation rotations kills cuts full soak load fuzz
fi
for part in "$@"; do
    case $part in
        properties) properties ;;
        judging) judging ;;
        causes) causes ;;
        waves) waves ;;
        truth) truth ;;
        simulation) simulation ;;
        rotations) rotations ;;
        kills) kills ;;
        cuts) cuts ;;
        full) full ;;
        soak) soak ;;
        load) load ;;
        fuzz) fuzz ;;
        *) echo "tests/long.sh: no part called $part" >&2; exit 2 ;;
    esac
done
