//! The runs of a site fail, and its logs show why.

use super::texts::{Failing, RUNS, SYNC, Whose};
use super::{Expected, Fault, child, fails, failure, fault, name, pick_point, top};
use crate::world::{Failure, Place, Point, Site, World};

fn fits(whose: Whose, world: &World, site: &Site, point: &Point) -> bool {
    match whose {
        Whose::Any => true,
        Whose::Top => top(world, site) && point.from_microsoft,
        Whose::Child => child(world, site),
        Whose::Ssl => point.ssl,
    }
}

fn one(failing: &'static Failing) -> Fault {
    fault(failing.name, move |world, dice| {
        let site = pick_point(world, dice, |world, site, point| fits(failing.whose, world, site, point))?;
        let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let failure = Failure {
            lines: own(failing.lines),
            wcm: own(failing.wcm),
            wsus: own(failing.wsus),
            ..failure(failing.text, failing.source, failing.place)
        };
        fails(world, dice, &[site], &failure);
        let of = |rule: &'static str, world: &World| {
            failing.causes.iter().map(|cause| name(world, site, rule, Some(cause))).collect::<Vec<_>>()
        };
        let mut any_of = of("sync-failed", world);
        // The database rule may be named in place of the run.
        any_of.extend(of("database-trouble", world));
        if failing.causes.contains(&"apiremoting-unauthorized") {
            any_of.push(name(world, site, "vdir-access", None));
        }
        Some(Expected(any_of))
    })
}

/// The parent's web service refuses its children: one fault, at the parent.
fn refused() -> Fault {
    fault("run-dss-401", |world, dice| {
        let at = |world: &World, site: &Site| world.sites.iter().position(|own| own.code == site.code).unwrap_or(0);
        let fed = |world: &World, site: &Site| -> Vec<usize> {
            world.children(at(world, site)).into_iter().filter(|child| world.sites[*child].has_sup()).collect()
        };
        let parent = pick_point(world, dice, |world, site, _| !fed(world, site).is_empty())?;
        let children = fed(world, &world.sites[parent]);
        let text = "DssAuthenticationError: WebException: The request failed with HTTP status 401: Unauthorized.~~at System.Web.Services.Protocols.SoapHttpClientProtocol.ReadResponse(SoapClientMessage message, WebResponse response, Stream responseStream, Boolean asyncCall)";
        fails(world, dice, &children, &failure(text, SYNC, Place::Wsus));
        if dice.once_in(2) {
            world.sites[parent].points[0].dss_status = 401;
        }
        let mut any_of = vec![name(world, parent, "vdir-access", None)];
        if let [only] = children[..] {
            any_of.push(name(world, only, "sync-failed", Some("dssauth-unauthorized")));
        }
        Some(Expected(any_of))
    })
}

/// A proxy that requests credentials.
fn proxy() -> Fault {
    fault("run-407", |world, dice| {
        let without = |point: &Point| point.proxy.as_ref().is_some_and(|proxy| !proxy.account);
        let site = pick_point(world, dice, |world, site, point| top(world, site) && point.from_microsoft && without(point))?;
        let text = "UssCommunicationError: WebException: The remote server returned an error: (407) Proxy Authentication Required.~~at System.Net.HttpWebRequest.GetRequestStream(TransportContext& context)";
        fails(world, dice, &[site], &failure(text, SYNC, Place::Wsus));
        let cause = Some("proxy-authentication");
        Some(Expected(vec![name(world, site, "proxy-account", None), name(world, site, "sync-failed", cause)]))
    })
}

pub fn all() -> Vec<Fault> {
    RUNS.iter().map(one).chain([refused(), proxy()]).collect()
}
