//! A wrong setting makes the runs fail: the setting is the cause, the failed run its consequence.

use super::texts::{API, MANAGER, NOT_CONFIGURED};
use super::{Fault, child, fails, failure, fault, named, pick_point};
use crate::world::{Failure, Kind, Place, Point, Site, World};

const REFUSED: &str = "System.Net.WebException: Unable to connect to the remote server ---> System.Net.Sockets.SocketException: No connection could be made because the target machine actively refused it 10.20.1.7:8530~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)";
const FORBIDDEN: &str = "System.Net.WebException: The request failed with HTTP status 403: Forbidden.~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)";
const UNAVAILABLE: &str = "System.Net.WebException: The request failed with HTTP status 503: Service Unavailable.~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)";
const NAME: &str = "System.Net.WebException: The remote name could not be resolved: 'wsus-gone.corp.example'~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)";

type Fits = fn(&World, &Site, &Point) -> bool;

fn not_configured(name: &'static str, rule: &'static str, said: &'static str, fits: Fits, change: fn(&mut Site)) -> Fault {
    fault(name, move |world, dice| {
        let site = pick_point(world, dice, fits)?;
        change(&mut world.sites[site]);
        let wcm = if said.is_empty() { vec!["Failed to configure WSUS".to_owned()] } else { vec![said.to_owned()] };
        let failure = Failure { wcm, ..failure(NOT_CONFIGURED, MANAGER, Place::Start) };
        fails(world, dice, &[site], &failure);
        named(world, site, rule)
    })
}

fn direct(name: &'static str, rule: &'static str, text: &'static str, fits: Fits, change: fn(&mut Site)) -> Fault {
    fault(name, move |world, dice| {
        let site = pick_point(world, dice, fits)?;
        change(&mut world.sites[site]);
        fails(world, dice, &[site], &failure(text, API, Place::Wsus));
        named(world, site, rule)
    })
}

pub fn all() -> Vec<Fault> {
    vec![
        not_configured(
            "port-and-failed",
            "port-mismatch",
            REFUSED,
            |_, _, point| !point.ssl,
            |site| site.points[0].web_http = 8080,
        ),
        not_configured("port-and-silent", "port-mismatch", "", |_, _, point| !point.ssl, |site| site.points[0].web_http = 8080),
        not_configured(
            "ssl-and-failed",
            "ssl-mismatch",
            FORBIDDEN,
            |_, _, point| !point.ssl,
            |site| {
                site.points[0].ssl_directories = crate::build::SSL_DIRECTORIES.to_vec();
            },
        ),
        not_configured(
            "name-and-failed",
            "fqdn-mismatch",
            NAME,
            |_, _, _| true,
            |site| site.points[0].reach = Some("name-not-resolved"),
        ),
        not_configured(
            "replica-and-failed",
            "child-replica",
            "",
            |world, site, point| child(world, site) && site.kind == Kind::Primary && !point.database.1,
            |site| site.points[0].replica = true,
        ),
        not_configured(
            "service-and-failed",
            "service-stopped",
            REFUSED,
            |_, _, _| true,
            |site| {
                site.points[0].services = vec![("WsusService", Some("running")), ("W3SVC", Some("stopped"))];
            },
        ),
        not_configured(
            "console-and-failed",
            "wsus-console-missing",
            "",
            |_, site, point| point.host != site.server,
            |site| {
                site.console = false;
            },
        ),
        direct(
            "pool-and-failed",
            "app-pool",
            "The request failed with HTTP status 503: Service Unavailable",
            |_, _, _| true,
            |site| {
                site.points[0].pool.0 = "stopped";
            },
        ),
        direct(
            "w3svc-and-failed",
            "service-stopped",
            "Unable to connect to the remote server",
            |_, _, _| true,
            |site| {
                site.points[0].services = vec![("WsusService", Some("running")), ("W3SVC", Some("stopped"))];
            },
        ),
        direct(
            "api-and-failed",
            "vdir-access",
            "The request failed with HTTP status 401: Unauthorized",
            |_, _, _| true,
            |site| {
                (site.points[0].api_status, site.points[0].api_authenticated) = (401, true);
            },
        ),
        not_configured(
            "pool-and-not-configured",
            "app-pool",
            UNAVAILABLE,
            |_, _, _| true,
            |site| site.points[0].pool.0 = "stopped",
        ),
    ]
}
