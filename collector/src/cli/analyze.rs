//! `supwatch analyze PATH…`

use std::path::PathBuf;

use jiff::Timestamp;
use supwatch_model::verdict::{Answer, Verdict};

use super::report::Target;
use super::{FailOn, Failure, Global, Outcome, print, print_json};
use crate::analyze::{Analysis, analyze};
use crate::app;
use crate::show::render::{findings, json, safe, table::Table, tree};
use crate::show::report::{self, About};

#[derive(Debug, clap::Args)]
pub(super) struct Analyze {
    /// Site folders, folders of logs, single logs, zip archives of these, or - for standard input
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Judge as of this time instead of the newest in the input
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Exit with 1 from this severity on
    #[arg(long, value_enum, default_value_t = FailOn::Critical)]
    fail_on: FailOn,
    /// Also write a report for a ticket: one self-contained HTML file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

impl Analyze {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let target = self.report.as_deref().map(Target::new).transpose()?;
        let analysis = analyze(&self.paths, self.at, app::now(), global.catalogue()?).map_err(Failure::own)?;
        for remark in &analysis.remarks {
            eprintln!("supwatch: {remark}");
        }
        // The result is printed even if the page cannot be written.
        let written = target.map(|target| write_report(&target, &analysis, global));
        if global.is_json() {
            print_json(&json::analysis(&analysis, global.lang()))?;
        } else {
            print(&draw(&analysis, global))?;
        }
        written.transpose()?;
        let unread = analysis.nothing.is_some() && self.fail_on != FailOn::Never;
        Ok(u8::from(unread || self.fail_on.fails(&analysis.picture.findings)))
    }
}

fn write_report(target: &Target, analysis: &Analysis, global: &Global) -> Result<(), Failure> {
    let about = About { version: env!("CARGO_PKG_VERSION"), input: &analysis.input, remarks: &analysis.remarks };
    target.write(&report::page(&analysis.picture, &about, global.look()))?;
    eprintln!("supwatch: report written to {target}");
    Ok(())
}

fn draw(analysis: &Analysis, global: &Global) -> String {
    let look = global.look();
    let mut input = Table::new(&[
        look.say("lines", "行数"),
        look.say("understood", "解釈"),
        look.say("form", "形式"),
        look.say("encoding", "文字コード"),
        look.say("file", "ファイル"),
    ]);
    for file in &analysis.input {
        let lines = vec![file.lines.to_string().into(), file.recognised.to_string().into(), file.form.as_str().into()];
        input.row(lines.into_iter().chain([file.encoding.as_str().into(), safe(&file.path).into()]).collect());
    }
    let mut out = if analysis.input.is_empty() { String::new() } else { format!("{}\n", input.draw(look)) };
    if let Some(nothing) = &analysis.nothing {
        out.push_str(&findings::nothing(nothing, look));
        return out;
    }
    out.push_str(&tree::draw(&analysis.picture, look));
    for finding in analysis.picture.findings.iter().filter(|finding| finding.because_of.is_none()) {
        out.push('\n');
        out.push_str(&findings::full(finding, look));
        out.push_str(&findings::following(finding, &analysis.picture.findings, look));
    }
    // The tree already shows expected changes.
    let lacks = |verdict: &&Verdict| verdict.answer == Answer::Unknown && verdict.expected_by.is_none();
    let unknown: Vec<_> = analysis.picture.verdicts.iter().filter(lacks).collect();
    if !unknown.is_empty() {
        let heading =
            format!("{} {}", unknown.len(), look.say("verdicts are unknown, for lack of:", "件の判定は情報不足のため不明:"));
        out.push_str(&format!("\n{heading}\n"));
        let mut missing: Vec<String> = unknown.iter().flat_map(|v| &v.missing).map(|text| safe(look.text(text))).collect();
        missing.sort();
        missing.dedup();
        for text in missing {
            for (index, line) in crate::show::render::wrap(&text, look.width.saturating_sub(4)).iter().enumerate() {
                out.push_str(if index == 0 { "  – " } else { "    " });
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}
