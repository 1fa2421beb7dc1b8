//! How the uplink reaches the collector: over TLS, or as a simulation says.
//!
//! What an agent does beyond its spool and its logs that is not the same each time is here: the connection, random numbers,
//! and threads for what blocks. A simulation brings its own, so that one seed gives one story.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use supwatch_proto::channel::ConnectError;
use tonic::transport::Channel;

/// A connection in the making.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Channel, ConnectError>> + Send>>;

/// What a simulation has instead of network and chance.
pub trait Simulated: Send + Sync + std::fmt::Debug {
    /// Connects.
    fn connect(&self) -> Connecting;

    /// A number that looks random.
    fn random(&self) -> u32;
}

/// How the collector is reached.
#[derive(Debug, Clone, Default)]
pub enum Connector {
    /// Over TLS, with the identity folder.
    #[default]
    Tls,
    /// As a simulation says.
    Simulated(Arc<dyn Simulated>),
}

impl Connector {
    /// Anything from nothing to the pause, so that agents do not return in step.
    pub(crate) fn jittered(&self, pause: Duration) -> Duration {
        let share = match self {
            Connector::Tls => {
                let mut bytes = [0; 4];
                // Without random numbers the pause is merely the same for all.
                getrandom::fill(&mut bytes).map_or(u32::MAX, |()| u32::from_be_bytes(bytes))
            }
            Connector::Simulated(simulated) => simulated.random(),
        };
        pause.mul_f64(f64::from(share) / f64::from(u32::MAX)).max(Duration::from_millis(50))
    }

    /// Does what may block, away from the connection; `None` where the runtime stops meanwhile. Simulated time stands still
    /// while it is done.
    pub(crate) async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match self {
            Connector::Tls => tokio::task::spawn_blocking(work).await.ok(),
            Connector::Simulated(_) => Some(work()),
        }
    }
}
