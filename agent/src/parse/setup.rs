//! Role setup lines (`SUPSetup.log`): `<Www Mon DD HH:MM:SS YYYY> text`, in the server's local time.

use super::fields::asctime;
use super::{Form, Parsed, Stamp};

pub(super) fn parse(text: &str) -> Option<Parsed> {
    let (stamp, message) = text.strip_prefix('<')?.split_once('>')?;
    let (local, zone) = asctime(stamp)?;
    if !zone.is_empty() {
        return None;
    }
    Some(Parsed {
        form: Form::Setup,
        message: message.trim().to_owned(),
        component: String::new(),
        thread: 0,
        stamp: Stamp::Local(local),
    })
}
