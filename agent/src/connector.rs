//! How the uplink reaches the collector: over TLS, or through a simulated network.
//!
//! Holds every source of nondeterminism besides spool and logs: the connection, random numbers, and threads for blocking
//! work. A simulation supplies its own, so that a seed determines the run.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use supwatch_proto::channel::ConnectError;
use tonic::transport::Channel;

/// A connection attempt.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Channel, ConnectError>> + Send>>;

/// A simulation's network and random numbers.
pub trait Simulated: Send + Sync + std::fmt::Debug {
    /// Connects to the collector.
    fn connect(&self) -> Connecting;

    /// A pseudo-random number.
    fn random(&self) -> u32;
}

/// How the collector is reached.
#[derive(Debug, Clone, Default)]
pub enum Connector {
    /// Mutual TLS with the identity folder.
    #[default]
    Tls,
    /// A simulated network.
    Simulated(Arc<dyn Simulated>),
}

impl Connector {
    /// A random duration up to the backoff, so that agents do not reconnect at the same time.
    pub(crate) fn jittered(&self, pause: Duration) -> Duration {
        let share = match self {
            Connector::Tls => {
                let mut bytes = [0; 4];
                // Without random numbers the backoff is merely the same for all.
                getrandom::fill(&mut bytes).map_or(u32::MAX, |()| u32::from_be_bytes(bytes))
            }
            Connector::Simulated(simulated) => simulated.random(),
        };
        pause.mul_f64(f64::from(share) / f64::from(u32::MAX)).max(Duration::from_millis(50))
    }

    /// Runs blocking work off the connection's task; `None` if the runtime stops meanwhile. Simulated time does not advance
    /// during it.
    pub(crate) async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match self {
            Connector::Tls => tokio::task::spawn_blocking(work).await.ok(),
            Connector::Simulated(_) => Some(work()),
        }
    }
}
