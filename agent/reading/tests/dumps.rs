//! Recorded dumps of `Get-SyncSettings.ps1` become the snapshots stored beside them; nothing else of a dump gets through.
//!
//! The dumps are written from the documented classes, for the three generations: with all sections read, some refused, and half
//! of them missing and in the other forms that `ConvertTo-Json` gives. `SUPWATCH_REGENERATE=1` rewrites the snapshots; review the
//! changes.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use supwatch_model::event::EventKind;
use supwatch_model::settings::{Known, Settings};
use supwatch_reading::settings::{DUMP_LIMIT, dump, read_text};

const SECRET: &str = "hunter2";

fn dumps() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dumps");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path()).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "json") && !path.to_string_lossy().contains(".snapshot."));
    found.sort();
    found
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON")
}

fn healthy() -> Value {
    json_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dumps/current-branch-healthy.json"))
}

fn schema() -> jsonschema::Validator {
    let schema = json_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/settings.schema.json"));
    jsonschema::validator_for(&schema).expect("a schema")
}

#[test]
fn each_recorded_dump_becomes_the_snapshot_beside_it() {
    let (dumps, schema) = (dumps(), schema());
    assert_eq!(dumps.len(), 10);
    for path in dumps {
        let snapshot = dump::snapshot(&json_of(&path));
        if let Some(error) = schema.iter_errors(&snapshot).next() {
            panic!("{}: {error} at {}", path.display(), error.instance_path());
        }
        let expected = path.with_extension("snapshot.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&snapshot).expect("JSON"));
        if std::env::var_os("SUPWATCH_REGENERATE").is_some() {
            std::fs::write(&expected, &text).expect("written");
        }
        let golden = std::fs::read_to_string(&expected).unwrap_or_default();
        assert!(golden == text, "{} is not what its dump gives:\n{text}", expected.display());
    }
}

#[test]
fn a_settings_file_may_be_a_dump() {
    let site = "P01".parse().expect("code");
    let read = |text: &str| read_text(text, Path::new("settings.json"), site);
    let event = read(&format!("\u{feff}{}", healthy())).expect("an event");
    assert_eq!(event.time, "2026-03-01T04:00:00Z".parse().ok());
    let EventKind::SettingsSnapshot { settings } = event.kind else { panic!("no snapshot") };
    assert_eq!(settings["schema"], "supwatch/settings/v1");
    assert_eq!(Settings::from_json(&settings).expect("settings").first_sup().map(|sup| &sup.http_port), Some(&Known::Some(8530)));

    let mut of_another = healthy();
    of_another["site"] = "P02".into();
    assert!(read(&of_another.to_string()).expect_err("refused").to_string().contains("it is of site P02"));
}

#[test]
fn a_dump_may_be_larger_than_what_travels() {
    let site = "P01".parse().expect("code");
    let read = |text: &str| read_text(text, Path::new("settings.json"), site).map(drop).map_err(|error| error.to_string());
    let mut large = healthy();
    large["sections"]["sups"]["padding"] = "x".repeat(100_000).into();
    assert_eq!(read(&large.to_string()), Ok(()));

    let product = |number| json!({"Id": number, "Title": format!("Product {number:0100}"), "Type": "Product"});
    large["sections"]["wsus@p01.corp.example"]["data"][0]["UpdateCategories"] = (0..1000).map(product).collect();
    assert!(read(&large.to_string()).expect_err("too large").contains("and 72 KiB are what travels"));

    let huge = format!("{{\"schema\":\"{}\",\"x\":\"{}\"}}", dump::SCHEMA, "x".repeat(usize::try_from(DUMP_LIMIT).expect("fits")));
    assert!(read(&huge).expect_err("too large").contains("larger than 4096 KiB"));
}

/// Adds keys that the script would never write to every object, credentials to every text, a name to every reason.
fn plant(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(plant);
            if let Some(name) = object.get("PropertyName").and_then(Value::as_str)
                && (name.contains("User") || name.contains("Account"))
            {
                for key in ["Value1", "Value2"] {
                    object.insert(key.to_owned(), format!("CORP\\{SECRET}").into());
                }
            }
            if object.contains_key("reason") {
                object.insert("reason".to_owned(), format!("Login failed for user {SECRET}, 'a {SECRET}', CORP\\{SECRET}").into());
            }
            for key in
                ["UserName", "ProxyUserName", "ProxyUserDomain", "Password", "ProxyPassword", "WSUSAccessAccount", "LastModifiedBy"]
            {
                object.insert(key.to_owned(), format!("CORP\\{SECRET}").into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plant),
        Value::String(text) if !text.contains("supwatch/") && !text.starts_with("SMS ") => {
            let bare = text.trim_start_matches('\\').to_owned();
            *text = format!("https://{SECRET}:{SECRET}@{bare}");
        }
        _ => {}
    }
}

/// `PropertyName` and `ok` say what a value is: if they were spoilt, nothing would be read and the test would prove nothing.
fn plant_around(value: &Value) -> Value {
    fn names(value: &Value, planted: &mut Value) {
        match (value, planted) {
            (Value::Object(from), Value::Object(to)) => {
                for (key, value) in from {
                    let Some(planted) = to.get_mut(key) else { continue };
                    match key.as_str() {
                        "PropertyName" | "RoleName" | "SiteCode" | "Site Code" | "site" | "taken_at" => *planted = value.clone(),
                        _ => names(value, planted),
                    }
                }
            }
            (Value::Array(from), Value::Array(to)) => from.iter().zip(to).for_each(|(value, planted)| names(value, planted)),
            _ => {}
        }
    }
    let mut planted = value.clone();
    plant(&mut planted);
    names(value, &mut planted);
    planted
}

#[test]
fn secrets_planted_anywhere_do_not_get_through() {
    for path in dumps() {
        let planted = plant_around(&json_of(&path));
        assert!(planted.to_string().matches(SECRET).count() > 50, "{}: too little planted", path.display());
        let snapshot = dump::snapshot(&planted);
        let text = snapshot.to_string();
        assert!(!text.contains(SECRET), "{}: {text}", path.display());
        Settings::from_json(&snapshot).expect("settings");
    }
    // Spoilt dumps are still read: whether accounts are set is reported, and the server names are present.
    let settings = Settings::from_json(&dump::snapshot(&plant_around(&healthy()))).expect("settings");
    let sup = settings.first_sup().expect("a first SUP");
    assert_eq!((&sup.server, &sup.connection_account), (&Known::Some("sup1.corp.example".to_owned()), &Known::Some(true)));
    assert_eq!(sup.proxy.value().map(|proxy| &proxy.account), Some(&Known::Some(true)));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        prop_oneof![
            Just("/Date(9223372036854775807)/"),
            Just("20269901000000.000000+99999999999"),
            Just("0xFFFFFFFFFFFFFFFFF"),
            Just("::")
        ]
        .prop_map(Value::from),
    ];
    let key = prop_oneof![Just("value".to_owned()), Just("Count".to_owned()), Just("Props".to_owned()), "\\PC{0,8}"];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        let objects =
            prop::collection::vec((key.clone(), inner.clone()), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect()));
        prop_oneof![prop::collection::vec(inner, 0..5).prop_map(Value::from), objects]
    })
}

/// JSON pointers of every place in a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(object) => {
            object
                .iter()
                .for_each(|(key, value)| places(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), found)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_dump_becomes_a_snapshot(
        which in 0..10_usize,
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), anything()), 1..6),
    ) {
        let mut dump = json_of(&dumps()[which]);
        let mut all = Vec::new();
        places(&dump, "", &mut all);
        for (index, value) in spoilt {
            if let Some(place) = dump.pointer_mut(&all[index.index(all.len())]) {
                *place = value;
            }
        }
        let snapshot = dump::snapshot(&dump);
        let read = Settings::from_json(&snapshot);
        prop_assert!(read.is_ok(), "{read:?}");
        prop_assert!(schema().is_valid(&snapshot));
    }
}
