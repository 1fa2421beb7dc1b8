//! Wake-ups from the operating system's change notifications. They are hints only: a sweep follows in any case.
//!
//! The only user of `notify`. A wake-up carries no data; several coalesce into one.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Ends a wait early.
#[derive(Debug, Clone)]
pub struct Waker(SyncSender<()>);

impl Waker {
    /// Wakes the watcher; a pending wake-up is enough.
    pub fn wake(&self) {
        match self.0.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// Watches folders.
#[derive(Debug)]
pub struct Watch {
    waker: Waker,
    woken: Receiver<()>,
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// A watch without folders. If the operating system offers no notifications, the sweep alone finds changes.
    pub fn new() -> Watch {
        let (sender, woken) = sync_channel(1);
        let waker = Waker(sender);
        let on_event = waker.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Access events are ignored: the agent's own reads would cause them.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                on_event.wake();
            }
        });
        let watcher =
            watcher.inspect_err(|error| tracing::warn!(%error, "change notifications unavailable; relying on the sweep")).ok();
        Watch { waker, woken, watcher }
    }

    /// Uses no notifications: shares send none, and the sweep alone finds changes.
    pub fn without_notices() -> Watch {
        let (sender, woken) = sync_channel(1);
        Watch { waker: Waker(sender), woken, watcher: None }
    }

    /// A handle that wakes this watch.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Adds a folder.
    pub fn add(&mut self, folder: &Path) {
        if let Some(watcher) = &mut self.watcher
            && let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
        {
            tracing::warn!(folder = %folder.display(), %error, "change notifications unavailable for this folder; relying on the sweep");
        }
    }

    /// Waits for a wake-up, at most until the next sweep.
    pub fn wait(&self, sweep: Duration) {
        match self.woken.recv_timeout(sweep) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

impl Default for Watch {
    fn default() -> Watch {
        Watch::new()
    }
}
