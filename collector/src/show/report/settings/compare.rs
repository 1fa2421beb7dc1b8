//! Which settings are compared along an edge, how each is read, and when two are equal: order and case do not matter.

use supwatch_model::settings::{Known, Proxy, Settings, Sup, Wsus};

use crate::show::render::Look;

/// A setting for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// No source reports it.
    Unknown,
    /// Known to be none.
    None,
    /// One value.
    One(String),
    /// A list of names.
    Many(Vec<String>),
}

/// Result of comparing two settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Equal.
    Same,
    /// Different.
    Differs,
    /// The child's upstream is its parent.
    Parent,
    /// The child's upstream is another server.
    NotParent,
    /// One of them is unknown.
    Unknown,
}

/// The first software update point of a site and the WSUS behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct First<'a> {
    sup: &'a Sup,
    wsus: Option<&'a Wsus>,
}

/// One setting that is compared.
#[derive(Debug)]
pub(super) struct Line {
    /// Its name, in English and Japanese.
    pub name: (&'static str, &'static str),
    /// Reads it.
    pub read: fn(&First<'_>, Look) -> Value,
    /// Compares the child's value, given first, with the parent's.
    pub compare: fn(&First<'_>, &First<'_>, Look) -> Mark,
}

/// Every setting that is compared.
pub(super) const LINES: [Line; 8] = [
    Line { name: ("update source", "更新ソース"), read: source, compare: from_parent },
    Line {
        name: ("replica", "レプリカ"),
        read: replica,
        compare: |own, above, look| same(&replica(own, look), &replica(above, look)),
    },
    Line {
        name: ("languages", "言語"),
        read: languages,
        compare: |own, above, look| same(&languages(own, look), &languages(above, look)),
    },
    Line {
        name: ("classifications", "分類"),
        read: classifications,
        compare: |own, above, look| same(&classifications(own, look), &classifications(above, look)),
    },
    Line {
        name: ("products", "製品"),
        read: products,
        compare: |own, above, look| same(&products(own, look), &products(above, look)),
    },
    Line {
        name: ("ports (HTTP, HTTPS)", "ポート (HTTP、HTTPS)"),
        read: ports,
        compare: |own, above, look| same(&ports(own, look), &ports(above, look)),
    },
    Line { name: ("SSL", "SSL"), read: ssl, compare: |own, above, look| same(&ssl(own, look), &ssl(above, look)) },
    Line { name: ("proxy", "プロキシ"), read: proxy, compare: |own, above, look| same(&proxy(own, look), &proxy(above, look)) },
];

impl<'a> First<'a> {
    /// From a snapshot.
    pub fn of(settings: &'a Settings) -> Option<First<'a>> {
        let sup = settings.first_sup()?;
        Some(First { sup, wsus: settings.wsus_of(sup) })
    }

    /// The SUP's server.
    pub fn name(&self, look: Look) -> &'a str {
        self.sup.server.value().map_or(look.say("not known", "不明"), String::as_str)
    }
}

fn same(own: &Value, above: &Value) -> Mark {
    match (own, above) {
        (Value::Unknown, _) | (_, Value::Unknown) => Mark::Unknown,
        (Value::Many(own), Value::Many(above)) if without(own, above).is_empty() && without(above, own).is_empty() => Mark::Same,
        (own, above) if own == above => Mark::Same,
        _ => Mark::Differs,
    }
}

/// Names here that are not there.
pub(super) fn without(here: &[String], there: &[String]) -> Vec<String> {
    let there: Vec<String> = there.iter().map(|name| name.to_lowercase()).collect();
    here.iter().filter(|name| !there.contains(&name.to_lowercase())).cloned().collect()
}

fn from_parent(own: &First<'_>, above: &First<'_>, _: Look) -> Mark {
    let Some(wsus) = own.wsus else { return Mark::Unknown };
    match (&wsus.sync_from_microsoft_update, &wsus.upstream) {
        (Known::Some(true), _) | (Known::Some(false), Known::None) => Mark::NotParent,
        (Known::Some(false), Known::Some(upstream)) => match upstream.server.value() {
            Some(server) if above.sup.has_name(server) => Mark::Parent,
            Some(_) => Mark::NotParent,
            None => Mark::Unknown,
        },
        _ => Mark::Unknown,
    }
}

fn source(first: &First<'_>, look: Look) -> Value {
    let Some(wsus) = first.wsus else { return Value::Unknown };
    match (&wsus.sync_from_microsoft_update, &wsus.upstream) {
        (Known::Some(true), _) => Value::One("Microsoft Update".to_owned()),
        (Known::Some(false), Known::None) => Value::None,
        (Known::Some(false), Known::Some(upstream)) => match upstream.server.value() {
            Some(server) => {
                let port = upstream.port.value().map(|port| format!(":{port}")).unwrap_or_default();
                let ssl = if upstream.ssl == Known::Some(true) { look.say(" with SSL", " (SSL)") } else { "" };
                Value::One(format!("{server}{port}{ssl}"))
            }
            None => Value::Unknown,
        },
        _ => Value::Unknown,
    }
}

fn replica(first: &First<'_>, look: Look) -> Value {
    first.wsus.map_or(Value::Unknown, |wsus| yes(&wsus.is_replica, look))
}

fn languages(first: &First<'_>, look: Look) -> Value {
    match first.wsus {
        Some(wsus) if wsus.all_languages == Known::Some(true) => Value::One(look.say("all", "すべて").to_owned()),
        Some(wsus) => names(&wsus.languages),
        None => Value::Unknown,
    }
}

fn classifications(first: &First<'_>, _: Look) -> Value {
    first.wsus.map_or(Value::Unknown, |wsus| names(&wsus.classifications))
}

fn products(first: &First<'_>, _: Look) -> Value {
    first.wsus.map_or(Value::Unknown, |wsus| names(&wsus.products))
}

fn ports(first: &First<'_>, _: Look) -> Value {
    match first.wsus.map(|wsus| &wsus.website) {
        Some(Known::Some(website)) => match (website.http_port.value(), website.https_port.value()) {
            (Some(http), Some(https)) => Value::One(format!("{http}, {https}")),
            (Some(port), None) | (None, Some(port)) => Value::One(port.to_string()),
            (None, None) => Value::Unknown,
        },
        Some(Known::None) => Value::None,
        Some(Known::Unknown) | None => Value::Unknown,
    }
}

fn ssl(first: &First<'_>, look: Look) -> Value {
    yes(&first.sup.ssl, look)
}

fn proxy(first: &First<'_>, look: Look) -> Value {
    let proxy: &Proxy = match first.wsus.map(|wsus| &wsus.proxy) {
        Some(Known::Some(proxy)) => proxy,
        Some(Known::None) => return Value::None,
        Some(Known::Unknown) | None => return Value::Unknown,
    };
    match (&proxy.enabled, proxy.server.value()) {
        (Known::Some(false), _) | (Known::None, _) => Value::None,
        (Known::Some(true), Some(server)) => {
            let port = proxy.port.value().map(|port| format!(":{port}")).unwrap_or_default();
            let account =
                if proxy.account == Known::Some(true) { look.say(", with an account", "、アカウントあり") } else { "" };
            Value::One(format!("{server}{port}{account}"))
        }
        (Known::Some(true), None) | (Known::Unknown, _) => Value::Unknown,
    }
}

fn yes(known: &Known<bool>, look: Look) -> Value {
    match known {
        Known::Unknown => Value::Unknown,
        Known::None => Value::None,
        Known::Some(true) => Value::One(look.say("yes", "はい").to_owned()),
        Known::Some(false) => Value::One(look.say("no", "いいえ").to_owned()),
    }
}

fn names(known: &Known<Vec<String>>) -> Value {
    match known {
        Known::Unknown => Value::Unknown,
        Known::None => Value::None,
        Known::Some(names) => Value::Many(names.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};
    use supwatch_model::text::Lang;

    const LOOK: Look = Look { lang: Lang::En, color: false, width: 0 };

    /// Compares one setting of two WSUS servers, the child's and its parent's.
    #[track_caller]
    fn check(name: &str, own: Json, above: Json, expected: Mark) {
        let settings = |server: &str, mut wsus: Json| {
            wsus["server"] = json!(server);
            let sup = json!({"server": server, "names": [format!("vip-{server}")], "ssl": wsus["ssl"]});
            Settings::from_json(&json!({"sups": [sup], "wsus": [wsus]})).expect("settings")
        };
        let (own, above) = (settings("p01", own), settings("cen.corp.example", above));
        let (own, above) = (First::of(&own).expect("a SUP"), First::of(&above).expect("a SUP"));
        let line = LINES.iter().find(|line| line.name.0 == name).expect("a line");
        assert_eq!((line.compare)(&own, &above, LOOK), expected);
    }

    #[test]
    fn names_are_the_same_whatever_their_order_and_case() {
        check("languages", json!({"languages": ["en", "JA"]}), json!({"languages": ["ja", "EN"]}), Mark::Same);
        check("languages", json!({"languages": ["en"]}), json!({"languages": ["ja", "en"]}), Mark::Differs);
        check("languages", json!({"all_languages": true}), json!({"languages": ["en"]}), Mark::Differs);
        check("products", json!({"products": []}), json!({"products": ["Windows 11"]}), Mark::Differs);
    }

    #[test]
    fn an_unknown_setting_neither_differs_nor_agrees() {
        check("languages", json!({}), json!({"languages": ["en"]}), Mark::Unknown);
        check("replica", json!({}), json!({}), Mark::Unknown);
        check("proxy", json!({"proxy": {"enabled": true}}), json!({"proxy": {"enabled": false}}), Mark::Unknown);
        check("ports (HTTP, HTTPS)", json!({}), json!({"website": {"http_port": 80}}), Mark::Unknown);
    }

    #[test]
    fn no_proxy_is_a_setting_too() {
        check("proxy", json!({"proxy": {"enabled": false}}), json!({"proxy": null}), Mark::Same);
        let proxy = json!({"proxy": {"enabled": true, "server": "proxy", "port": 8080, "account": true}});
        check("proxy", proxy, json!({"proxy": {"enabled": false}}), Mark::Differs);
    }

    #[test]
    fn an_update_source_is_held_against_the_parent_by_any_of_its_names() {
        let from = |server: &str| json!({"sync_from_microsoft_update": false, "upstream": {"server": server}});
        check("update source", from("CEN"), json!({}), Mark::Parent);
        check("update source", from("vip-cen.corp.example"), json!({}), Mark::Parent);
        check("update source", from("other"), json!({}), Mark::NotParent);
        check("update source", json!({"sync_from_microsoft_update": true}), json!({}), Mark::NotParent);
        // The upstream name stays set while WSUS synchronises from Microsoft Update.
        check("update source", json!({"upstream": {"server": "cen"}}), json!({}), Mark::Unknown);
    }
}
