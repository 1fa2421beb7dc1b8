//! `site.toml` and `hierarchy.toml`: the operator's description of a site and of a hierarchy.
//!
//! Both are facts typed by an operator. A site without an agent is still shown, because the collector reads the
//! same `hierarchy.toml`.

use std::path::Path;

use serde::Serialize;

use crate::config::{Faults, Table};
use crate::ids::SiteCode;

/// Kind of site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteType {
    /// Central (administration) site.
    Central,
    /// Primary site, stand-alone or child.
    Primary,
    /// Secondary site.
    Secondary,
}

/// Generation of Configuration Manager; several rules depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Generation {
    /// Configuration Manager 2007.
    #[serde(rename = "2007")]
    Cm2007,
    /// System Center 2012 Configuration Manager.
    #[serde(rename = "2012")]
    Cm2012,
    /// Current branch.
    #[serde(rename = "current-branch")]
    CurrentBranch,
}

/// Security mode of a 2007 site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteMode {
    /// Certificates everywhere; the WSUS site must use SSL.
    Native,
    /// Mixed mode, without certificates.
    Mixed,
}

macro_rules! words {
    ($type:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// The name used in TOML, on the wire and in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            /// Parses the name.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
            /// Every name, for error texts.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { out.pad(self.as_str()) }
        }
    };
}
pub(crate) use words;
words!(SiteType { Central = "central", Primary = "primary", Secondary = "secondary" });
words!(Generation { Cm2007 = "2007", Cm2012 = "2012", CurrentBranch = "current-branch" });
words!(SiteMode { Native = "native", Mixed = "mixed" });

/// Description of a site from `site.toml`; every field may be unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SiteDescription {
    /// Kind of site.
    #[serde(rename = "type")]
    pub site_type: Option<SiteType>,
    /// `Some(None)`: known to have no parent.
    pub parent: Option<Option<SiteCode>>,
    /// Site server.
    pub server: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Generation.
    pub generation: Option<Generation>,
    /// 2007 security mode.
    pub mode: Option<SiteMode>,
    /// Whether the site server is passive; a passive one reports no state.
    pub passive: bool,
}

/// A site as `site.toml` gives it, with the code it belongs to and the reading options of its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFile {
    /// Site code.
    pub code: SiteCode,
    /// Description of the site.
    pub description: SiteDescription,
    /// Code page of the logs, as an encoding label (`cp932`, `windows-1252`).
    pub code_page: Option<String>,
    /// IANA time zone for lines that carry none.
    pub time_zone: Option<String>,
}

impl SiteFile {
    /// Parses a `site.toml`; reports all errors at once.
    pub fn parse(text: &str, path: &Path) -> Result<SiteFile, Faults> {
        let mut table = Table::parse(text, path)?;
        let code = table.required("code", "the site's three-character code", str::parse::<SiteCode>);
        let mut description = describe(&mut table);
        description.server = table.string("server");
        description.name = table.string("name");
        description.passive = table.boolean("passive").unwrap_or(false);
        let code_page = table.string("code_page");
        let time_zone = table.optional("time_zone", |name| match jiff::tz::TimeZone::get(name) {
            Ok(_) => Ok(name.to_owned()),
            Err(_) => Err(format!("{name:?} is not an IANA time zone: write one like \"Asia/Tokyo\"")),
        });
        table.finish(SiteFile { code: code.unwrap_or(SiteCode::UNKNOWN), description, code_page, time_zone })
    }
}

fn describe(table: &mut Table) -> SiteDescription {
    let site_type = table.optional("type", |word| {
        SiteType::from_word(word).ok_or_else(|| format!("{word:?} is not a site type: write one of {}", SiteType::WORDS.join(", ")))
    });
    let parent = table.optional("parent", |word| {
        if word.is_empty() { Ok(None) } else { word.parse::<SiteCode>().map(Some).map_err(|error| error.to_string()) }
    });
    // A central site never has a parent; for others an absent key means "not known".
    let parent = parent.or((site_type == Some(SiteType::Central)).then_some(None));
    SiteDescription {
        site_type,
        parent,
        generation: table.optional("generation", generation),
        mode: table.optional("mode", |word| {
            SiteMode::from_word(word)
                .ok_or_else(|| format!("{word:?} is not a site mode: write one of {}", SiteMode::WORDS.join(", ")))
        }),
        ..SiteDescription::default()
    }
}

fn generation(word: &str) -> Result<Generation, String> {
    Generation::from_word(word)
        .ok_or_else(|| format!("{word:?} is not a generation: write one of {}", Generation::WORDS.join(", ")))
}

/// A site that `hierarchy.toml` expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedSite {
    /// Site code.
    pub code: SiteCode,
    /// Type and parent; the rest is unknown.
    pub description: SiteDescription,
}

/// `hierarchy.toml`: the expected hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HierarchyFile {
    /// Name of the hierarchy; also the trust domain of its certificates.
    pub name: Option<String>,
    /// Generation of sites whose own is not given.
    pub generation: Option<Generation>,
    /// Sites; empty when the file does not list them.
    pub sites: Vec<ExpectedSite>,
    /// Hours between two scheduled runs of the top site, where the settings do not give them.
    pub sync_hours: Option<u32>,
    /// Minutes without a heartbeat after which an agent counts as silent.
    pub agent_silent_minutes: Option<u32>,
}

impl HierarchyFile {
    /// Parses a `hierarchy.toml`; reports all errors at once.
    pub fn parse(text: &str, path: &Path) -> Result<HierarchyFile, Faults> {
        let mut table = Table::parse(text, path)?;
        let mut file = HierarchyFile {
            name: table.string("name"),
            generation: table.optional("generation", generation),
            ..HierarchyFile::default()
        };
        if let Some(mut intervals) = table.table("intervals") {
            file.sync_hours = intervals.integer("sync_hours", 1..=10_000).and_then(|hours| u32::try_from(hours).ok());
            file.agent_silent_minutes =
                intervals.integer("agent_silent_minutes", 1..=10_000).and_then(|minutes| u32::try_from(minutes).ok());
            table.absorb(intervals);
        }
        for mut site in table.tables("site") {
            let code = site.required("code", "the site's three-character code", str::parse::<SiteCode>);
            let description = describe(&mut site);
            if let Some(code) = code {
                file.sites.push(ExpectedSite { code, description });
            }
            table.absorb(site);
        }
        table.finish(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_file_reports_all_its_errors_at_once() {
        let text = "code = \"TOOLONG\"\ntype = \"prmary\"\ngeneration = \"2012\"\nserer = \"x\"\n";
        let faults = SiteFile::parse(text, Path::new("P01/site.toml")).expect_err("faults");
        let shown = faults.to_string();
        for part in ["P01/site.toml:1", "P01/site.toml:2", "P01/site.toml:4", "did you mean \"server\""] {
            assert!(shown.contains(part), "{part} not in:\n{shown}");
        }
    }

    #[test]
    fn a_central_site_has_no_parent_and_a_primary_without_one_is_unknown() {
        let central = SiteFile::parse("code=\"CEN\"\ntype=\"central\"", Path::new("s")).expect("good");
        assert_eq!(central.description.parent, Some(None));
        let primary = SiteFile::parse("code=\"P01\"\ntype=\"primary\"", Path::new("s")).expect("good");
        assert_eq!(primary.description.parent, None);
        let alone = SiteFile::parse("code=\"P01\"\ntype=\"primary\"\nparent=\"\"", Path::new("s")).expect("good");
        assert_eq!(alone.description.parent, Some(None));
    }

    #[test]
    fn a_hierarchy_file_lists_sites_and_intervals() {
        let text = "name = \"corp\"\ngeneration = \"2007\"\n[intervals]\nsync_hours = 24\n[[site]]\ncode = \"CEN\"\ntype = \"central\"\n[[site]]\ncode = \"P01\"\nparent = \"CEN\"\n";
        let file = HierarchyFile::parse(text, Path::new("hierarchy.toml")).expect("good");
        assert_eq!((file.sync_hours, file.sites.len()), (Some(24), 2));
        assert_eq!(file.generation, Some(Generation::Cm2007));
    }
}
