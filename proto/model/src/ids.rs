//! Names of things: sites, agents, epochs. All are validated on construction, so that no later code checks again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Configuration Manager site code: three letters or digits, kept in upper case; or [`SiteCode::UNKNOWN`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteCode([u8; 3]);

/// A text that is not a site code.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a site code: it must be three letters or digits, like CEN")]
pub struct BadSiteCode(pub String);

impl SiteCode {
    /// The site code when no log gives one; written `?`.
    pub const UNKNOWN: SiteCode = SiteCode(*b"?  ");

    /// The code as text.
    pub fn as_str(&self) -> &str {
        if *self == SiteCode::UNKNOWN {
            return "?";
        }
        // Only ASCII is accepted, so this cannot fail; the fallback `?` avoids a panic.
        std::str::from_utf8(&self.0).unwrap_or("?")
    }
}

impl FromStr for SiteCode {
    type Err = BadSiteCode;

    fn from_str(text: &str) -> Result<SiteCode, BadSiteCode> {
        if text == "?" {
            return Ok(SiteCode::UNKNOWN);
        }
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_alphanumeric) => Ok(SiteCode(bytes.map(|b| b.to_ascii_uppercase()))),
            _ => Err(BadSiteCode(text.to_owned())),
        }
    }
}

impl fmt::Display for SiteCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl fmt::Debug for SiteCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for SiteCode {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SiteCode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<SiteCode, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(any(test, feature = "schema"))]
impl schemars::JsonSchema for SiteCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SiteCode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^([A-Za-z0-9]{3}|[?])$"})
    }
}

/// Identity of an agent, from its certificate alone: its sites and its host, as `P01.S01/srv01`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AgentId(pub String);

impl fmt::Display for AgentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Longest name of an agent: about a hundred sites and a host.
pub const AGENT_BYTES: usize = 440;

/// 128 random bits created with a spool; sequence numbers are unique within an epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub [u8; 16]);

impl Epoch {
    /// From 16 bytes; `None` for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Epoch> {
        bytes.try_into().ok().map(Epoch)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Epoch, D::Error> {
        let text = String::deserialize(from)?;
        // 32 digits and nothing else: a sign would be read as part of a number.
        let number = Some(&text).filter(|text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = number.and_then(|text| u128::from_str_radix(text, 16).ok());
        number
            .map(|number| Epoch(number.to_be_bytes()))
            .ok_or_else(|| serde::de::Error::custom("an epoch has 32 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_code_is_three_letters_or_digits_in_upper_case() {
        assert_eq!("p01".parse::<SiteCode>().map(|c| c.to_string()), Ok("P01".to_owned()));
        for bad in ["", "P1", "P001", "P 1", "Pé"] {
            assert_eq!(bad.parse::<SiteCode>(), Err(BadSiteCode(bad.to_owned())));
        }
        assert_eq!("?".parse::<SiteCode>(), Ok(SiteCode::UNKNOWN));
        assert_eq!(SiteCode::UNKNOWN.to_string(), "?");
    }

    #[test]
    fn an_epoch_reads_back_as_it_is_written() {
        let epoch = Epoch([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        let text = serde_json::to_string(&epoch).expect("json");
        assert_eq!(serde_json::from_str::<Epoch>(&text).expect("epoch"), epoch);
        assert!(serde_json::from_str::<Epoch>("\"00\"").is_err());
    }
}
