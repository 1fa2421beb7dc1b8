//! Wake-ups: the operating system says that something moved. A hint, never the truth: a sweep comes anyway.
//!
//! The only user of `notify`. A wake-up carries nothing; many become one.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Ends a wait early.
#[derive(Debug, Clone)]
pub struct Waker(SyncSender<()>);

impl Waker {
    /// Wakes; a wake-up that is already waiting is enough.
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
    /// Watches nothing yet. Without a watcher of the operating system the sweep alone must do, and does.
    pub fn new() -> Watch {
        let (sender, woken) = sync_channel(1);
        let waker = Waker(sender);
        let on_event = waker.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no news, and would wake us by our own doing.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                on_event.wake();
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "change notifications unavailable; relying on the sweep")).ok();
        Watch { waker, woken, watcher }
    }

    /// Asks the operating system for nothing: on a share it could tell of nothing, and the sweep alone does.
    pub fn without_notices() -> Watch {
        let (sender, woken) = sync_channel(1);
        Watch { waker: Waker(sender), woken, watcher: None }
    }

    /// What others wake it with.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches a folder from now on.
    pub fn add(&mut self, folder: &Path) {
        if let Some(watcher) = &mut self.watcher
            && let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
        {
            tracing::warn!(folder = %folder.display(), %error, "change notifications unavailable for this folder; relying on the sweep");
        }
    }

    /// Waits for a wake-up, or for the sweep.
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
