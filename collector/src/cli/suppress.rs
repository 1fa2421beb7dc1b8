//! `supwatch findings --suppress ID`, `--unsuppress ID` and `--audit`: suppressing a finding, lifting that, and the audit trail.

use jiff::Timestamp;
use supwatch_model::finding::Finding;
use supwatch_model::history::AuditEntry;
use supwatch_proto::time::to_wire;
use supwatch_proto::wire;

use super::client::{client, operate, refused};
use super::{Failure, Global, print, print_json, runtime};
use crate::show::render::table::Table;
use crate::show::render::{findings, json, safe, time};

/// Suppresses a finding.
pub(super) fn suppress(global: &Global, id: &str, reason: &str, until: Option<Timestamp>) -> Result<(), Failure> {
    let request = wire::SuppressRequest { finding: id.to_owned(), reason: reason.to_owned(), until: until.map(to_wire) };
    let finding = runtime()?.block_on(async {
        let answer = operate(global).await?.suppress(request).await.map_err(|status| of(&status))?;
        finding(answer.into_inner().finding)
    })?;
    show(global, &finding)
}

/// Lifts the suppression of a finding.
pub(super) fn unsuppress(global: &Global, id: &str, reason: &str) -> Result<(), Failure> {
    let request = wire::UnsuppressRequest { finding: id.to_owned(), reason: reason.to_owned() };
    let finding = runtime()?.block_on(async {
        let answer = operate(global).await?.unsuppress(request).await.map_err(|status| of(&status))?;
        finding(answer.into_inner().finding)
    })?;
    show(global, &finding)
}

fn of(status: &tonic::Status) -> Failure {
    match status.code() {
        tonic::Code::InvalidArgument => Failure::usage(status.message()),
        tonic::Code::NotFound => Failure::Own(status.message().to_owned()),
        _ => refused(status),
    }
}

fn finding(message: Option<wire::Finding>) -> Result<Finding, Failure> {
    let message = message.ok_or_else(|| Failure::Collector("the collector gave an empty answer".to_owned()))?;
    Finding::try_from(message).map_err(|error| Failure::Collector(format!("the collector's answer is invalid: {error}")))
}

fn show(global: &Global, finding: &Finding) -> Result<(), Failure> {
    if global.is_json() {
        return print_json(
            &serde_json::json!({"schema": "supwatch/findings/v1", "findings": [json::finding(finding, global.lang())]}),
        );
    }
    print(&findings::list(std::slice::from_ref(finding), global.look()))
}

/// Every decision so far, oldest first.
pub(super) fn audit(global: &Global) -> Result<(), Failure> {
    let entries: Vec<AuditEntry> = runtime()?.block_on(async {
        let answer = client(global).await?.audit(wire::AuditRequest {}).await.map_err(|status| refused(&status))?;
        let entries = answer.into_inner().entries.into_iter().map(AuditEntry::try_from).collect::<Result<_, _>>();
        entries.map_err(|error| Failure::Collector(format!("the collector's answer is invalid: {error}")))
    })?;
    if global.is_json() {
        return print_json(&serde_json::json!({"schema": "supwatch/audit/v1", "entries": entries}));
    }
    let look = global.look();
    let mut table = Table::new(&[
        look.say("at (UTC)", "日時 (UTC)"),
        look.say("by", "操作者"),
        look.say("decision", "操作"),
        look.say("finding", "問題"),
        look.say("until (UTC)", "期限 (UTC)"),
        look.say("reason", "理由"),
    ]);
    for entry in &entries {
        let until = if entry.until.is_some() || entry.action != "suppress" {
            time(entry.until)
        } else {
            look.say("lifted", "解除まで").to_owned()
        };
        table.row(vec![
            time(Some(entry.at)).into(),
            safe(&entry.by).into(),
            entry.action.as_str().into(),
            format!("{} {} {}", entry.finding, entry.site, entry.rule).into(),
            until.into(),
            safe(&entry.reason).into(),
        ]);
    }
    print(&table.draw(look))
}
