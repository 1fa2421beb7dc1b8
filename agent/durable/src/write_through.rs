//! Makes sled sync its writes, in the order in which it issues them.
//!
//! On Linux sled ends each write with `sync_file_range`, which does not wait for the disk; where that call is unavailable it uses
//! a real fsync. Our commits end with a real fsync anyway, but sled also reuses space between two commits, and a power cut might
//! then leave new pages without the ones they replace: sled relies on the order of its writes. A seccomp filter therefore makes
//! the call fail with ENOSYS in this process. The systemd units do the same; the filter also works without them. The cost:
//! programs that this process starts cannot gain rights by setuid or setgid (`no_new_privs`).

use std::sync::Once;

/// Installs the filter, once per process.
pub(super) fn ensure() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Err(reason) = install() {
            tracing::warn!(
                reason,
                "sled cannot be made to sync every write, so a power cut may damage the database; run under the systemd unit, or a seccomp profile with sync_file_range = ENOSYS"
            );
        }
    });
}

#[cfg(target_os = "linux")]
fn install() -> Result<(), String> {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let architecture = std::env::consts::ARCH.try_into().map_err(|error: seccompiler::BackendError| words(&error))?;
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    // Unconditional: whatever the arguments are.
    let rules = [(libc::SYS_sync_file_range, Vec::new())].into();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, architecture).map_err(|error| words(&error))?;
    let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| words(&error))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| words(&error))
}

/// On other systems sled uses a real sync.
#[cfg(not(target_os = "linux"))]
fn install() -> Result<(), String> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_filter_is_installed() {
        super::install().expect("installed");
        let status = std::fs::read_to_string("/proc/self/status").expect("status");
        assert!(status.lines().any(|line| line.starts_with("Seccomp:") && line.ends_with('2')), "{status}");
    }
}
