//! Site descriptions ⇄ their message.

use supwatch_model::describe::{Generation, SiteDescription, SiteMode, SiteType};

use crate::wire::{self, WireError, known};

impl From<SiteDescription> for wire::SiteDescribed {
    fn from(description: SiteDescription) -> wire::SiteDescribed {
        let SiteDescription { site_type, parent, server, name, generation, mode, passive } = description;
        wire::SiteDescribed {
            r#type: site_type.map(|word| word.as_str().to_owned()).unwrap_or_default(),
            parent: parent.flatten().map(|code| code.to_string()).unwrap_or_default(),
            top: parent == Some(None),
            server: server.unwrap_or_default(),
            name: name.unwrap_or_default(),
            generation: generation.map(|word| word.as_str().to_owned()).unwrap_or_default(),
            mode: mode.map(|word| word.as_str().to_owned()).unwrap_or_default(),
            passive,
        }
    }
}

impl TryFrom<wire::SiteDescribed> for SiteDescription {
    type Error = WireError;

    fn try_from(message: wire::SiteDescribed) -> Result<SiteDescription, WireError> {
        let wire::SiteDescribed { r#type, parent, top, server, name, generation, mode, passive } = message;
        let parent = match known(parent) {
            Some(code) => Some(Some(code.parse().map_err(|error| WireError::invalid("parent", &code, error))?)),
            None => top.then_some(None),
        };
        Ok(SiteDescription {
            site_type: SiteType::from_word(&r#type),
            parent,
            server: known(server),
            name: known(name),
            generation: Generation::from_word(&generation),
            mode: SiteMode::from_word(&mode),
            passive,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_survives_the_wire() {
        for parent in [None, Some(None), Some("CEN".parse().ok())] {
            let description = SiteDescription {
                parent,
                site_type: Some(SiteType::Primary),
                mode: Some(SiteMode::Native),
                ..SiteDescription::default()
            };
            let wire = wire::SiteDescribed::from(description.clone());
            assert_eq!(SiteDescription::try_from(wire), Ok(description));
        }
    }
}
