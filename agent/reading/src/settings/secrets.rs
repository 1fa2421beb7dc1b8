//! Removes what must not leave the server from any snapshot, whoever wrote it: account names, passwords, credentials in
//! addresses. Pure.
//!
//! A boolean that says whether an account is set is kept; text in such a field is dropped, so that the field counts as unknown.

use serde_json::Value;

/// Parts of the names of fields that hold a secret, unless their value is a boolean.
const WORDS: &[&str] = &["account", "credential", "login", "passphrase", "passw", "pwd", "secret", "token", "user"];

/// Removes the secrets.
pub fn scrub(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| !is_secret(name) || value.is_boolean() || value.is_null());
            fields.values_mut().for_each(scrub);
        }
        Value::Array(items) => items.iter_mut().for_each(scrub),
        Value::String(text) => {
            if let Some(clean) = without_credentials(text) {
                *text = clean;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(field: &str) -> bool {
    let field = field.to_lowercase();
    WORDS.iter().any(|word| field.contains(word))
}

/// The text without the part before an `@` in an address; `None` if there is none.
fn without_credentials(text: &str) -> Option<String> {
    if !text.contains('@') {
        return None;
    }
    let words = text.split(' ').map(|word| match word.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.find("://").map_or("", |end| before.get(..end + 3).unwrap_or_default());
            format!("{scheme}{host}")
        }
        None => word.to_owned(),
    });
    Some(words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn booleans_are_kept_and_secrets_removed_everywhere() {
        let mut value = json!({
            "sups": [{"server": "sup1", "connection_account": "CORP\\hunter2", "proxy": {
                "account": true, "password": "hunter2", "userName": "hunter2", "server": "http://svc:hunter2@proxy:8080"}}],
            "component": {"upstream": "https://hunter2:x@wsus.other.example/", "note": "ask svc:hunter2@proxy for it"},
            "accounts": ["hunter2"],
        });
        scrub(&mut value);
        assert!(!value.to_string().contains("hunter2"), "{value}");
        assert_eq!(value["sups"][0]["proxy"], json!({"account": true, "server": "http://proxy:8080"}));
        assert_eq!(value["component"]["upstream"], "https://wsus.other.example/");
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        let healthy =
            json!({"wsus": [{"server": "sup1.corp.example", "products": ["Windows Server 2019"], "proxy": {"account": false}}]});
        let mut value = healthy.clone();
        scrub(&mut value);
        assert_eq!(value, healthy);
    }
}
