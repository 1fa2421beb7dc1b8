//! The input: each file with its form, its encoding and its lines, and the remarks.

use super::html::{Html, Tag};
use super::parts::{NAME, TEXT, left_out, nothing, table};
use super::{About, counted, marks};

pub(super) fn section(html: &mut Html, about: &About<'_>) {
    let look = html.look;
    if about.input.is_empty() {
        nothing(html, "No log was read.", "読み込んだログはありません。");
    } else {
        let lines: u64 = about.input.iter().map(|file| file.lines).sum();
        let files = counted(about.input.len(), ("file read", "files read", "ファイルを読み込み"), look);
        html.element(Tag::class("details", "input"), |html| {
            html.with("summary", &format!("{files} · {lines} {}", look.say("lines", "行")));
            files_table(html, about);
        });
    }
    if !about.remarks.is_empty() {
        html.element(Tag::class("ul", "remarks"), |html| {
            for remark in about.remarks.iter().take(20) {
                html.element("li", |html| html.cut(remark, TEXT));
            }
        });
        let more = about.remarks.len().saturating_sub(20);
        if more > 0 {
            left_out(html, &format!("{more} more remarks are left out."), &format!("ほか {more} 件の注記を省略しました。"));
        }
    }
}

fn files_table(html: &mut Html, about: &About<'_>) {
    let look = html.look;
    let head = [
        look.say("file", "ファイル"),
        look.say("form", "形式"),
        look.say("encoding", "文字コード"),
        look.say("lines", "行数"),
        look.say("understood", "解釈"),
    ];
    let mut shown = 0;
    table(html, "files", look.say("Files read", "読み込んだファイル"), &head, |rows| {
        for file in about.input {
            if rows.len() > marks::INPUT {
                break;
            }
            shown += 1;
            rows.row(|row| {
                row.name(|html| html.element("code", |html| html.cut(&file.path, NAME)));
                row.cell(|html| html.text(&file.form));
                row.cell(|html| html.text(&file.encoding));
                row.number(file.lines);
                row.number(file.recognised);
            });
        }
    });
    let more = about.input.len() - shown;
    if more > 0 {
        left_out(html, &format!("{more} more files are left out."), &format!("ほか {more} ファイルを省略しました。"));
    }
}
