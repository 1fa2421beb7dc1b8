//! One edge of a wave: what happened between a site and one below it, and what that shows.
//!
//! [`Waves`] descends the tree and knows which run of the child belongs to the edge; here the edge gets its times, its outcome and
//! a note where it is inferred.

use jiff::{SignedDuration, Timestamp};
use supwatch_model::ids::SiteCode;
use supwatch_model::run::{Run, RunOutcome};
use supwatch_model::text::Text;
use supwatch_model::wave::{EdgeOutcome, WaveEdge};

use super::pair::{Chain, Link, SKEW};
use super::{Above, Waves};
use crate::hierarchy::Site;
use crate::limits::Limits;

/// Clock differences below this are not reported.
const NOTICEABLE: SignedDuration = SignedDuration::from_secs(5);

impl Waves<'_> {
    /// How the wave went from a site to one below it.
    pub(super) fn edge(
        &self,
        parent: &Site,
        child: &Site,
        above: Above<'_>,
        link: Option<&Link<'_>>,
        chain: Option<&Chain<'_>>,
    ) -> WaveEdge {
        let notified = link.and_then(|link| link.notified);
        let mut edge = WaveEdge {
            parent: parent.code,
            child: child.code,
            notified_at: notified,
            received_at: None,
            started_at: None,
            ended_at: None,
            outcome: EdgeOutcome::Unknown,
            lag: None,
            runs: Vec::new(),
            catalog_version: None,
            cause: None,
            inferred: false,
            note: None,
        };
        match (above, chain) {
            (_, Some(chain)) => {
                self.ran(child, chain, &mut edge);
                if notified.is_none() {
                    edge.inferred = true;
                    edge.note = Some(untold(parent, child));
                } else if link.is_some_and(|link| link.merged) {
                    edge.note = Some(Text::new(
                        format!("{} took it up together with the next one", child.code),
                        format!("{} は次の同期とまとめて処理しました", child.code),
                    ));
                }
            }
            (Above::Waiting, None) => edge.outcome = EdgeOutcome::Waiting,
            (Above::Cut, None) => edge.outcome = EdgeOutcome::Cut,
            (Above::Ran(_) | Above::Unseen(_), None) => self.did_not_run(parent, child, &mut edge),
        }
        edge
    }

    /// The child ran: times, outcome and lag, and a note where the log or the clocks leave doubt.
    fn ran(&self, child: &Site, chain: &Chain<'_>, edge: &mut WaveEdge) {
        let (Some(first), Some(last)) = (chain.runs.first(), chain.last()) else { return };
        edge.started_at = first.started_at;
        edge.ended_at = last.ended_at;
        edge.runs = chain.runs.iter().map(|run| run.id.clone()).collect();
        edge.catalog_version = last.catalog_version;
        edge.cause.clone_from(&last.cause);
        edge.outcome = match last.outcome {
            RunOutcome::Succeeded => EdgeOutcome::Succeeded,
            RunOutcome::Failed => EdgeOutcome::Failed,
            RunOutcome::Running => EdgeOutcome::Running,
            RunOutcome::Unknown => EdgeOutcome::Unknown,
        };
        if last.outcome == RunOutcome::Unknown {
            edge.note = Some(Text::new(
                format!("the end of the run of {} is not in its log", child.code),
                format!("{} の同期の終わりがログにありません", child.code),
            ));
        }
        let before =
            |(at, parent): &&(Timestamp, SiteCode)| *parent == edge.parent && first.started_at.is_some_and(|start| *at <= start);
        edge.received_at = child.received.iter().rev().find(before).map(|(at, _)| *at);
        if let (Some(notified), Some(started)) = (edge.notified_at, first.started_at) {
            let lag = started.duration_since(notified);
            edge.lag = Some(lag.max(SignedDuration::ZERO));
            let received = edge.received_at.unwrap_or(started).min(started);
            let behind = notified.duration_since(received);
            if behind > NOTICEABLE && behind <= SKEW {
                let seconds = behind.as_secs();
                edge.note = Some(Text::new(
                    format!("the clock of {} is at least {seconds} s behind that of {}", child.code, edge.parent),
                    format!("{} の時計は {} より少なくとも {seconds} 秒遅れています", child.code, edge.parent),
                ));
            }
        }
    }

    /// The child was notified, or should have been, and none of its runs shows it.
    fn did_not_run(&self, parent: &Site, child: &Site, edge: &mut WaveEdge) {
        let Some(notified) = edge.notified_at else {
            edge.note = Some(untold(parent, child));
            return;
        };
        // The child logged by its own clock that it picked up the notification.
        let near = |(at, from): &&(Timestamp, SiteCode)| *from == parent.code && notified.duration_since(*at) <= SKEW;
        edge.received_at = child.received.iter().find(near).map(|(at, _)| *at);
        let from = notified.max(busy_until(child, notified, self.limits, self.now).unwrap_or(notified));
        let limit = SignedDuration::from_mins(i64::from(self.limits.wave_minutes));
        let covered = is_covered(child, from, limit);
        let waits = self.now.duration_since(from) <= limit || self.hierarchy.is_reading_back(child.code);
        edge.outcome = match (waits, covered) {
            (true, _) => EdgeOutcome::Waiting,
            (false, true) => EdgeOutcome::Missed,
            (false, false) => EdgeOutcome::Unknown,
        };
        edge.note = match edge.outcome {
            EdgeOutcome::Missed if edge.received_at.is_some() => Some(Text::new(
                format!("the notification arrived at {}, and no run began", child.code),
                format!("通知は {} に届きましたが、同期が開始されていません", child.code),
            )),
            EdgeOutcome::Unknown => Some(Text::new(
                format!("no log of {} from that time", child.code),
                format!("{} のその時刻のログがありません", child.code),
            )),
            _ => None,
        };
    }

    /// For a site whose log no agent reads, the top site's provider knows the catalogue version.
    pub(super) fn ask_the_top(&self, child: &Site, version: Option<u64>, edge: &mut WaveEdge) {
        let Some((top, row)) = self.hierarchy.status_of(child.code) else { return };
        let (Some(has), Some(wanted)) = (row.catalog_version.value().copied(), version) else { return };
        let said = |en: String, ja: String| Some(Text::new(en, ja));
        if has >= wanted {
            edge.outcome = EdgeOutcome::Succeeded;
            // Its current version may be of a later wave; this wave gave it at most its own.
            edge.catalog_version = Some(wanted);
            edge.note = said(
                format!("as the provider of {} says: its version is at least {wanted}", top.code),
                format!("{} のプロバイダーによるとバージョンは {wanted} 以降です", top.code),
            );
        } else {
            edge.note = said(
                format!("no log of {}; as the provider of {} says, its version is {has}", child.code, top.code),
                format!("{} のログがありません。{} のプロバイダーによるとバージョンは {has} です", child.code, top.code),
            );
        }
        edge.inferred = true;
    }
}

/// Until when a run in progress kept the child busy when it was notified: it acts on the notification afterwards. A stalled run,
/// or one whose end is not seen, does not extend the wait forever.
pub(crate) fn busy_until(child: &Site, notified: Timestamp, limits: &Limits, now: Timestamp) -> Option<Timestamp> {
    let began = |run: &Run| run.started_at.is_none_or(|start| start.duration_since(notified) <= SKEW);
    let going_on = child.runs.iter().rev().find(|tracked| began(&tracked.run))?;
    match going_on.run.outcome {
        RunOutcome::Running => {
            let stuck = SignedDuration::from_mins(i64::from(limits.stuck_minutes));
            going_on.progressed_at?.checked_add(stuck).ok().map(|until| until.min(now))
        }
        _ => going_on.run.ended_at,
    }
}

/// Whether a start of the child would have been seen: its log is known to be read beyond the allowed time.
pub(crate) fn is_covered(child: &Site, from: Timestamp, limit: SignedDuration) -> bool {
    child.read_until().is_some_and(|until| until.duration_since(from) >= limit)
}

/// A note that no log shows the parent's notification.
fn untold(parent: &Site, child: &Site) -> Text {
    let (parent_code, child) = (parent.code, child.code);
    if parent.runs.last().is_none() {
        let ja = format!("{parent_code} のログがないため {child} への通知は確認できません");
        return Text::new(format!("no log of {parent_code} shows that it told {child}"), ja);
    }
    Text::new(
        format!("the log of {parent_code} does not show that it told {child}"),
        format!("{parent_code} のログに {child} への通知がありません"),
    )
}

/// A site that passed the catalogue on has received it.
pub(super) fn infer_from_below(edges: &mut [WaveEdge], at: usize) {
    let Some((edge, below)) = edges.split_at_mut_checked(at + 1).and_then(|(head, tail)| Some((head.last_mut()?, tail))) else {
        return;
    };
    if edge.outcome != EdgeOutcome::Unknown || !edge.runs.is_empty() {
        return;
    }
    if let Some(child) = below.iter().find(|below| below.parent == edge.child && below.outcome == EdgeOutcome::Succeeded) {
        edge.outcome = EdgeOutcome::Succeeded;
        edge.inferred = true;
        edge.note = Some(Text::new(
            format!("no log of {}, but {} below it has it", edge.child, child.child),
            format!("{} のログはありませんが、下位の {} に届いています", edge.child, child.child),
        ));
    }
}
