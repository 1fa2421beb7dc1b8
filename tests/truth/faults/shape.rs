//! The hierarchy as described in the configuration files is impossible.

use super::{Expected, Fault, fault, name, named, pick};
use crate::world::Kind;

pub fn all() -> Vec<Fault> {
    vec![
        fault("claimed-twice", |world, dice| {
            let site = pick(world, dice, |_, site| site.has_sup())?;
            world.twin = Some(site);
            named(world, site, "topology")
        }),
        fault("two-tops", |world, dice| {
            world.listed = false;
            let site = pick(world, dice, |_, site| site.kind == Kind::Primary && site.parent == Some(0))?;
            world.sites[site].claims_parent = Some(None);
            Some(Expected(vec![name(world, site, "topology", None), name(world, 0, "topology", None)]))
        }),
        fault("cycle", |world, dice| {
            world.listed = false;
            let site = pick(world, dice, |_, site| site.parent == Some(0) && site.kind == Kind::Primary)?;
            let code = world.sites[site].code.clone();
            world.sites[0].claims_parent = Some(Some(code));
            Some(Expected(vec![name(world, site, "topology", None), name(world, 0, "topology", None)]))
        }),
        fault("secondary-with-children", |world, dice| {
            world.listed = false;
            let site = pick(world, dice, |world, site| {
                let at = world.sites.iter().position(|own| own.code == site.code).unwrap_or(0);
                site.kind == Kind::Primary && site.parent.is_some() && !world.children(at).is_empty()
            })?;
            world.sites[site].claims_kind = Some(Kind::Secondary);
            named(world, site, "topology")
        }),
        fault("parent-not-listed", |world, dice| {
            world.listed = true;
            let site = pick(world, dice, |world, site| {
                site.parent.is_some_and(|parent| parent != 0 && world.children(parent).len() == 1)
            })?;
            world.unlisted = world.sites[site].parent;
            named(world, site, "topology")
        }),
        fault("parent-of-several-not-listed", |world, dice| {
            world.listed = true;
            let site =
                pick(world, dice, |world, site| site.parent.is_some_and(|parent| parent != 0 && world.children(parent).len() > 1))?;
            let parent = world.sites[site].parent?;
            world.unlisted = Some(parent);
            Some(Expected(world.children(parent).iter().map(|child| name(world, *child, "topology", None)).collect()))
        }),
    ]
}
