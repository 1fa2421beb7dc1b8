//! Many agents at once, and one with far more events than the others.
//!
//! SUPWATCH_LOAD_AGENTS sets how many agents return at once, SUPWATCH_BACKLOG_MIB the backlog of the large one. The clients here
//! speak the protocol and keep nothing on disk, so that a thousand of them fit beside the collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use supwatch_model::event::{Event, EventKind};
use supwatch_model::time::Certainty;
use supwatch_proto::channel::{IdentityFiles, connect};
use supwatch_proto::wire::ingest_service_client::IngestServiceClient;
use supwatch_proto::wire::{self, stream_request, stream_response};
use supwatch_tests::dice::Dice;
use supwatch_tests::{House, wait_for};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{counts, number, size};

/// Events per batch.
const BATCH: u64 = 50;

struct Client {
    code: String,
    identity: IdentityFiles,
    endpoint: String,
    /// Bytes per line.
    line: usize,
}

impl Client {
    fn new(house: &House, code: &str, line: usize) -> Client {
        let identity = IdentityFiles::read(&house.identity(&[code], "srv")).expect("identity");
        Client { code: code.to_owned(), identity, endpoint: format!("https://localhost:{}", house.port), line }
    }

    fn event(&self, sequence: u64) -> wire::Event {
        let event = Event {
            site: self.code.parse().expect("a code"),
            sequence,
            time: None,
            time_certainty: Certainty::Local,
            log: "wsyncmgr".to_owned(),
            file: "wsyncmgr.log".to_owned(),
            offset: sequence,
            component: "SMS_WSUS_SYNC_MANAGER".to_owned(),
            thread: 1,
            kind: EventKind::Step { step: "load".to_owned(), detail: String::new() },
            line: format!("{sequence:0>width$}", width = self.line),
        };
        event.into()
    }

    /// One connection: sends everything up to a number and waits for the acknowledgements. Returns the time each batch took.
    async fn deliver(&self, upto: u64) -> Result<Vec<Duration>, String> {
        let channel = connect(&self.endpoint, &self.identity).await.map_err(|error| error.to_string())?;
        let (send, requests) = mpsc::channel(4);
        let hello = wire::Hello {
            sites: vec![self.code.clone()],
            epoch: vec![7; 16],
            oldest_sequence: 1,
            next_sequence: upto + 1,
            protocol_min: 1,
            protocol_max: 1,
            version: "load".to_owned(),
            clock: None,
            tells_coverage: false,
        };
        let body = |body| wire::StreamRequest { body: Some(body) };
        send.send(body(stream_request::Body::Hello(hello))).await.map_err(|_| "gone")?;
        let stream = IngestServiceClient::new(channel).stream(ReceiverStream::new(requests)).await;
        let mut answers = stream.map_err(|status| status.to_string())?.into_inner();
        let (mut sent, mut took, mut at) = (0, Vec::new(), Instant::now());
        loop {
            let acked = match answers.message().await.map_err(|status| status.to_string())?.and_then(|answer| answer.body) {
                Some(stream_response::Body::Welcome(welcome)) => {
                    sent = welcome.durable_sequence;
                    sent
                }
                Some(stream_response::Body::Ack(ack)) => {
                    took.push(at.elapsed());
                    ack.durable_sequence
                }
                other => return Err(format!("{other:?}")),
            };
            if acked >= upto {
                return Ok(took);
            }
            // One batch at a time, because the collector's latency is measured.
            if sent == acked {
                at = Instant::now();
                let events = (sent + 1..=upto.min(sent + BATCH)).map(|sequence| self.event(sequence)).collect();
                sent = upto.min(sent + BATCH);
                let batch = wire::Batch { events, places: Vec::new(), coverage: Vec::new() };
                send.send(body(stream_request::Body::Batch(batch))).await.map_err(|_| "gone")?;
            }
        }
    }

    /// Retries with growing, jittered pauses.
    async fn insist(&self, upto: u64, seed: u64) -> u64 {
        let (mut dice, mut pause, mut tries) = (Dice::of(seed), 500, 1);
        while let Err(error) = self.deliver(upto).await {
            assert!(tries < 200, "{}: {error}", self.code);
            tries += 1;
            tokio::time::sleep(Duration::from_millis(50 + dice.below(pause))).await;
            pause = (pause * 2).min(20_000);
        }
        tries
    }
}

fn code(number: u64) -> String {
    let digit = |digit: u64| char::from_digit(u32::try_from(digit % 36).expect("small"), 36).expect("a digit").to_ascii_uppercase();
    format!("L{}{}", digit(number / 36), digit(number))
}

#[test]
fn all_agents_come_back_at_once_and_each_is_served() {
    let mut house = House::new("name = \"corp\"\n");
    let count = number("SUPWATCH_LOAD_AGENTS", 60);
    let clients: Vec<Arc<Client>> = (0..count).map(|one| Arc::new(Client::new(&house, &code(one), 100))).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    for round in 1..=2u64 {
        let begin = Instant::now();
        let tasks: Vec<_> = (0u64..)
            .zip(&clients)
            .map(|(seed, client)| {
                let client = Arc::clone(client);
                runtime.spawn(async move { client.insist(round * 100, seed).await })
            })
            .collect();
        let tries: u64 = tasks.into_iter().map(|task| runtime.block_on(task).expect("served")).sum();
        let stored: u64 = counts(&house).expect("metrics").values().sum();
        assert_eq!(stored, count * round * 100, "each event once");
        let (mib, files) = size(house.collector_pid());
        println!(
            "round {round}: {count} agents served in {:.1?}, {tries} connections, collector {mib} MiB {files} files",
            begin.elapsed()
        );
        // All of them lose their connection at the same moment.
        house.kill_collector();
        house.start_collector();
    }
}

#[test]
fn one_agent_with_a_large_backlog_does_not_hold_up_quiet_ones() {
    let house = House::new("name = \"corp\"\n");
    let mib = number("SUPWATCH_BACKLOG_MIB", 16);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let large = Client::new(&house, "LRG", 1_000);
    let upto = (mib << 20) / 1_000;
    let done = Arc::new(AtomicBool::new(false));
    let (begin, over) = (Instant::now(), Arc::clone(&done));
    let backlog = runtime.spawn(async move {
        let result = large.deliver(upto).await;
        over.store(true, Ordering::SeqCst);
        result
    });
    wait_for("the backlog to be under way", || match counts(&house)?.get("LRG") {
        Some(_) => Ok(()),
        None => Err("nothing yet".to_owned()),
    });
    let quiet: Vec<Client> = (0..10).map(|one| Client::new(&house, &code(one), 100)).collect();
    let (mut took, mut told) = (Vec::new(), 0);
    while !done.load(Ordering::SeqCst) && told < 20 {
        told += 1;
        for client in &quiet {
            took.extend(runtime.block_on(client.deliver(told)).expect("served"));
        }
    }
    runtime.block_on(backlog).expect("task").expect("the backlog is taken");
    took.sort();
    let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    let (memory, _) = size(house.collector_pid());
    println!(
        "{mib} MiB of backlog in {:.1?}; beside it {} batches of quiet agents acknowledged in {p50:.1?} (p50), {p99:.1?} (p99); collector {memory} MiB",
        begin.elapsed(),
        took.len()
    );
    assert!(took.len() >= 10, "nothing of the quiet ones came through");
}
