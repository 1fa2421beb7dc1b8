//! Faults of a hierarchy: one at a time, and which site must be named for it.
//!
//! Each fault is based on Microsoft's documentation or administrators' reports; of supwatch's judgement, only the names of rules
//! and causes are used here.

use supwatch_tests::dice::Dice;

use crate::world::{Failure, MINUTE, Place, Point, Seconds, Site, Titles, Trouble, World};

mod edges;
mod filters;
mod runs;
mod servers;
mod shape;
mod texts;
mod together;
mod waves;

type Inject = dyn Fn(&mut World, &mut Dice) -> Option<Expected> + Send + Sync;

/// A fault.
pub struct Fault {
    pub name: &'static str,
    /// Applies it to a healthy hierarchy and returns what must be named, or `None` if it does not apply to the hierarchy.
    pub inject: Box<Inject>,
}

/// What a finding must name: any of these.
#[derive(Debug, Clone)]
pub struct Expected(pub Vec<Name>);

/// A rule, a cause and a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub rule: String,
    pub cause: Option<String>,
    pub site: String,
}

/// Every fault.
pub fn all() -> Vec<Fault> {
    [servers::all(), edges::all(), filters::all(), runs::all(), together::all(), waves::all(), shape::all()]
        .into_iter()
        .flatten()
        .collect()
}

fn fault(name: &'static str, inject: impl Fn(&mut World, &mut Dice) -> Option<Expected> + Send + Sync + 'static) -> Fault {
    Fault { name, inject: Box::new(inject) }
}

fn name(world: &World, site: usize, rule: &str, cause: Option<&str>) -> Name {
    Name { rule: rule.to_owned(), cause: cause.map(str::to_owned), site: world.sites[site].code.clone() }
}

fn named(world: &World, site: usize, rule: &str) -> Option<Expected> {
    Some(Expected(vec![name(world, site, rule, None)]))
}

/// A matching site whose data, with that of all sites above and of its children, can be read up to the end.
fn pick(world: &mut World, dice: &mut Dice, fits: impl Fn(&World, &Site) -> bool) -> Option<usize> {
    let all = world.any_sites(|_, site| fits(world, site));
    if all.is_empty() {
        return None;
    }
    let site = *dice.one_of(&all);
    open(world, site);
    Some(site)
}

/// A site whose first SUP matches.
fn pick_point(world: &mut World, dice: &mut Dice, fits: impl Fn(&World, &Site, &Point) -> bool) -> Option<usize> {
    pick(world, dice, |world, site| site.points.first().is_some_and(|point| fits(world, site, point)))
}

fn open(world: &mut World, site: usize) {
    let mut all = world.above(site);
    all.extend(world.children(site));
    for at in all {
        let own = &mut world.sites[at];
        (own.tells_logs, own.tells_wcm, own.tells_settings, own.tells_site) = (true, true, true, true);
        (own.lost, own.snapshot_age) = (0, 0);
        own.lacks.clear();
    }
}

fn child(world: &World, site: &Site) -> bool {
    site.parent.is_some_and(|parent| world.sites[parent].has_sup())
}

fn top(_: &World, site: &Site) -> bool {
    site.parent.is_none()
}

/// Ids distinguish classifications and products in any language.
fn by_ids(world: &mut World, dice: &mut Dice) {
    for site in &mut world.sites {
        site.titles = if dice.once_in(2) { Titles::Ids } else { Titles::Both };
    }
}

fn failure(text: &str, source: &'static str, place: Place) -> Failure {
    Failure { text: text.to_owned(), source, lines: Vec::new(), place, wcm: Vec::new(), wsus: Vec::new() }
}

/// The site's runs fail, starting with a wave that begins before the end; the end comes after the failure.
fn fails(world: &mut World, dice: &mut Dice, sites: &[usize], failure: &Failure) {
    let wave = world.last_wave();
    let from = wave - 65 * MINUTE;
    let deepest = sites.iter().map(|site| world.above(*site).len()).max().unwrap_or(1);
    let levels = Seconds::try_from(deepest).expect("small");
    world.at_least_until(wave + levels * 45 * MINUTE + dice.between(15, 50) * MINUTE);
    if dice.once_in(6) && world.gap_seconds() <= 24 * 60 * MINUTE && world.sites.len() < 12 {
        world.traits.insert("failed-for-days");
        world.at_least_until(wave + world.gap_seconds() * 5 / 2);
    }
    for site in sites {
        world.sites[*site].troubles.push(Trouble::since(from, failure.clone()));
    }
}
