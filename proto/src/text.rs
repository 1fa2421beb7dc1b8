//! A text in both languages ⇄ its message.

use supwatch_model::text::Text;

use crate::wire;

impl From<Text> for wire::Text {
    fn from(Text { en, ja }: Text) -> wire::Text {
        wire::Text { en, ja }
    }
}

impl From<wire::Text> for Text {
    fn from(wire::Text { en, ja }: wire::Text) -> Text {
        Text { en, ja }
    }
}
