//! Role setup lines (`SUPSetup.log`): `<Www Mon DD HH:MM:SS YYYY> text`, in the server's local time.

use super::fields::asctime;
use super::marks::SERVER;
use super::{Form, Record, Stamp};

/// Parses a line that holds exactly one record.
pub fn whole(raw: &str) -> Option<Record<'_>> {
    SERVER.find(raw).is_none().then(|| parse(raw)).flatten()
}

pub(super) fn parse(raw: &str) -> Option<Record<'_>> {
    let (stamp, message) = raw.trim_start().strip_prefix('<')?.split_once('>')?;
    let (local, zone) = asctime(stamp)?;
    zone.is_empty().then(|| Record { stamp: Stamp::Local(local), ..Record::new(Form::Setup, raw, message.trim()) })
}
