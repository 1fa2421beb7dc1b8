//! The hierarchy as nested lists: each site with its type, state, last success, catalogue version and open findings.
//!
//! Of many children, the worst are shown and the rest folded behind a summary. Sites in a cycle have no root and come at the end.
//! Sites nested too deep for a browser are listed flat, each with its parent named.

use std::collections::{BTreeMap, BTreeSet};

use supwatch_model::ids::SiteCode;
use supwatch_model::picture::{Picture, SitePicture};
use supwatch_model::run::{Run, RunOutcome};
use supwatch_model::verdict::Severity;

use super::html::{Html, Tag};
use super::parts::{NAME, badge, count_badge, left_out, nothing, site_anchor, state, time};
use super::{counted, marks};
use crate::show::render::tree::kind;

/// Children of one site shown unfolded.
const CHILDREN_OPEN: usize = 30;
/// Levels that are nested.
const DEPTH: usize = 12;

pub(super) fn section(html: &mut Html, picture: &Picture) {
    super::section(html, "hierarchy", |html| {
        if picture.sites.is_empty() {
            return nothing(html, "No site is known.", "サイトの情報はありません。");
        }
        let mut tree = Tree::new(picture);
        let roots = tree.roots();
        html.element(Tag::class("ul", "tree"), |html| tree.list(html, &roots, 1));
        if tree.left_out > 0 {
            let sites = counted(tree.left_out, ("more site is", "more sites are", "サイト"), html.look);
            left_out(html, &format!("{sites} left out."), &format!("ほか {sites}を省略しました。"));
        }
    });
}

struct Tree<'a> {
    picture: &'a Picture,
    children: BTreeMap<SiteCode, Vec<&'a SitePicture>>,
    running: BTreeMap<SiteCode, &'a Run>,
    drawn: BTreeSet<SiteCode>,
    left_out: usize,
}

impl<'a> Tree<'a> {
    fn new(picture: &'a Picture) -> Tree<'a> {
        let mut children: BTreeMap<SiteCode, Vec<&SitePicture>> = BTreeMap::new();
        for site in &picture.sites {
            if let Some(parent) = site.parent {
                children.entry(parent).or_default().push(site);
            }
        }
        let mut newest: BTreeMap<SiteCode, &Run> = BTreeMap::new();
        for run in &picture.runs {
            newest.entry(run.site).or_insert(run);
        }
        newest.retain(|_, run| run.outcome == RunOutcome::Running);
        Tree { picture, children, running: newest, drawn: BTreeSet::new(), left_out: 0 }
    }

    /// Sites without a parent, and one site of each cycle.
    fn roots(&self) -> Vec<&'a SitePicture> {
        let codes: BTreeSet<SiteCode> = self.picture.sites.iter().map(|site| site.code).collect();
        let is_root = |site: &SitePicture| site.parent.is_none_or(|parent| !codes.contains(&parent));
        let (mut roots, rest): (Vec<_>, Vec<_>) = self.picture.sites.iter().partition(|site| is_root(site));
        let mut reached: BTreeSet<SiteCode> = BTreeSet::new();
        self.reach(&roots, &mut reached);
        for site in rest {
            if !reached.contains(&site.code) {
                roots.push(site);
                self.reach(&[site], &mut reached);
            }
        }
        roots
    }

    fn reach(&self, from: &[&SitePicture], reached: &mut BTreeSet<SiteCode>) {
        let mut open: Vec<SiteCode> = from.iter().map(|site| site.code).collect();
        while let Some(code) = open.pop() {
            if reached.insert(code) {
                open.extend(self.children.get(&code).into_iter().flatten().map(|child| child.code));
            }
        }
    }

    fn list(&mut self, html: &mut Html, sites: &[&'a SitePicture], depth: usize) {
        let mut sites = sites.to_vec();
        if sites.len() <= CHILDREN_OPEN {
            return sites.iter().for_each(|site| self.branch(html, site, depth));
        }
        sites.sort_by_key(|site| {
            let counts = site.findings;
            (std::cmp::Reverse((counts.critical, counts.warning, counts.info)), site.code)
        });
        let (open, folded) = sites.split_at(CHILDREN_OPEN);
        open.iter().for_each(|site| self.branch(html, site, depth));
        html.element("li", |html| {
            html.element("details", |html| {
                let bad = folded.iter().filter(|site| site.findings != Default::default()).count();
                let look = html.look;
                html.with(
                    "summary",
                    &look
                        .say("{} more sites here, {bad} of them with findings", "この階層のほかの {} サイト (うち問題あり {bad})")
                        .replace("{}", &folded.len().to_string())
                        .replace("{bad}", &bad.to_string()),
                );
                html.element("ul", |html| folded.iter().for_each(|site| self.branch(html, site, depth)));
            });
        });
    }

    fn branch(&mut self, html: &mut Html, site: &'a SitePicture, depth: usize) {
        if !self.drawn.insert(site.code) {
            return;
        }
        if html.len() > marks::HIERARCHY {
            self.left_out += 1;
            return;
        }
        let drawn = &self.drawn;
        let children: Vec<&SitePicture> =
            self.children.get(&site.code).into_iter().flatten().copied().filter(|child| !drawn.contains(&child.code)).collect();
        html.element(Tag::from("li").attribute("id", site_anchor(site.code)), |html| {
            line(html, self.running.get(&site.code).copied(), site, depth > DEPTH);
            if !children.is_empty() && depth < DEPTH {
                html.element("ul", |html| self.list(html, &children, depth + 1));
            }
        });
        if depth >= DEPTH {
            self.flat(html, children);
        }
    }

    /// Sites nested too deep, listed flat.
    fn flat(&mut self, html: &mut Html, children: Vec<&'a SitePicture>) {
        let mut open = children;
        while let Some(site) = open.pop() {
            if !self.drawn.insert(site.code) {
                continue;
            }
            if html.len() > marks::HIERARCHY {
                self.left_out += 1;
            } else {
                let tag = Tag::from("li").attribute("id", site_anchor(site.code));
                html.element(tag, |html| line(html, self.running.get(&site.code).copied(), site, true));
            }
            open.extend(self.children.get(&site.code).into_iter().flatten().copied());
        }
    }
}

fn line(html: &mut Html, running: Option<&Run>, site: &SitePicture, name_parent: bool) {
    let look = html.look;
    html.element(Tag::class("div", "site"), |html| {
        html.element(Tag::class("span", "who"), |html| {
            html.with("strong", site.code.as_str());
            html.text(" ");
            html.text(kind(site.site_type, look));
            if let Some(parent) = site.parent.filter(|_| name_parent) {
                html.text(&format!(" {} {parent}", look.say("below", "親:")));
            }
            if let Some(server) = &site.server {
                html.text(" ");
                html.element(Tag::class("span", "server"), |html| html.cut(server, NAME));
            }
        });
        html.element("span", |html| badge(html, state(site.state, look)));
        html.element("span", |html| success(html, running, site));
        html.element("span", |html| match site.catalog_version {
            Some(version) => html.text(&format!("{} {version}", look.say("catalogue", "カタログ"))),
            None => html.say("catalogue not known", "カタログ不明"),
        });
        html.element(Tag::class("span", "open"), |html| counts(html, site));
    });
}

fn success(html: &mut Html, running: Option<&Run>, site: &SitePicture) {
    let look = html.look;
    match site.last_success_at {
        Some(_) => {
            html.say("last success ", "最終成功 ");
            time(html, site.last_success_at);
        }
        None => html.say("never seen to succeed", "成功の記録なし"),
    }
    // A running synchronisation shows its progress.
    if let Some((done, total)) = running.and_then(|run| run.progress) {
        html.with(Tag::class("span", "progress"), &format!("{} {done}/{total}", look.say("running:", "進行状況:")));
    }
}

fn counts(html: &mut Html, site: &SitePicture) {
    let counts = site.findings;
    if counts == Default::default() {
        return html.say("no findings", "問題なし");
    }
    for (count, level) in
        [(counts.critical, Severity::Critical), (counts.warning, Severity::Warning), (counts.info, Severity::Info)]
    {
        if count > 0 {
            count_badge(html, count, level);
            html.text(" ");
        }
    }
}
