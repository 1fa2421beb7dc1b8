//! The hosts: a collector that serves the real ingest service, and agents with the real spool, tails and uplink, over the
//! simulated network. There is no TLS; a peer is identified by its simulated address.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use supwatch::access::identity::Peer;
use supwatch::engine::Engine;
use supwatch::ingest::{Ingest, MESSAGE_BYTES};
use supwatch_agent::collect::Collect;
use supwatch_agent::config::Site;
use supwatch_agent::connector::{Connecting, Connector, Simulated};
use supwatch_agent::spool::{Bounds, Spool, SpoolError};
use supwatch_agent::uplink::{Until, Uplink};
use supwatch_judgement::diagnosis::Catalogue;
use supwatch_judgement::hierarchy::Hierarchy;
use supwatch_judgement::limits::Limits;
use supwatch_model::describe::HierarchyFile;
use supwatch_proto::channel::{ConnectError, words};
use supwatch_proto::wire::ingest_service_server::IngestServiceServer;
use supwatch_store::Store;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::transport::{Endpoint, Server, Uri};
use turmoil::net::{TcpListener, TcpStream};

use crate::disk::Disk;
use crate::rng::Rng;

/// Name of the collector's host.
pub const COLLECTOR: &str = "collector";
const PORT: u16 = 7443;
/// Time between two looks at the logs.
const SWEEP: Duration = Duration::from_millis(250);
const TICK: Duration = Duration::from_secs(5);

/// The clock of the simulation.
pub fn clock() -> Timestamp {
    let start = Timestamp::from_second(1_772_600_000).expect("a time");
    start + turmoil::sim_elapsed().unwrap_or_default()
}

/// Suffix of a clone's name, which otherwise equals the agent's.
pub const CLONE: &str = "-clone";

/// A connection, and the peer at its other end.
struct Io(TcpStream, Peer);

impl Connected for Io {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.1.clone()
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The collector's program.
pub async fn collector(disk: Arc<Disk>) -> turmoil::Result {
    let hierarchy = HierarchyFile { name: Some("corp".to_owned()), ..HierarchyFile::default() };
    let store: Arc<dyn Store> = disk;
    let engine = Arc::new(
        Engine::replay(store, Hierarchy::new(hierarchy, Arc::clone(Catalogue::built_in())), Limits::default(), clock).await?,
    );
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let (sender, accepted) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, from)) = listener.accept().await {
            let host = turmoil::reverse_lookup(from.ip()).expect("a host");
            let agent = host.trim_end_matches(CLONE);
            let number = agent.trim_start_matches("agent");
            let peer = Peer::of_uri(&format!("spiffe://corp/agent/P0{number}.S0{number}/{agent}")).expect("a good URI");
            if sender.send(io::Result::Ok(Io(stream, peer))).await.is_err() {
                return;
            }
        }
    });
    let judging = Arc::clone(&engine);
    tokio::spawn(async move { judging.judge_arrivals().await.expect("the store works") });
    let ticking = Arc::clone(&engine);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TICK).await;
            ticking.tick().await.expect("the store works");
        }
    });
    let ingest = IngestServiceServer::new(Ingest { engine, hierarchy: "corp".to_owned() }).max_decoding_message_size(MESSAGE_BYTES);
    Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(ingest)
        .serve_with_incoming(ReceiverStream::new(accepted))
        .await?;
    Ok(())
}

/// How a simulated agent reaches the collector.
#[derive(Debug)]
struct Line(Mutex<Rng>);

impl Simulated for Line {
    fn connect(&self) -> Connecting {
        let dial = |_: Uri| async { io::Result::Ok(TokioIo::new(TcpStream::connect((COLLECTOR, PORT)).await?)) };
        Box::pin(async move {
            let endpoint = Endpoint::from_static("http://collector:7443")
                .connect_timeout(Duration::from_secs(10))
                .http2_keep_alive_interval(Duration::from_secs(20))
                .keep_alive_timeout(Duration::from_secs(10))
                .keep_alive_while_idle(true);
            let connected = endpoint.connect_with_connector(tower::service_fn(dial)).await;
            connected.map_err(|error| ConnectError::Connect { endpoint: COLLECTOR.to_owned(), reason: words(&error) })
        })
    }

    fn random(&self) -> u32 {
        u32::try_from(self.0.lock().expect("lock").next() >> 32).expect("32 bits")
    }
}

/// The parts of an agent that survive its crashes.
pub struct Home {
    /// Name of its host.
    pub name: String,
    /// Folder of its spool.
    pub spool: PathBuf,
    pub sites: Vec<Site>,
    pub bounds: Bounds,
    pub rng: Mutex<Rng>,
    /// Its spool, while it runs.
    pub running: Mutex<Weak<Spool>>,
}

impl Home {
    /// Its spool, if it is running.
    pub fn running(&self) -> Option<Arc<Spool>> {
        self.running.lock().expect("lock").upgrade()
    }
}

/// An agent's program.
pub async fn agent(home: Arc<Home>) -> turmoil::Result {
    let spool = Arc::new(Spool::open_within(&home.spool, home.bounds)?);
    *home.running.lock().expect("lock") = Arc::downgrade(&spool);
    let rng = home.rng.lock().expect("lock").fork();
    let uplink = Uplink {
        collector: COLLECTOR.to_owned(),
        identity: PathBuf::new(),
        sites: home.sites.iter().map(|site| site.file.code).collect(),
        connector: Connector::Simulated(Arc::new(Line(Mutex::new(rng)))),
    };
    let (_keep, until) = watch::channel(Until::Stopped);
    let delivering = Arc::clone(&spool);
    tokio::spawn(async move { uplink.run(&delivering, clock, until).await });
    let mut collect = Collect::new(&spool, &home.sites).clocked(clock);
    let start = tokio::time::Instant::now();
    loop {
        match collect.sweep(start.elapsed(), &|| false) {
            Ok(()) | Err(SpoolError::Full(_)) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(SWEEP).await;
    }
}
