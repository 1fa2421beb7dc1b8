//! The files of a hierarchy that a site server and an administrator create in a folder.

use std::path::Path;

use supwatch_tests::dice::Dice;

use crate::snapshot;
use crate::stamp;
use crate::world::{Generation, Kind, Line, Site, World};

/// Files by their paths inside the folder.
pub type Files = Vec<(String, Vec<u8>)>;

/// Every readable file of a hierarchy.
pub fn files(world: &World, dice: &mut Dice) -> Files {
    let mut files = vec![("hierarchy.toml".to_owned(), hierarchy(world).into_bytes())];
    for site in 0..world.sites.len() {
        let own = &world.sites[site];
        if own.tells_site {
            files.push((format!("{}/site.toml", own.code), site_file(world, own).into_bytes()));
        }
        let folder = if own.tells_site { format!("{}/logs", own.code) } else { own.code.clone() };
        if own.tells_logs && own.has_sup() {
            log(&mut files, world, own, (&folder, "wsyncmgr", "SMS_WSUS_SYNC_MANAGER"), &own.wsync);
            if own.tells_wcm {
                log(&mut files, world, own, (&folder, "WCM", "SMS_WSUS_CONFIGURATION_MANAGER"), &own.wcm);
            }
        }
        // Without a log, only `site.toml` shows whose settings these are.
        if own.tells_settings && (own.tells_site || own.tells_logs && own.has_sup()) {
            files.push((format!("{}/settings.json", own.code), pretty(&snapshot::newest(world, site), dice)));
            if let Some((name, earlier)) = snapshot::earlier(world, site) {
                files.push((format!("{}/{name}", own.code), pretty(&earlier, dice)));
            }
        }
        if !own.wsus.is_empty() {
            let text: String = own
                .wsus
                .iter()
                .map(|(at, text)| format!("{}.295 UTC\t{text}\r\n", stamp::utc(*at).replace('T', " ").trim_end_matches('Z')))
                .collect();
            files.push((format!("{folder}/SoftwareDistribution.log"), text.into_bytes()));
        }
    }
    if let Some(twin) = world.twin {
        let own = &world.sites[twin];
        let text = site_file(world, own).replace(&own.server, &format!("other-{}", own.server));
        files.push((format!("{}-b/site.toml", own.code), text.into_bytes()));
    }
    files
}

fn pretty(value: &serde_json::Value, dice: &mut Dice) -> Vec<u8> {
    let text = if dice.once_in(2) { serde_json::to_string_pretty(value).expect("JSON") } else { value.to_string() };
    match dice.below(8) {
        // The encoding that PowerShell's `>` writes.
        0 => [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect(),
        1 => [0xef, 0xbb, 0xbf].into_iter().chain(text.bytes()).collect(),
        _ => text.into_bytes(),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Central => "central",
        Kind::Primary => "primary",
        Kind::Secondary => "secondary",
    }
}

fn generation(world: &World) -> &'static str {
    match world.generation {
        Generation::Y2007 => "2007",
        Generation::Y2012 => "2012",
        Generation::Current => "current-branch",
    }
}

fn parent(world: &World, own: &Site) -> Option<String> {
    match &own.claims_parent {
        Some(claimed) => claimed.clone(),
        None => own.parent.map(|parent| world.sites[parent].code.clone()),
    }
}

fn description(world: &World, own: &Site) -> String {
    let shown = kind(own.claims_kind.unwrap_or(own.kind));
    let parent = parent(world, own);
    let line = match &parent {
        None if own.kind == Kind::Central && own.claims_kind.is_none() => String::new(),
        parent => format!("parent = \"{}\"\n", parent.as_deref().unwrap_or_default()),
    };
    let mode = if world.generation == Generation::Y2007 && own.native { "mode = \"native\"\n" } else { "" };
    format!("code = \"{}\"\ntype = \"{shown}\"\n{line}{mode}", own.code)
}

fn site_file(world: &World, own: &Site) -> String {
    format!("{}server = \"{}\"\n", description(world, own), own.server)
}

fn hierarchy(world: &World) -> String {
    let mut text = format!("name = \"corp\"\ngeneration = \"{}\"\n", generation(world));
    if world.listed {
        for (at, own) in world.sites.iter().enumerate() {
            if world.unlisted != Some(at) {
                text.push_str(&format!("\n[[site]]\n{}", description(world, own)));
            }
        }
    }
    text
}

fn log(files: &mut Files, world: &World, own: &Site, (folder, name, component): (&str, &str, &str), lines: &[Line]) {
    let lines = &lines[lines.len() * own.lost / 100..];
    let at = if own.rolled { lines.len() / 2 } else { 0 };
    let is_japanese = |text: &str| text.contains(|letter| letter >= '\u{3000}');
    let japanese =
        lines.iter().any(|line| is_japanese(&line.text) || is_japanese(&stamp::on_line(own, world.generation, line.at, 0)));
    let mut number = 0;
    let mut text = |lines: &[Line]| -> Vec<u8> {
        let mut bytes = Vec::new();
        for Line { at, text, thread } in lines {
            number += 13;
            let stamp = stamp::on_line(own, world.generation, *at, number % 1000);
            let line = format!("{text}  $$<{component}><{stamp}><thread={thread} (0x{thread:X})>\r\n");
            bytes.extend(if own.ansi { in_code_page(&line, japanese) } else { line.into_bytes() });
        }
        bytes
    };
    let (older, newer) = lines.split_at(at);
    let (older, newer) = (text(older), text(newer));
    if own.rolled {
        files.push((format!("{folder}/{name}.lo_"), older));
    }
    files.push((format!("{folder}/{name}.log"), newer));
}

/// A line in the code page of its Windows: 932 if the server writes any Japanese, else 1252. Characters missing from it become
/// question marks.
fn in_code_page(line: &str, japanese: bool) -> Vec<u8> {
    let page = if japanese { encoding_rs::SHIFT_JIS } else { encoding_rs::WINDOWS_1252 };
    let mut bytes = Vec::new();
    let mut buffer = [0; 4];
    for letter in line.chars() {
        match page.encode(letter.encode_utf8(&mut buffer)) {
            (letter, _, false) => bytes.extend_from_slice(&letter),
            (.., true) => bytes.push(b'?'),
        }
    }
    bytes
}

/// Writes the files of a hierarchy.
pub fn to(folder: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
}
