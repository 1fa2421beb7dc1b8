//! What a snapshot says of one setting: nothing, that there is none, or its value.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A setting: not known, known to be none, or known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Known<T> {
    /// Absent from the snapshot: not known.
    #[default]
    Unknown,
    /// `null`: known to be none.
    None,
    /// Known.
    Some(T),
}

impl<T> Known<T> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Known::Some(value) => Some(value),
            Known::Unknown | Known::None => None,
        }
    }

    /// Whether the value is unknown.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Known::Unknown)
    }
}

impl<T: Serialize> Serialize for Known<T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Known::Unknown | Known::None => out.serialize_none(),
            Known::Some(value) => out.serialize_some(value),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Known<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Known<T>, D::Error> {
        // An unreadable field counts as unknown and affects nothing else; `lenient::tidy` reports it.
        let value = serde_json::Value::deserialize(from)?;
        if value.is_null() {
            return Ok(Known::None);
        }
        Ok(T::deserialize(value).map_or(Known::Unknown, Known::Some))
    }
}

#[cfg(any(test, feature = "schema"))]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Known<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Known_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({"anyOf": [value, {"type": "null"}]})
    }
}
