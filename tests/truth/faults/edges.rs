//! A server synchronises from the wrong place, or in the wrong way.

use supwatch_tests::dice::Dice;

use super::{Fault, child, fault, name, named, pick, pick_point, top};
use crate::world::{Generation, Kind, Point, Site, Upstream, World};

fn single(site: &Site) -> bool {
    !site.points[0].database.1
}

fn edge(name: &'static str, change: fn(&mut Point, &mut Dice)) -> Fault {
    fault(name, move |world, dice| {
        let site = pick_point(world, dice, |world, site, point| child(world, site) && single(site) && point.upstream.is_some())?;
        change(&mut world.sites[site].points[0], dice);
        named(world, site, "child-upstream")
    })
}

fn upstream(point: &mut Point) -> &mut Upstream {
    point.upstream.as_mut().expect("an upstream server")
}

/// Synchronises from the first SUP of a site that is not its parent.
fn from_site(name: &'static str, wanted: fn(&World, &Site, usize, &Site) -> bool) -> Fault {
    fault(name, move |world, dice| {
        let others = |world: &World, site: &Site| {
            world.any_sites(|at, other| other.has_sup() && other.code != site.code && wanted(world, site, at, other))
        };
        let site = pick_point(world, dice, |world, site, _| child(world, site) && single(site) && !others(world, site).is_empty())?;
        let other = *dice.one_of(&others(world, &world.sites[site]));
        super::open(world, other);
        let above = &world.sites[other].points[0];
        let taken = Upstream { server: above.host.clone(), port: above.port(), ssl: above.ssl };
        world.sites[site].points[0].upstream = Some(taken);
        named(world, site, "child-upstream")
    })
}

pub fn all() -> Vec<Fault> {
    vec![
        edge("child-from-microsoft", |point, _| (point.from_microsoft, point.upstream) = (true, None)),
        edge("child-from-nobody", |point, _| point.upstream = None),
        edge("upstream-port", |point, _| upstream(point).port = 8888),
        edge("upstream-ssl", |point, _| upstream(point).ssl = !upstream(point).ssl),
        edge("upstream-unknown-server", |point, _| upstream(point).server = "nobody-knows.corp.example".into()),
        from_site("child-from-above-its-parent", |_, site, at, _| at == 0 && site.parent != Some(0)),
        from_site("child-from-a-sibling", |_, site, _, other| other.parent == site.parent),
        fault("further-sup-from-the-parent", |world, dice| {
            let apart = |site: &Site| site.points.get(1).is_some_and(|further| !further.database.1 && !further.internet);
            let site = pick(world, dice, |world, site| child(world, site) && apart(site))?;
            world.sites[site].points[1].upstream = world.sites[site].points[0].upstream.clone();
            named(world, site, "child-upstream")
        }),
        fault("first-sup-is-replica", |world, dice| {
            let site = pick_point(world, dice, |_, site, _| site.kind != Kind::Secondary && single(site))?;
            world.sites[site].points[0].replica = true;
            named(world, site, "child-replica")
        }),
        fault("secondary-is-no-replica", |world, dice| {
            let site =
                pick_point(world, dice, |world, site, _| site.kind == Kind::Secondary && world.generation != Generation::Y2007)?;
            world.sites[site].points[0].replica = false;
            named(world, site, "child-replica")
        }),
        fault("further-sup-is-no-replica", |world, dice| {
            let apart = |site: &Site| site.points.get(1).is_some_and(|further| !further.database.1);
            let site = pick(world, dice, |world, site| apart(site) && world.generation != Generation::Y2007)?;
            world.sites[site].points[1].replica = false;
            named(world, site, "child-replica")
        }),
        fault("top-from-another-wsus", |world, dice| {
            let site = pick_point(world, dice, |world, site, point| {
                top(world, site) && single(site) && point.from_microsoft && world.sites[0].component.source == "microsoft-update"
            })?;
            let point = &mut world.sites[site].points[0];
            point.from_microsoft = false;
            point.upstream = Some(Upstream { server: "wsus-hq.hq.example".into(), port: 8530, ssl: false });
            named(world, site, "top-source")
        }),
        fault("top-against-its-component", |world, dice| {
            let site = pick_point(world, dice, |world, site, point| {
                top(world, site) && world.generation != Generation::Y2007 && single(site) && point.from_microsoft
            })?;
            let component = &mut world.sites[site].component;
            component.source = "upstream";
            component.upstream = Some("http://wsus-hq.hq.example:8530".into());
            named(world, site, "top-source")
        }),
        fault("no-sup", |world, dice| {
            let fits = |world: &World, site: &Site| {
                let at = world.sites.iter().position(|own| own.code == site.code).unwrap_or(0);
                site.kind == Kind::Primary && site.parent.is_some() && world.children(at).is_empty()
            };
            let site = pick(world, dice, fits)?;
            world.sites[site].points.clear();
            Some(super::Expected(vec![name(world, site, "sup-missing", None)]))
        }),
    ]
}
